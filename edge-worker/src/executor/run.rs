//! A live run as its owner holds it: events out, messages and stops in, an outcome at the end.
//! Neighbours: an executor's process loop sits at the other end of these channels.
//! It must never block the loop: events wait in the run file when nobody reads them.

use std::collections::VecDeque;

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::ExecutorError;
use super::event::{Reading, RunEvent};
use super::outcome::{RunEnd, RunError, RunErrorKind, RunOutcome};
use super::question::Decision;

/// How many events wait for a slow reader before the loop stops reading the agent's output.
pub const EVENT_QUEUE: usize = 256;

/// A live run. Dropping it does not stop the run; dropping or ignoring its events does not slow the agent.
#[derive(Debug)]
pub struct Run {
    readings: mpsc::Receiver<Reading>,
    /// Events of a reading that was taken one by one.
    opened: VecDeque<RunEvent>,
    control: RunControl,
    outcome: oneshot::Receiver<RunOutcome>,
}

/// The steering of a run, for any number of holders.
#[derive(Debug, Clone)]
pub struct RunControl {
    orders: mpsc::Sender<Order>,
    pid: Option<u32>,
}

/// What the loop is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    Send { id: Uuid, text: String, reply: oneshot::Sender<Result<(), ExecutorError>> },
    Interrupt { then: Option<(Uuid, String)>, reply: oneshot::Sender<Result<(), ExecutorError>> },
    Answer { id: String, decision: Decision, reply: oneshot::Sender<Result<(), ExecutorError>> },
    Stop,
}

/// The loop's ends of the channels.
#[derive(Debug)]
pub(super) struct RunDriver {
    pub(super) readings: mpsc::Sender<Reading>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) outcome: oneshot::Sender<RunOutcome>,
}

/// The two sides of a run.
pub(super) fn channels(pid: Option<u32>) -> (Run, RunDriver) {
    let (reading_sender, readings) = mpsc::channel(EVENT_QUEUE);
    let (order_sender, orders) = mpsc::channel(16);
    let (outcome_sender, outcome) = oneshot::channel();
    let control = RunControl { orders: order_sender, pid };
    let run = Run { readings, opened: VecDeque::new(), control, outcome };
    (run, RunDriver { readings: reading_sender, orders, outcome: outcome_sender })
}

impl Run {
    /// The next event; `None` when the run has ended.
    pub async fn next_event(&mut self) -> Option<RunEvent> {
        while self.opened.is_empty() {
            self.opened.extend(self.readings.recv().await?.events);
        }
        self.opened.pop_front()
    }

    /// What was read next, as much as there is at once up to `most` readings; empty when the run has ended. Nothing
    /// is lost when the wait for it is given up.
    pub async fn next_readings(&mut self, most: usize) -> Vec<Reading> {
        let mut readings = Vec::new();
        self.readings.recv_many(&mut readings, most).await;
        readings
    }

    /// A handle to steer the run with.
    pub fn control(&self) -> RunControl {
        self.control.clone()
    }

    /// Waits for the end. Events that were not read are let go.
    pub async fn wait(self) -> RunOutcome {
        drop(self.readings);
        self.outcome.await.unwrap_or_else(|_| RunOutcome {
            end: RunEnd::Failed,
            error: Some(RunError::new(
                RunErrorKind::Internal,
                "the run's loop ended without an outcome: this is a fault in cyrus; the run can be resumed",
            )),
            ..RunOutcome::stopped()
        })
    }
}

impl RunControl {
    /// The agent's process id, when it is a process of this machine.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Sends a message into the run under a fresh id, which is returned. See [`RunControl::send_as`].
    pub async fn send(&self, text: impl Into<String>) -> Result<Uuid, ExecutorError> {
        let id = Uuid::new_v4();
        self.send_as(id, text).await?;
        Ok(id)
    }

    /// Sends a message into the run. The agent takes each id once; `Input` events tell what became of it.
    /// Fails with `InputClosed` when the turn is over: then start a run that resumes.
    pub async fn send_as(&self, id: Uuid, text: impl Into<String>) -> Result<(), ExecutorError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Send { id, text: text.into(), reply }, answer).await
    }

    /// Cuts the running turn short. With nothing else sent, the run then ends as stopped.
    pub async fn interrupt(&self) -> Result<(), ExecutorError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Interrupt { then: None, reply }, answer).await
    }

    /// Cuts the running turn short and goes on with this message instead.
    pub async fn redirect(&self, id: Uuid, text: impl Into<String>) -> Result<(), ExecutorError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Interrupt { then: Some((id, text.into())), reply }, answer).await
    }

    /// Answers a question of the agent by the question's id. Fails with `NoQuestion` when it was answered or withdrawn,
    /// with `InputClosed` when the run is over.
    pub async fn answer(&self, id: impl Into<String>, decision: Decision) -> Result<(), ExecutorError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Answer { id: id.into(), decision, reply }, answer).await
    }

    /// Ends the run: interrupt, then SIGTERM, then SIGKILL for it and all that it started. Returns when it is gone.
    pub async fn stop(&self) {
        if self.orders.send(Order::Stop).await.is_ok() {
            self.orders.closed().await;
        }
    }

    async fn order(
        &self,
        order: Order,
        answer: oneshot::Receiver<Result<(), ExecutorError>>,
    ) -> Result<(), ExecutorError> {
        self.orders.send(order).await.map_err(|_| ExecutorError::InputClosed)?;
        answer.await.unwrap_or(Err(ExecutorError::InputClosed))
    }
}
