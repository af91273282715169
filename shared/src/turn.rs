//! A turn: what begins with an event and ends with one answer. Its states and what leads from one to the next; pure.
//!
//! The worker writes each state to its journal before it acts on it, so after any crash [`Turn::next`] says how it
//! goes on. A turn takes later events of its issue in; each event is in one turn. Laws, tested below: a turn that was
//! told to stop begins no run any more; two runs are never live; it ends once.

use serde::{Deserialize, Serialize};

use crate::id::{RunId, Seq};
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// A turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// The event that began it. Linear's answer carries an id made of it.
    pub first: Seq,
    /// The events that it took in, the first one included, in the order in which they came.
    pub members: Vec<Seq>,
    /// Where it stands.
    pub phase: Phase,
    /// The runs that were begun for it, oldest first.
    pub runs: Vec<RunId>,
    /// How often it has waited for a usage limit to be reset.
    #[serde(default)]
    pub pauses: u32,
}

/// Where a turn stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Phase {
    /// A run is to begin: the first, or another because the one before was cut off.
    Waiting,
    /// A run works on it.
    Running {
        /// Which.
        run: RunId,
    },
    /// A run waits for a person's answer.
    Asking {
        /// Which.
        run: RunId,
        /// What it asked, in the person's words and with the options that were shown.
        question: Question,
    },
    /// It is to end without another run.
    Stopping {
        /// The run that is being stopped.
        run: Option<RunId>,
    },
    /// It waits for a usage limit to be reset.
    Parked {
        /// When the limit is reset.
        until: Timestamp,
    },
    /// It has ended, and its answer is on its way.
    Over,
}

/// A question of an agent to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// The executor's id of the request; another run asks under another one.
    pub request: String,
    /// What is asked.
    pub text: String,
    /// What may be chosen; free text when empty.
    pub options: Vec<String>,
}

/// What happens to a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A run begins. Written down before its process starts.
    Begins {
        /// Which.
        run: RunId,
    },
    /// A later event is taken in. Written down before the agent is given it.
    Takes {
        /// Which.
        seq: Seq,
    },
    /// The agent did not take it any more; it is the next turn's.
    Returns {
        /// Which.
        seq: Seq,
    },
    /// A person, or what stands for one, stopped it. Written down before the run is told.
    Stops,
    /// The run was cut off and left no verdict.
    Breaks,
    /// The agent asks a person. Written down before the question is posted.
    Asks {
        /// What.
        question: Question,
    },
    /// The person has answered, or nobody waits for it any more.
    Answers,
    /// The run ended at a usage limit, and the turn is to go on once that is reset.
    Parks {
        /// When that is.
        until: Timestamp,
    },
    /// The limit is reset, or a person wants it to go on.
    Resumes,
    /// It has its answer. Written down together with it.
    Ends,
}

/// What a worker found of a turn's run after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The run file tells how the run ended, for all that the agent was given.
    Verdict,
    /// The run was cut off.
    CutOff,
}

/// How a turn goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A run begins, the first one of the turn.
    Begin,
    /// A run begins with everything that the turn was told, since an earlier one was cut off.
    BeginAgain,
    /// The run ended by itself: its verdict is told.
    Conclude,
    /// What was done is kept, and the turn ends as stopped.
    ConcludeStopped,
    /// The question stands; the turn ends with it, and the answer begins the next one.
    ConcludeAsking,
    /// Nothing before this time, unless a person says something.
    Wait {
        /// When.
        until: Timestamp,
    },
    /// Nothing: it is over.
    Nothing,
}

/// Something that cannot happen to a turn in this state: a fault in whoever says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a turn cannot go on from {phase} with {fact}; this is a fault in cyrus")]
pub struct Unfit {
    /// Where the turn stood.
    pub phase: &'static str,
    /// What was said to happen.
    pub fact: &'static str,
}

