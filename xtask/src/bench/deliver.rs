//! `bench deliver`: from a webhook's first byte to its line read at the edge, with 1, 10 and 100 edges on line.
//!
//! One webhook at a time, so that the way is measured and not a queue; the edge that gets it acks it before the next
//! is sent. Fresh hubs each round; the sides take turns.

use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::sync::mpsc;

use super::load::{Connection, Webhook};
use super::reader::{self, Worker};
use super::sample::{Estimate, percentile};
use super::side::{Side, Whose};
use super::{Figure, Options, pair};
use crate::progress::Progress;
use crate::tools::Tools;

const EDGES: [usize; 3] = [1, 10, 100];

/// Measures.
pub async fn figures(tools: &Tools, options: &Options, progress: &Progress) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let mut sides = pair(tools, folder.path(), &json!({})).await?;
    let mut figures = Vec::new();
    for edges in EDGES {
        let mut p50 = [Vec::new(), Vec::new()];
        let mut p99 = [Vec::new(), Vec::new()];
        for round in 0..=options.rounds {
            progress.step(&format!("deliver: {edges} edges, round {round} of {}", options.rounds));
            for turn in 0..2 {
                let which = (round + turn) % 2;
                let count = if round == 0 { options.deliveries.min(50) } else { options.deliveries };
                let latencies = one(&mut sides[which], edges, count).await?;
                if round > 0 {
                    p50[which].push(percentile(&latencies, 0.5));
                    p99[which].push(percentile(&latencies, 0.99));
                }
            }
        }
        for (whose, p50, p99) in [(Whose::Ours, &p50[0], &p99[0]), (Whose::Theirs, &p50[1], &p99[1])] {
            let whose = if whose == Whose::Ours { "Ours" } else { "Theirs" };
            figures.push(Figure::told(format!("deliver{edges}{whose}P50Ms"), Estimate::of(p50)));
            figures.push(Figure::told(format!("deliver{edges}{whose}P99Ms"), Estimate::of(p99)));
        }
        let ratio = Estimate::of_ratio;
        figures.push(Figure::at_most(format!("deliver{edges}P50Ratio"), ratio(&p50[0], &p50[1]), 1.15));
        figures.push(Figure::told(format!("deliver{edges}P99Ratio"), ratio(&p99[0], &p99[1])));
    }
    progress.done();
    Ok(figures)
}

async fn one(side: &mut Side, edges: usize, count: usize) -> Result<Vec<f64>> {
    let tenant = side.tenant().await?;
    let (out, mut lines) = mpsc::unbounded_channel();
    let (mut workers, mut reading) = (Vec::new(), Vec::new());
    for edge in 0..edges {
        let worker = Worker::register(side, &tenant, 250, &[]).await?;
        reading.push(worker.stream(edge, out.clone()).await?.1);
        workers.push(worker);
    }
    let mut connection = Connection::open(side.address).await?;
    let mut latencies = Vec::with_capacity(count);
    for _ in 0..count {
        let webhook = Webhook::created(side, &tenant);
        let sent = Instant::now();
        connection.send(&webhook).await?;
        let line = reader::event(&mut lines, Some(&webhook.session_key)).await?;
        latencies.push(line.read.duration_since(sent).as_secs_f64() * 1000.0);
        workers.get(line.stream).context("a line of no stream")?.ack(&line.line, "done").await?;
    }
    for reading in reading {
        reading.abort();
    }
    Ok(latencies)
}
