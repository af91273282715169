//! `bench webhook`: signed, deduplicated, durable webhooks a second, against the JavaScript Worker.
//!
//! Closed loop over 1, 16 and 64 kept-alive connections; no worker is on line, so an event is stored and waits. Each
//! round has a fresh hub on each side; the sides take turns, and who begins alternates.

use anyhow::Result;
use serde_json::json;

use super::load::{Webhook, fire};
use super::sample::{Estimate, percentile};
use super::side::{Side, Whose};
use super::{Figure, Options, conformance, cpu, pair};
use crate::progress::Progress;
use crate::tools::Tools;

const CONNECTIONS: [usize; 3] = [1, 16, 64];

/// One side's rounds.
#[derive(Default, Clone)]
struct Series {
    rate: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    cpu: Vec<f64>,
    reopened: f64,
}

/// Measures.
pub async fn figures(tools: &Tools, options: &Options, progress: &Progress) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let mut sides = pair(tools, folder.path(), &json!({})).await?;
    for side in &mut sides {
        progress.step(&format!("checking that {} refuse, deduplicate and survive alike", side.whose.name()));
        let checked = conformance::check(side).await;
        side.explain(checked)?;
    }
    let mut figures = Vec::new();
    for connections in CONNECTIONS {
        let mut series = [Series::default(), Series::default()];
        for round in 0..=options.rounds {
            progress
                .step(&format!("webhook: {connections} connections, round {round} of {}", options.rounds));
            for turn in 0..2 {
                let which = (round + turn) % 2;
                // Round 0 warms up.
                let count = if round == 0 { options.webhooks.min(1_000) } else { options.webhooks };
                let measured = one(&mut sides[which], connections, count).await?;
                if round > 0 {
                    series[which].push(&measured);
                }
            }
        }
        figures.extend(compare(connections, &series));
    }
    progress.done();
    Ok(figures)
}

async fn one(side: &mut Side, connections: usize, count: usize) -> Result<[f64; 5]> {
    let tenant = side.tenant().await?;
    let webhooks: Vec<Webhook> = (0..count).map(|_| Webhook::created(side, &tenant)).collect();
    let before = cpu::used_ms(side.pid)?;
    let volley = side.explain(fire(side.address, connections, webhooks).await)?;
    let cpu = (cpu::used_ms(side.pid)? - before) / count as f64;
    let latencies = &volley.latencies_ms;
    Ok([volley.rate(), percentile(latencies, 0.5), percentile(latencies, 0.99), cpu, volley.reopened as f64])
}

impl Series {
    fn push(&mut self, [rate, p50, p99, cpu, reopened]: &[f64; 5]) {
        self.rate.push(*rate);
        self.p50.push(*p50);
        self.p99.push(*p99);
        self.cpu.push(*cpu);
        self.reopened += reopened;
    }
}

fn compare(connections: usize, [ours, theirs]: &[Series; 2]) -> Vec<Figure> {
    let name = |what: &str| format!("webhook{connections}{what}");
    let mut figures = Vec::new();
    for (whose, series) in [(Whose::Ours, ours), (Whose::Theirs, theirs)] {
        let name =
            |what: &str| name(&format!("{}{what}", if whose == Whose::Ours { "Ours" } else { "Theirs" }));
        figures.extend([
            Figure::told(name("PerSecond"), Estimate::of(&series.rate)),
            Figure::told(name("P50Ms"), Estimate::of(&series.p50)),
            Figure::told(name("P99Ms"), Estimate::of(&series.p99)),
            Figure::told(name("CpuMs"), Estimate::of(&series.cpu)),
            Figure::counted(name("Reopened"), series.reopened),
        ]);
    }
    let ratio = Estimate::of_ratio;
    figures.extend([
        Figure::at_least(name("ThroughputRatio"), ratio(&ours.rate, &theirs.rate), 0.9),
        Figure::at_most(name("P50Ratio"), ratio(&ours.p50, &theirs.p50), 1.15),
        Figure::told(name("P99Ratio"), ratio(&ours.p99, &theirs.p99)),
        Figure::told(name("CpuRatio"), ratio(&ours.cpu, &theirs.cpu)),
    ]);
    figures
}
