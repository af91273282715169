//! `cyrus stop`: ends the worker, or one session's agent.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::failure::{Exit, Failure};
use super::{Context, block_on, reach, state};
use crate::control::words::Request;

/// How long an end at once may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Stops the agent of a session and keeps its work; without a session, ends the cyrus that runs.
///
/// Without --now it takes no new work and ends when open sessions are finished. With --now it ends at once, and open
/// work goes on at the next start.
#[derive(Args)]
#[command(after_help = "Examples:\n  cyrus stop\n  cyrus stop --now\n  cyrus stop ENG-12")]
pub struct Stop {
    /// The session: its name, the beginning of it, or its issue.
    session: Option<String>,
    /// End at once.
    #[arg(long, conflicts_with = "session")]
    now: bool,
}

impl Stop {
    /// Stops it.
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let folder = state::folder(context)?;
        let nobody = || Failure::new(format!("no cyrus runs with {}", folder.display()));
        if let Some(word) = &self.session {
            let session = state::session(state::look(context)?.as_ref(), Some(word))?;
            if !session.is_open() {
                return Err(Failure::usage(format!("nothing is at work for {}", session.session))
                    .next("cyrus sessions"));
            }
            let request = Request::StopSession { session: session.session.clone() };
            block_on(async { reach::ask(&folder, &request).await })?.ok_or_else(nobody)?;
            context.say.answer(
                || format!("{} is being stopped; its work is kept", session.session),
                &json!({"stopping": session.session}),
            );
            return Ok(Exit::Done);
        }
        let request = if self.now { Request::End } else { Request::Drain };
        let ended = block_on(async {
            reach::ask(&folder, &request).await?.ok_or_else(nobody)?;
            let begun = Instant::now();
            let patience = if self.now { PATIENCE } else { Duration::from_secs(2) };
            while begun.elapsed() < patience {
                if reach::ask(&folder, &Request::Status).await.is_ok_and(|reply| reply.is_none()) {
                    return Ok(true);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(false)
        })?;
        context.say.answer(
            || match (ended, self.now) {
                (true, _) => "It has ended.".to_owned(),
                (false, true) => "It is ending.".to_owned(),
                (false, false) => "It takes no new work and ends when open sessions are finished; `cyrus stop --now` ends it at once.".to_owned(),
            },
            &json!({"ended": ended}),
        );
        Ok(Exit::Done)
    }
}
