//! `cyrus logs`: the lines of a session, as the journal keeps them.

use std::time::Duration;

use clap::Args;
use shared::log_line::{LogLevel, LogLine};

use super::failure::{Exit, Failure};
use super::say::{Say, Tone, harmless};
use super::{Context, state};

/// Between two looks.
const PACE: Duration = Duration::from_millis(200);
/// Read at once.
const AT_ONCE: u32 = 500;

/// Shows the log of a session: what the agent said, did and was answered.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cyrus logs            the newest session\n  cyrus logs ENG-12 -f\n  cyrus logs --json | jq -r 'select(.level==\"error\").message'"
)]
pub struct Logs {
    /// The session: its name, the beginning of it, or its issue. Without one, the newest.
    session: Option<String>,
    /// Goes on until Ctrl-C.
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines.
    #[arg(short = 'n', long, value_name = "COUNT")]
    last: Option<u64>,
    /// The lines for those who look closely, too.
    #[arg(long)]
    all: bool,
}

impl Logs {
    /// Shows them.
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let say = context.say;
        let look = state::look(context)?;
        let session = state::session(look.as_ref(), self.session.as_deref())?;
        let Some(look) = look else { return Ok(Exit::Done) };
        let mut after = self.last.map_or(0, |last| session.lines.saturating_sub(last));
        let mut shown = 0_u64;
        loop {
            let lines = look.lines(&session.session, after, AT_ONCE)?;
            let Some(last) = lines.last() else {
                if self.follow {
                    std::thread::sleep(PACE);
                    continue;
                }
                if shown == 0 {
                    say.note(format!("{} has no lines yet", session.session));
                }
                return Ok(Exit::Done);
            };
            after = last.seq;
            for line in lines.iter().filter(|line| self.all || say.is_json() || line.level != LogLevel::Debug)
            {
                show(say, line);
                shown += 1;
            }
        }
    }
}

fn show(say: Say, line: &LogLine) {
    say.object(line);
    let at = line.timestamp.to_string();
    // 2026-11-23T23:59:01.123Z
    let time = at.get(11..19).unwrap_or(&at);
    let (tone, mark) = match line.level {
        LogLevel::Debug => (Tone::Faint, " "),
        LogLevel::Info => (Tone::Plain, " "),
        LogLevel::Warning => (Tone::Warning, "!"),
        LogLevel::Error => (Tone::Bad, "✗"),
    };
    let text = harmless(line.message.trim_end());
    let mut parts = text.lines();
    let first = parts.next().unwrap_or_default();
    say.out(format!("{} {} {}", say.tint(Tone::Faint, time), say.tint(tone, mark), say.tint(tone, first)));
    for part in parts {
        say.out(format!("           {}", say.tint(tone, part)));
    }
}
