//! A run as it is told: steps and thoughts on stderr while it works, the answer on stdout at its end.

use std::path::Path;

use shared::linear::activity::ActivityContent;
use shared::session::SessionState;

use super::place::Place;
use crate::cli::say::{Say, Tone, first_line, harmless};
use crate::journal::effect::Effect;
use crate::worker::standalone::Report;

/// How much of a step is shown.
const LONGEST: usize = 100;

/// What is about to happen.
pub fn begins(say: Say, session: &str, folder: &Path, goes_on: bool) {
    let words = if goes_on { "goes on" } else { "begins" };
    say.note(format!("{} {words} in {}", say.tint_note(Tone::Strong, session), folder.display()));
}

/// One more thing that happened.
pub fn effect(say: Say, effect: &Effect) {
    match effect {
        Effect::Activity { content: ActivityContent::Action { action, parameter, .. }, .. } => {
            let tool = format!("{:>8}", first_line(action, 20));
            say.note(format!("{}  {}", say.tint_note(Tone::Faint, &tool), first_line(parameter, LONGEST)));
        }
        Effect::Words { body, .. } | Effect::Activity { content: ActivityContent::Thought { body }, .. }
            if !body.trim().is_empty() =>
        {
            for line in harmless(body.trim()).lines() {
                say.note(format!("{}  {line}", say.tint_note(Tone::Faint, "       │")));
            }
        }
        Effect::UpdateSession(update) if update.status == Some(SessionState::Running) => {
            if let Some(branch) = &update.branch {
                say.note(format!("{}  {branch}", say.tint_note(Tone::Faint, "  branch")));
            }
        }
        _ => {}
    }
}

/// How it ended and where the work is.
pub fn ended(say: Say, report: &Report, place: &Place) {
    say.object(report);
    if let Some(answer) = &report.answer {
        say.out(harmless(answer.trim_end()));
    }
    let (tone, word) = match report.status {
        Some(SessionState::Completed) => (Tone::Good, "done"),
        Some(SessionState::AwaitingInput) => (Tone::Warning, "waits for an answer"),
        Some(SessionState::Parked) => (Tone::Warning, "waits"),
        Some(SessionState::Stopped) => (Tone::Warning, "stopped"),
        _ => (Tone::Bad, "failed"),
    };
    let mut facts = Vec::new();
    facts.extend(report.duration_ms.map(|ms| format!("{} s", (ms + 500) / 1000)));
    facts.extend(
        report.turns.map(|turns| if turns == 1 { "1 turn".to_owned() } else { format!("{turns} turns") }),
    );
    facts.extend(report.cost.map(|cost| format!("{cost} at list price")));
    let facts = if facts.is_empty() { String::new() } else { format!(" · {}", facts.join(" · ")) };
    say.note(format!("{}{facts}", say.tint_note(tone, word)));
    if let Some(error) = &report.error {
        say.note(format!("  {}", harmless(error.trim())));
    }
    let line = |name: &str, value: &str| {
        say.note(format!("  {}  {value}", say.tint_note(Tone::Faint, &format!("{name:>8}"))));
    };
    if let Some(branch) = &report.branch {
        line("branch", branch);
        match &report.commit {
            Some(commit) => {
                line("commit", &commit.chars().take(10).collect::<String>());
                let start: String = place.start.chars().take(10).collect();
                line("look", &format!("git diff {start}..{branch}"));
                line("take", &format!("git merge {branch}    (into {})", place.from));
            }
            None => line("commit", "none: nothing was changed"),
        }
    }
    if let Some(worktree) = &report.worktree {
        line("worktree", worktree);
        line("go on", &format!("cyrus say {} \"…\"", report.session));
    }
}
