//! `cyrus say`: a word to the agent of a session, while it works or after.

use clap::Args;
use serde_json::json;

use super::failure::{Exit, Failure};
use super::{Context, block_on, reach, run, state};
use crate::control::words::Request;

/// Says something to the agent of a session.
///
/// While it works, it hears it at once. A session of `cyrus run` that has ended goes on with it, here and now; one of
/// an issue is woken in Linear or in the panel.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cyrus say add-readme-3f9a1c \"mention the licence too\"\n  cyrus say ENG-12 \"use the new API\""
)]
pub struct Tell {
    /// The session: its name, the beginning of it, or its issue.
    session: String,
    /// What to say; `-` reads it from stdin.
    #[arg(required = true)]
    text: Vec<String>,
}

impl Tell {
    /// Says it.
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let text = run::prompt(&self.text, context.say)?;
        let folder = state::folder(context)?;
        let session = state::session(state::look(context)?.as_ref(), Some(&self.session))?;
        let request = Request::Say { session: session.session.clone(), text: text.clone() };
        if session.is_open() && block_on(async { reach::ask(&folder, &request).await })?.is_some() {
            context.say.answer(
                || {
                    format!(
                        "{} hears it; `cyrus logs -f {}` shows what it does",
                        session.session, session.session
                    )
                },
                &json!({"session": session.session, "heard": true}),
            );
            return Ok(Exit::Done);
        }
        if session.own {
            return run::go_on(context, &session, text);
        }
        Err(Failure::new(format!("nothing is at work for {} here", session.session))
            .next("write in its Linear thread or in the panel: that wakes it (and `cyrus start`, if it does not run)"))
    }
}
