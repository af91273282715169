//! The official `@linear/sdk` handler beside the proxy: same bodies, same verdicts, except where `protocol.md` is stricter.
//!
//! Samples, nasty cases written by hand, and mutations by a seed ([`mutation`]). `CYRUS_SEED` replays another seed.

mod judge;
mod mutation;
mod sample;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use e2e::bot::{Bot, Manner};
use e2e::delivery::{Answer, now_ms};
use e2e::raw_worker::{RawWorker, Transport};
use e2e::system::System;

use judge::{Judge, Verdict};
use mutation::Mutator;

/// How many bodies are changed by chance.
const MUTATIONS: usize = 600;

/// One request.
pub struct Case {
    pub name: String,
    pub method: &'static str,
    pub signature: Option<String>,
    pub body: Vec<u8>,
}

/// A case that the official handler takes and the proxy refuses on purpose.
struct Exception {
    name: &'static str,
    reason: &'static str,
    code: &'static str,
    /// Whether the body really has what the exception is about, judged without the proxy.
    fits: fn(&Case, &Verdict) -> bool,
}

const EXCEPTIONS: [Exception; 5] = [
    Exception {
        name: "not UTF-8",
        reason: "protocol §3: not JSON is 400, and JSON is UTF-8; the SDK reads broken bytes as U+FFFD",
        code: "not_json",
        fits: |case, _| std::str::from_utf8(&case.body).is_err(),
    },
    Exception {
        name: "a number that no double holds",
        reason: "protocol §3: not JSON is 400; the SDK reads 1e400 as Infinity, which no JSON can carry on",
        code: "not_json",
        fits: |_, verdict| verdict.infinite == Some(true),
    },
    Exception {
        name: "nested deeper than 64",
        reason: "protocol §3: deeper than 64 is 400; the SDK has no bound",
        code: "too_deep",
        fits: |case, _| sample::depth(&case.body) > 64,
    },
    Exception {
        name: "without what an edge needs",
        reason: "protocol §3: a wrong shape is 400; the SDK looks at the stamp alone",
        code: "wrong_shape",
        fits: |_, verdict| verdict.shape == Some(false),
    },
    Exception {
        name: "one field twice",
        reason: "protocol §3: a wrong shape is 400; two readers could take different ones, the SDK takes the last",
        code: "wrong_shape",
        fits: |case, _| sample::says_a_field_twice(&case.body),
    },
];

pub async fn the_official_handler_and_the_proxy_accept_and_refuse_the_same_bodies(
    system: Arc<System>,
) -> Result<()> {
    // What is accepted is taken and finished at once, so that nothing of it waits in the hub.
    let worker = RawWorker::register(&system).await?;
    worker.register_again(&serde_json::json!({"slots": 1000})).await?;
    let _eater = Bot::start(worker, Transport::Ndjson, Manner::Finish).await?;
    let seed = std::env::var("CYRUS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_123);
    println!("    seed {seed}");
    let mut judge = Judge::start(&system.up.webhook_secrets.linear)?;
    let mut tally = Tally::default();
    for case in sample::all(&system) {
        tally.compare(&system, &mut judge, &case).await?;
    }
    let mut mutator = Mutator::new(seed);
    for _ in 0..MUTATIONS {
        // Made one by one, so that a stamp is fresh when it is judged.
        let case = mutator.next(&system, now_ms());
        tally.compare(&system, &mut judge, &case).await?;
    }
    tally.judge()
}

#[derive(Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    excepted: BTreeMap<&'static str, usize>,
    differences: Vec<String>,
}

impl Tally {
    async fn compare(&mut self, system: &System, judge: &mut Judge, case: &Case) -> Result<()> {
        let official = judge.verdict(case).await?;
        let ours = sample::send(system, case).await?;
        match (official.accepts(), ours.status < 300) {
            _ if ours.status >= 500 => self.differ(case, &official, &ours),
            (true, true) => self.accepted += 1,
            (false, false) => self.refused += 1,
            (true, false) => {
                let exception = EXCEPTIONS
                    .iter()
                    .find(|exception| exception.code == ours.code() && (exception.fits)(case, &official));
                match exception {
                    Some(exception) => *self.excepted.entry(exception.name).or_default() += 1,
                    None => self.differ(case, &official, &ours),
                }
            }
            (false, true) => self.differ(case, &official, &ours),
        }
        Ok(())
    }

    fn differ(&mut self, case: &Case, official: &Verdict, ours: &Answer) {
        let body: String = String::from_utf8_lossy(&case.body).chars().take(2_000).collect();
        self.differences.push(format!(
            "{}: official {}, proxy {} {}\n    {body}",
            case.name, official.status, ours.status, ours.body
        ));
    }

    fn judge(self) -> Result<()> {
        println!("    accepted by both {}, refused by both {}", self.accepted, self.refused);
        for exception in &EXCEPTIONS {
            let count = self.excepted.get(exception.name).copied().unwrap_or_default();
            println!("    refused by the proxy alone: {count} {} ({})", exception.name, exception.reason);
            ensure!(
                count > 0,
                "the exception `{}` had no case, so nothing shows that it is right",
                exception.name
            );
        }
        let all =
            self.accepted + self.refused + self.excepted.values().sum::<usize>() + self.differences.len();
        ensure!(
            self.differences.is_empty(),
            "{} of {all} differ:\n  {}",
            self.differences.len(),
            self.differences.join("\n  ")
        );
        // A judge that takes or refuses everything would agree with a proxy that does.
        ensure!(self.accepted >= 100 && self.refused >= 100, "{} and {}", self.accepted, self.refused);
        Ok(())
    }
}
