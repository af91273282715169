//! The CPU time that a process has used, as the operating system counted it.

use anyhow::{Context, Result};

/// Linux shows these times in hundredths of a second, whatever its own clock.
const TICKS_PER_MS: f64 = 0.1;

/// User and system time of a process and its threads so far, in ms, to 10 ms. Fails where there is no `/proc`.
pub fn used_ms(pid: i32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat =
        std::fs::read_to_string(&path).with_context(|| format!("{path} (CPU is measured on Linux only)"))?;
    ticks(&stat)
        .map(|ticks| ticks / TICKS_PER_MS)
        .with_context(|| format!("{path} is not of the known shape"))
}

/// Fields 14 and 15 as proc(5) counts. A program's name may hold anything, even `)`.
fn ticks(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_added() {
        assert_eq!(ticks("42 (work) erd) S 1 9 9 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 17"), Some(300.0));
        assert_eq!(ticks("42 (x"), None);
    }
}
