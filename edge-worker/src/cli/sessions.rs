//! `cyrus sessions`: what this machine worked on, the newest first.

use std::collections::HashMap;
use std::time::Duration;

use clap::Args;
use shared::money::MicroUsd;
use shared::session::SessionState;

use super::failure::{Exit, Failure};
use super::say::{Say, Tone, first_line};
use super::{Context, state};
use crate::journal::look::Session;

/// Between two looks.
const PACE: Duration = Duration::from_millis(500);

/// Lists the sessions of this machine, the newest first.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cyrus sessions\n  cyrus sessions -f\n  cyrus sessions --json | jq -r 'select(.state==\"failed\").session'"
)]
pub struct Sessions {
    /// Goes on with every session whose state changes.
    #[arg(short, long)]
    follow: bool,
    /// How many.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    most: u32,
}

impl Sessions {
    /// Lists them.
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let say = context.say;
        let list = |most| -> Result<Vec<Session>, Failure> {
            Ok(state::look(context)?.map_or_else(|| Ok(Vec::new()), |look| look.sessions(most))?)
        };
        let all = list(self.most)?;
        if all.is_empty() && !self.follow {
            say.out("No sessions yet. `cyrus run \"add a README\"` makes the first one.");
        }
        if !all.is_empty() {
            say.out(say.tint(
                Tone::Faint,
                &format!("{:<24} {:<9} {:>9} {:>6}  {}", "SESSION", "STATE", "COST", "AGE", "ABOUT"),
            ));
        }
        for one in &all {
            show(say, one);
        }
        if !self.follow {
            return Ok(Exit::Done);
        }
        let mut known: HashMap<String, Option<SessionState>> =
            all.into_iter().map(|one| (one.session, one.state)).collect();
        loop {
            std::thread::sleep(PACE);
            for one in list(200)?.into_iter().rev() {
                if known.insert(one.session.clone(), one.state) != Some(one.state) {
                    show(say, &one);
                }
            }
        }
    }
}

fn show(say: Say, one: &Session) {
    say.object(one);
    let (tone, word) = match one.state {
        Some(SessionState::Completed) => (Tone::Good, "done"),
        Some(SessionState::Failed) => (Tone::Bad, "failed"),
        Some(SessionState::Stopped) => (Tone::Faint, "stopped"),
        Some(SessionState::AwaitingInput) => (Tone::Warning, "asks you"),
        Some(SessionState::Parked) => (Tone::Warning, "parked"),
        Some(SessionState::Queued) => (Tone::Plain, "queued"),
        Some(SessionState::Running | SessionState::Verifying) => (Tone::Strong, "running"),
        None => (Tone::Faint, "new"),
    };
    let name = one.issue.clone().unwrap_or_else(|| one.session.clone());
    let cost = if one.cost_micro_usd > 0 { MicroUsd(one.cost_micro_usd).to_string() } else { "-".to_owned() };
    let about = first_line(one.title.as_deref().unwrap_or_default(), 50);
    say.out(format!(
        "{:<24} {} {cost:>9} {:>6}  {about}",
        first_line(&name, 24),
        say.tint(tone, &format!("{word:<9}")),
        one.ended_at.or(one.begun_at).map_or_else(|| "-".to_owned(), age),
    ));
}

/// How long ago, in the largest fitting unit.
fn age(at: i64) -> String {
    let seconds = (crate::worker::now().as_millis() - at).max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}
