//! `cyrus status`: whether a worker runs, what it has open, and what waits.

use clap::Args;
use serde_json::{Value, json};

use super::failure::{Exit, Failure};
use super::say::Tone;
use super::{Context, block_on, reach, state};
use crate::control::words::{Reply, Request};
use crate::journal::look::Session;

/// Shows whether cyrus runs here, whether the proxy hears it, and what it has open.
#[derive(Args)]
#[command(after_help = "Examples:\n  cyrus status\n  cyrus status --json | jq .openSessions")]
pub struct Status {}

impl Status {
    /// Shows it.
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let say = context.say;
        let config = state::config(context)?;
        let folder = config.state_dir.clone();
        let live = block_on(async { reach::ask(&folder, &Request::Status).await })?;
        let look = state::look(context)?;
        let sessions = look.map_or_else(|| Ok(Vec::new()), |look| look.sessions(500))?;
        let open: Vec<&Session> = sessions.iter().filter(|one| one.is_open()).collect();
        let waiting: u64 = sessions.iter().map(|one| one.waiting).sum();
        let status = match live {
            Some(Reply::Status { status }) => status,
            _ => json!({"running": false}),
        };
        if say.is_json() {
            let mut object = status.as_object().cloned().unwrap_or_default();
            object.insert("stateDir".to_owned(), json!(folder));
            object.insert("open".to_owned(), json!(open));
            object.insert("waitingEffects".to_owned(), json!(waiting));
            say.object(&object);
            return Ok(Exit::Done);
        }
        let text = |name: &str| status.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |name: &str| status.get(name).and_then(Value::as_i64);
        let state_word = text("state");
        let runs = status.get("running") == Some(&Value::Bool(true));
        if runs {
            let (tone, words) = match state_word.as_str() {
                "online" => (Tone::Good, "is online"),
                "run" => (Tone::Good, "works on a `cyrus run`"),
                "connecting" => (Tone::Warning, "does not reach the proxy yet"),
                "silent" => (Tone::Warning, "has heard nothing of the proxy for a while"),
                "leaving" => (Tone::Warning, "finishes what is open, then ends"),
                _ => (Tone::Plain, "runs"),
            };
            say.out(format!("cyrus {} {}", text("version"), say.tint(tone, words)));
            let line = |name: &str, value: String| {
                say.out(format!("  {}  {value}", say.tint(Tone::Faint, &format!("{name:<8}"))))
            };
            if let Some(ms) = number("upMs") {
                line("since", span(ms));
            }
            if !text("name").is_empty() {
                line("worker", format!("{} ({})", text("name"), text("workerId")));
            }
            if let Some(ms) = number("heardMs") {
                line(
                    "proxy",
                    format!("{}, heard {} ago", config.proxy_url.as_deref().unwrap_or("(none)"), span(ms)),
                );
            }
            if let (Some(slots), Some(free)) = (number("slots"), number("freeSlots")) {
                line("slots", format!("{free} of {slots} free"));
            }
            line("state", folder.display().to_string());
        } else {
            say.out(format!("cyrus does not run with {}", folder.display()));
        }
        if open.is_empty() {
            say.out("Nothing is open.");
        }
        for one in &open {
            let name = one.issue.as_deref().unwrap_or(&one.session);
            let state = one.state.map_or("new", shared::session::SessionState::as_str);
            say.out(format!("  {} {state}", say.tint(Tone::Strong, name)));
        }
        if waiting > 0 {
            say.out(format!("{waiting} messages wait to be told to Linear or the panel."));
        }
        if !runs {
            let rest = if open.is_empty() { "takes issues from Linear" } else { "goes on with what is open" };
            say.note(format!("  {} cyrus start    {rest}", say.tint_note(Tone::Strong, "next:")));
        }
        Ok(Exit::Done)
    }
}

/// A span of time in its largest fitting units.
fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}
