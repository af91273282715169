//! The words and signs that stand for states, in one place, so that every page says the same.

use shared::session::{AgentType, ExecutorType, SessionState};
use shared::worker::WorkerState;

use crate::components::icon::Shape;

/// A state of a session as people read it.
pub fn status_word(status: SessionState) -> &'static str {
    match status {
        SessionState::Queued => "Queued",
        SessionState::Running => "Running",
        SessionState::AwaitingInput => "Waiting for you",
        SessionState::Parked => "Parked",
        SessionState::Verifying => "Verifying",
        SessionState::Completed => "Completed",
        SessionState::Failed => "Failed",
        SessionState::Stopped => "Stopped",
    }
}

/// Its sign; each state has its own shape, so that colour is never the only difference.
pub fn status_shape(status: SessionState) -> Shape {
    match status {
        SessionState::Queued => Shape::Clock,
        SessionState::Running => Shape::Spinner,
        SessionState::AwaitingInput => Shape::Question,
        SessionState::Parked => Shape::Pause,
        SessionState::Verifying => Shape::Shield,
        SessionState::Completed => Shape::Check,
        SessionState::Failed => Shape::Cross,
        SessionState::Stopped => Shape::Stop,
    }
}

/// A state of a worker as people read it.
pub fn worker_word(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Online => "Online",
        WorkerState::Working => "Working",
        WorkerState::Draining => "Draining",
        WorkerState::Offline => "Offline",
        WorkerState::Revoked => "Revoked",
    }
}

/// The word that the style sheet knows a worker's state by.
pub fn worker_class(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Online => "online",
        WorkerState::Working => "working",
        WorkerState::Draining => "draining",
        WorkerState::Offline => "offline",
        WorkerState::Revoked => "revoked",
    }
}

/// A kind of work.
pub fn agent_word(agent: AgentType) -> &'static str {
    match agent {
        AgentType::Orchestrator => "Orchestrator",
        AgentType::Builder => "Builder",
        AgentType::Debugger => "Debugger",
        AgentType::Scoper => "Scoper",
    }
}

/// Where the executor runs.
pub fn place_word(place: ExecutorType) -> &'static str {
    match place {
        ExecutorType::Local => "local",
        ExecutorType::Cloud => "cloud",
    }
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