impl Turn {
    /// A turn that an event begins.
    pub fn of(first: Seq) -> Self {
        Self { first, members: vec![first], phase: Phase::Waiting, runs: Vec::new(), pauses: 0 }
    }

    /// Whether it took an event in.
    pub fn has(&self, seq: Seq) -> bool {
        self.members.contains(&seq)
    }

    /// The run that may be live.
    pub fn live_run(&self) -> Option<RunId> {
        match &self.phase {
            Phase::Running { run } | Phase::Asking { run, .. } => Some(*run),
            Phase::Stopping { run } => *run,
            Phase::Waiting | Phase::Parked { .. } | Phase::Over => None,
        }
    }

    /// The turn after something happened to it.
    pub fn after(&self, fact: Fact) -> Result<Self, Unfit> {
        let unfit = Unfit { phase: self.phase.name(), fact: fact.name() };
        let mut turn = self.clone();
        turn.phase = match (&self.phase, fact) {
            (Phase::Over, _) => return Err(unfit),
            (Phase::Waiting | Phase::Parked { .. }, Fact::Begins { run }) => {
                turn.runs.push(run);
                Phase::Running { run }
            }
            (phase, Fact::Takes { seq }) => {
                if !turn.has(seq) {
                    turn.members.push(seq);
                }
                phase.clone()
            }
            (phase, Fact::Returns { seq }) if seq != self.first => {
                turn.members.retain(|member| *member != seq);
                phase.clone()
            }
            (_, Fact::Stops) => Phase::Stopping { run: self.live_run() },
            (Phase::Running { .. } | Phase::Asking { .. }, Fact::Breaks) => Phase::Waiting,
            (Phase::Stopping { .. }, Fact::Breaks) => Phase::Stopping { run: None },
            (Phase::Running { run }, Fact::Asks { question }) => Phase::Asking { run: *run, question },
            (Phase::Asking { run, .. }, Fact::Answers) => Phase::Running { run: *run },
            (Phase::Running { .. }, Fact::Parks { until }) => {
                turn.pauses += 1;
                Phase::Parked { until }
            }
            (Phase::Parked { .. }, Fact::Resumes) => Phase::Waiting,
            (_, Fact::Ends) => Phase::Over,
            _ => return Err(unfit),
        };
        Ok(turn)
    }

    /// How it goes on when nothing of it is live in this process. `found` is what the run that may have been live
    /// left; without such a run it does not matter.
    pub fn next(&self, found: Found) -> Next {
        match (&self.phase, found) {
            (Phase::Over, _) => Next::Nothing,
            (Phase::Running { .. } | Phase::Asking { .. }, Found::Verdict) => Next::Conclude,
            (Phase::Stopping { run: Some(_) }, Found::Verdict) => Next::Conclude,
            (Phase::Stopping { .. }, _) => Next::ConcludeStopped,
            (Phase::Asking { .. }, Found::CutOff) => Next::ConcludeAsking,
            (Phase::Parked { until }, _) => Next::Wait { until: *until },
            (Phase::Waiting | Phase::Running { .. }, _) if self.runs.is_empty() => Next::Begin,
            (Phase::Waiting | Phase::Running { .. }, _) => Next::BeginAgain,
        }
    }
}

impl Phase {
    /// The phase in a word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running { .. } => "running",
            Self::Asking { .. } => "asking",
            Self::Stopping { .. } => "stopping",
            Self::Parked { .. } => "parked",
            Self::Over => "over",
        }
    }
}

impl Fact {
    fn name(&self) -> &'static str {
        match self {
            Self::Begins { .. } => "a run that begins",
            Self::Takes { .. } => "an event that is taken in",
            Self::Returns { .. } => "an event that is given back",
            Self::Stops => "a stop",
            Self::Breaks => "a run that was cut off",
            Self::Asks { .. } => "a question",
            Self::Answers => "an answer",
            Self::Parks { .. } => "a usage limit",
            Self::Resumes => "a limit that is reset",
            Self::Ends => "its end",
        }
    }
}
