//! The ports of one system: chosen once, free when chosen, kept from start to start.
//!
//! They are taken from below the range that systems hand out for outgoing connections, which could take a kept
//! port between two starts.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const FIRST: u16 = 18_000;
const COUNT: u16 = 14_000;

/// Ports on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// The panel Worker.
    pub panel: u16,
    /// The proxy Worker.
    pub proxy: u16,
    /// The stand-in Linear.
    pub linear: u16,
    /// The scripted model.
    pub model: u16,
}

impl Ports {
    /// Four free ones.
    pub fn choose() -> Result<Self> {
        let mut taken = Vec::new();
        Ok(Self {
            panel: free(&mut taken)?,
            proxy: free(&mut taken)?,
            linear: free(&mut taken)?,
            model: free(&mut taken)?,
        })
    }

    /// Replaces those that another program has taken meanwhile.
    pub fn free_up(&mut self) -> Result<()> {
        let mut taken = vec![self.panel, self.proxy, self.linear, self.model];
        for port in [&mut self.panel, &mut self.proxy, &mut self.linear, &mut self.model] {
            if !is_free(*port) {
                let other = free(&mut taken)?;
                eprintln!("  port {port} is taken by another program; using {other} from now on");
                *port = other;
            }
        }
        Ok(())
    }
}

fn free(taken: &mut Vec<u16>) -> Result<u16> {
    for _ in 0..1_000 {
        let [high, low, ..] = *Uuid::new_v4().as_bytes();
        let port = FIRST + u16::from_be_bytes([high, low]) % COUNT;
        if !taken.contains(&port) && is_free(port) {
            taken.push(port);
            return Ok(port);
        }
    }
    bail!("no free port was found between {FIRST} and {}", FIRST + COUNT)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_was_taken_meanwhile_is_replaced_and_the_others_stay() {
        let mut ports = Ports::choose().unwrap();
        let before = ports;
        let _other = TcpListener::bind((Ipv4Addr::LOCALHOST, before.linear)).unwrap();
        ports.free_up().unwrap();
        assert_ne!(ports.linear, before.linear);
        assert_eq!(Ports { linear: before.linear, ..ports }, before);
    }
}
