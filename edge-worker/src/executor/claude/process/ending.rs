//! The steps of a stop: interrupt, then SIGTERM, then SIGKILL, each after a grace.
//! Neighbours: `process` takes the steps when they are due.
//! It must never skip SIGTERM: on it the program itself ends the shells it has started.

use std::time::Duration;

use tokio::time::Instant;

use crate::executor::spec::Limits;

/// How long after SIGKILL it is sent again, should a process be stuck in the system.
const AGAIN: Duration = Duration::from_secs(2);

/// Where a stop stands.
#[derive(Debug, Default)]
pub(super) enum Ending {
    /// Nobody has asked.
    #[default]
    None,
    /// Interrupted; SIGTERM at this time.
    Interrupted(Instant),
    /// Told to end; SIGKILL at this time.
    Terminated(Instant),
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Terminate,
    Kill,
}

impl Ending {
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// The interrupt has been sent at `now`.
    pub(super) fn begin(&mut self, now: Instant, limits: &Limits) {
        *self = Self::Interrupted(now + limits.interrupt_grace);
    }

    /// The step that is due at `now`, once.
    pub(super) fn due(&mut self, now: Instant, limits: &Limits) -> Option<Step> {
        match *self {
            Self::Interrupted(at) if now >= at => {
                *self = Self::Terminated(now + limits.terminate_grace);
                Some(Step::Terminate)
            }
            Self::Terminated(at) if now >= at => {
                *self = Self::Terminated(now + AGAIN);
                Some(Step::Kill)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_step_comes_once_and_in_order() {
        let limits = Limits {
            interrupt_grace: Duration::from_secs(3),
            terminate_grace: Duration::from_secs(5),
            ..Limits::default()
        };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut ending = Ending::default();
        assert_eq!(ending.due(at(100), &limits), None);
        ending.begin(start, &limits);
        assert_eq!(ending.due(at(2), &limits), None);
        assert_eq!(ending.due(at(3), &limits), Some(Step::Terminate));
        assert_eq!(ending.due(at(4), &limits), None);
        assert_eq!(ending.due(at(8), &limits), Some(Step::Kill));
        assert_eq!(ending.due(at(9), &limits), None);
        assert_eq!(ending.due(at(10), &limits), Some(Step::Kill));
    }
}
