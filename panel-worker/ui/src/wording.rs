//! The words and signs that stand for states, in one place, so that every page says the same.

use shared::hub::delivery::EventState;
use shared::session::SessionState;

use crate::components::icon::Shape;

/// How a state is shown: its word on the wire, its colour, its own shape, its word for people.
/// Shape and word differ wherever the colour does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sign {
    /// The word of the wire.
    pub state: &'static str,
    /// `ok`, `run`, `warn`, `danger` or `quiet`: the style sheet's colours.
    pub tone: &'static str,
    /// The sign.
    pub shape: Shape,
    /// The word for people.
    pub word: &'static str,
}

const fn sign(state: &'static str, tone: &'static str, shape: Shape, word: &'static str) -> Sign {
    Sign { state, tone, shape, word }
}

/// A state of a session.
pub fn session_sign(status: SessionState) -> Sign {
    let state = status.as_str();
    match status {
        SessionState::Queued => sign(state, "quiet", Shape::Clock, "Queued"),
        SessionState::Running => sign(state, "run", Shape::Spinner, "Running"),
        SessionState::AwaitingInput => sign(state, "warn", Shape::Question, "Waiting for you"),
        SessionState::Parked => sign(state, "warn", Shape::Pause, "Parked"),
        SessionState::Verifying => sign(state, "run", Shape::Shield, "Verifying"),
        SessionState::Completed => sign(state, "ok", Shape::Check, "Completed"),
        SessionState::Failed => sign(state, "danger", Shape::Cross, "Failed"),
        SessionState::Stopped => sign(state, "quiet", Shape::Stop, "Stopped"),
    }
}

/// A state of a session as people read it.
pub fn status_word(status: SessionState) -> &'static str {
    session_sign(status).word
}

/// A state of a delivery.
pub fn delivery_sign(state: EventState) -> Sign {
    let word = state.as_str();
    match state {
        EventState::Pending => sign(word, "quiet", Shape::Clock, "Waiting"),
        EventState::Offered => sign(word, "run", Shape::External, "Offered"),
        EventState::Accepted => sign(word, "run", Shape::Spinner, "With a worker"),
        EventState::Done => sign(word, "ok", Shape::Check, "Done"),
        EventState::Dead => sign(word, "danger", Shape::Cross, "Dead letter"),
        EventState::Cancelled => sign(word, "quiet", Shape::Stop, "Cancelled"),
    }
}

/// A dead letter that a person wants no more.
pub const DISMISSED: Sign = sign("dismissed", "quiet", Shape::Dot, "Dismissed");

/// A state of a worker, by the word of the wire.
pub fn worker_sign(state: &str) -> Sign {
    match state {
        "online" => sign("online", "ok", Shape::Check, "Online"),
        "working" => sign("working", "run", Shape::Spinner, "Working"),
        "draining" => sign("draining", "warn", Shape::Down, "Draining"),
        "revoked" => sign("revoked", "danger", Shape::Cross, "Revoked"),
        _ => sign("offline", "quiet", Shape::Pause, "Offline"),
    }
}

/// A state of a worker key; one that is not known yet counts as in use, so that it can be revoked.
pub fn key_sign(state: &str) -> Sign {
    match state {
        "revoked" => sign("revoked", "quiet", Shape::Stop, "Revoked"),
        "revoking" => sign("revoking", "warn", Shape::Spinner, "Revoking…"),
        "pending" | "adding" => sign("pending", "quiet", Shape::Clock, "Being made known"),
        _ => sign("active", "ok", Shape::Check, "Active"),
    }
}

/// A word of the wire as people read it: `pull_request_merged` is `Pull request merged`.
pub fn plain(word: &str) -> String {
    let mut letters = word.chars().map(|letter| if letter == '_' { ' ' } else { letter });
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// The sign and word of a log line's `metadata.kind`. A kind that is not known yet is shown by its own name.
pub fn kind_shape(kind: &str) -> Shape {
    match kind {
        "text" | "response" => Shape::Message,
        "thinking" | "thought" => Shape::Thought,
        "tool_use" => Shape::Tool,
        "tool_result" => Shape::Return,
        "started" | "init" => Shape::Play,
        "result" => Shape::Flag,
        "stderr" => Shape::Terminal,
        "retry" => Shape::Repeat,
        _ => Shape::Dot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::worker::WorkerState::{Draining, Offline, Online, Revoked, Working};

    /// No two states of a kind may look or read the same, colour aside.
    fn are_told_apart(signs: &[Sign]) {
        for (at, one) in signs.iter().enumerate() {
            for other in &signs[..at] {
                assert!(one.shape != other.shape && one.word != other.word, "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn states_are_told_apart_without_colour() {
        are_told_apart(&SessionState::ALL.map(session_sign));
        let deliveries: Vec<Sign> =
            EventState::ALL.map(delivery_sign).into_iter().chain([DISMISSED]).collect();
        are_told_apart(&deliveries);
        are_told_apart(&[Online, Working, Draining, Offline, Revoked].map(|state| {
            let word = serde_json::to_value(state).unwrap();
            worker_sign(word.as_str().unwrap())
        }));
        are_told_apart(&["active", "pending", "revoking", "revoked"].map(key_sign));
    }

    #[test]
    fn a_word_of_the_wire_is_read_as_words_whatever_it_is() {
        assert_eq!(plain("builder"), "Builder");
        assert_eq!(plain("pull_request_merged"), "Pull request merged");
        assert_eq!(plain(""), "");
    }
}
