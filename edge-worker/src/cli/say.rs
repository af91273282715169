//! All that the program says. Answers go to stdout, everything on the way to stderr, so that an answer can be piped.
//!
//! Colours are for terminals that want them. With `--json` stdout holds JSON alone: one object, or one a line for
//! lists. Nobody else in the program writes to either stream, but for the log of `cyrus start`.

use std::io::{IsTerminal, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::failure::Failure;

/// Where to and how.
#[derive(Debug, Clone, Copy)]
pub struct Say {
    json: bool,
    out_colours: bool,
    note_colours: bool,
}

/// How a word stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// The one thing to see.
    Strong,
    /// Beside the point.
    Faint,
    /// It is well.
    Good,
    /// Look at it.
    Warning,
    /// It is not well.
    Bad,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
        }
    }
}

impl Say {
    /// For this process's streams; `json`: nothing but JSON on stdout.
    pub fn new(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            json,
            out_colours: wanted && !json && std::io::stdout().is_terminal(),
            note_colours: wanted && std::io::stderr().is_terminal(),
        }
    }

    /// Whether stdout holds JSON alone.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// A line of an answer for people; nothing with `--json`.
    pub fn out(self, line: impl AsRef<str>) {
        if !self.json {
            write_line(&mut std::io::stdout(), line.as_ref());
        }
    }

    /// An object of an answer for programs; nothing without `--json`.
    pub fn object(self, value: &impl Serialize) {
        if self.json
            && let Ok(text) = serde_json::to_string(value)
        {
            write_line(&mut std::io::stdout(), &text);
        }
    }

    /// Text as it is, to stdout, whatever was asked for: a script, a configuration.
    pub fn raw(self, text: &str) {
        let mut out = std::io::stdout();
        // Who reads may have gone, as `head` does; there is nobody to tell.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// A line on the way, to stderr.
    pub fn note(self, line: impl AsRef<str>) {
        write_line(&mut std::io::stderr(), line.as_ref());
    }

    /// A question to stderr, without an end of line.
    pub fn ask(self, question: &str) {
        let mut error = std::io::stderr();
        let _ = error.write_all(question.as_bytes()).and_then(|()| error.flush());
    }

    /// What went wrong and what to do next; with `--json` as an object on stdout too.
    pub fn failure(self, failure: &Failure) {
        self.note(format!("{} {}", self.tint_note(Tone::Bad, "cyrus:"), failure.what));
        if let Some(next) = &failure.next {
            self.note(format!("  {} {next}", self.tint_note(Tone::Strong, "next:")));
        }
        if self.json {
            let error = json!({"message": failure.what, "next": failure.next, "exit": failure.exit as u8});
            write_line(&mut std::io::stdout(), &json!({ "error": error }).to_string());
        }
    }

    /// A word of an answer, coloured where stdout shows colours.
    pub fn tint(self, tone: Tone, text: &str) -> String {
        tinted(self.out_colours, tone, text)
    }

    /// A word on the way, coloured where stderr shows colours.
    pub fn tint_note(self, tone: Tone, text: &str) -> String {
        tinted(self.note_colours, tone, text)
    }

    /// An answer in both forms.
    pub fn answer(self, people: impl FnOnce() -> String, programs: &Value) {
        if self.json { self.object(programs) } else { self.out(people()) }
    }
}

fn tinted(colours: bool, tone: Tone, text: &str) -> String {
    if !colours || tone == Tone::Plain {
        return text.to_owned();
    }
    format!("\u{1b}[{}m{text}\u{1b}[0m", tone.code())
}

fn write_line(to: &mut impl Write, line: &str) {
    // Who reads may have gone; there is nobody to tell.
    let _ = to.write_all(format!("{line}\n").as_bytes()).and_then(|()| to.flush());
}

/// Text from outside as a terminal may show it: no control characters, which could move the cursor or worse.
pub fn harmless(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t')).collect()
}

/// The first line of a text, cut to so many characters.
pub fn first_line(text: &str, longest: usize) -> String {
    let line = harmless(text.trim().lines().next().unwrap_or_default());
    let mut short: String = line.chars().take(longest).collect();
    if short.len() < line.len() || text.trim().lines().nth(1).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_says_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\u{7}\tc\nd\u{9b}"), "a[2Jb\tc\nd");
        assert_eq!(first_line("one\ntwo", 10), "one…");
        assert_eq!(first_line("  äöü  ", 2), "äö…");
        assert_eq!(first_line("", 5), "");
    }

    #[test]
    fn colours_are_only_for_those_who_see_them() {
        assert_eq!(tinted(false, Tone::Bad, "x"), "x");
        assert_eq!(tinted(true, Tone::Plain, "x"), "x");
        assert_eq!(tinted(true, Tone::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
