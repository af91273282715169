//! Calls of the person whose machine it is, while a worker works: how it stands, a word to an agent, a run here and now.
//!
//! Neighbours: [`crate::control`] brings the calls, the desk and the workshop do what is asked.

use std::sync::Arc;

use serde_json::{Value, json};
use shared::event::EventBody;
use shared::time::Timestamp;
use shared::worker::Registration;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::desk::Desk;
use super::leaving::Ask;
use super::now;
use super::standalone::{Over, Wish};
use super::workshop::{Tools, Workshop};
use crate::control::server::Call;
use crate::control::words::{Reply, Request, RunRequest};
use crate::journal::JournalError;

/// A line comes at least every 15 s; after so long without one the proxy counts as silent.
const SILENT_MS: i64 = 45_000;

/// What is known of the worker, for whoever asks.
pub struct Switchboard {
    begun: Timestamp,
    registration: Registration,
    workshop: Arc<dyn Workshop>,
    tools: Tools,
    heard: Option<Timestamp>,
}

impl Switchboard {
    /// Of a worker that begins.
    pub fn new(registration: Registration, workshop: Arc<dyn Workshop>, tools: Tools) -> Self {
        Self { begun: now(), registration, workshop, tools, heard: None }
    }

    /// A line came from the proxy.
    pub fn heard(&mut self) {
        self.heard = Some(now());
    }

    /// Answers a call; what the worker is to do about its own end is returned.
    pub async fn answer(
        &self,
        call: Call,
        desk: Option<&mut Desk>,
        leaving: bool,
    ) -> Result<Option<Ask>, JournalError> {
        let Call { request, more, replies } = call;
        let say = |reply| {
            // Who called may have gone.
            let _ = replies.send(reply);
        };
        match request {
            Request::Status => say(Reply::Status { status: self.status(desk.as_deref(), leaving) }),
            Request::Drain => {
                say(Reply::Done);
                return Ok(Some(Ask::Leave));
            }
            Request::End => {
                say(Reply::Done);
                return Ok(Some(Ask::Stop));
            }
            Request::Say { session, text } => {
                let body = |agent_session| EventBody::SessionPrompted {
                    agent_session,
                    activity_id: Uuid::new_v4().to_string(),
                    text,
                    from_panel: true,
                };
                say(told(desk, &session, body).await?);
            }
            Request::StopSession { session } => {
                let body = |agent_session| EventBody::SessionStopped {
                    agent_session,
                    activity_id: Uuid::new_v4().to_string(),
                    from_panel: true,
                };
                say(told(desk, &session, body).await?);
            }
            Request::Run(order) => self.host(*order, more, replies),
            Request::Stop | Request::Unknown => say(refused(
                "the cyrus that runs does not know this call",
                "start it again: it is older than this command",
            )),
        }
        Ok(None)
    }

    fn status(&self, desk: Option<&Desk>, leaving: bool) -> Value {
        let silent_ms = self.heard.map(|heard| now().as_millis() - heard.as_millis());
        let state = match silent_ms {
            _ if leaving => "leaving",
            None => "connecting",
            Some(ms) if ms > SILENT_MS => "silent",
            Some(_) => "online",
        };
        let (size, used) = self.tools.slots.count();
        json!({
            "running": true,
            "state": state,
            "pid": std::process::id(),
            "version": self.registration.version,
            "name": self.registration.name,
            "workerId": self.tools.journal.worker_id().to_string(),
            "repositories": self.registration.repositories,
            "startedAt": self.begun.to_string(),
            "upMs": now().as_millis() - self.begun.as_millis(),
            "heardMs": silent_ms,
            "slots": size,
            "freeSlots": size.saturating_sub(used),
            "openSessions": desk.map_or(0, Desk::open_sessions),
        })
    }

    /// Works on what a person asks for, until it is done, they go, or the worker ends.
    fn host(
        &self,
        order: RunRequest,
        mut more: mpsc::UnboundedReceiver<Request>,
        replies: mpsc::UnboundedSender<Reply>,
    ) {
        let (wish, wishes) = mpsc::unbounded_channel();
        let (screen, mut shown) = mpsc::unbounded_channel();
        let mut ending = self.tools.ending.clone();
        let Some(mut work) = self.workshop.run_here(self.tools.clone(), order, wishes, screen) else {
            let _ = replies.send(refused("this cyrus runs nothing but issues", "use another state folder"));
            return;
        };
        tokio::spawn(async move {
            let (mut caller_is_there, mut told_to_end) = (true, false);
            let over = loop {
                tokio::select! {
                    biased;
                    Some(effect) = shown.recv() => {
                        let _ = replies.send(Reply::Shown { effect: Box::new(effect) });
                    }
                    over = &mut work => break over,
                    next = more.recv(), if caller_is_there => {
                        let told = match next {
                            Some(Request::Stop) => Wish::Stop,
                            Some(Request::End) => Wish::Quit,
                            Some(Request::Say { text, .. }) => Wish::Say(text),
                            Some(_) => continue,
                            // Nobody looks any more.
                            None => { caller_is_there = false; Wish::Stop }
                        };
                        let _ = wish.send(told);
                    }
                    _ = ending.wait_for(|ending| *ending), if !told_to_end => {
                        told_to_end = true;
                        let _ = wish.send(Wish::Quit);
                    }
                }
            };
            while let Ok(effect) = shown.try_recv() {
                let _ = replies.send(Reply::Shown { effect: Box::new(effect) });
            }
            let _ = replies.send(match over {
                Ok(over) => Reply::Over { cut: over == Over::Cut },
                Err(error) => refused(&format!("{error:#}"), "look into the log of the cyrus that runs"),
            });
        });
    }
}

async fn told(
    desk: Option<&mut Desk>,
    session: &str,
    body: impl FnOnce(shared::event::AgentSession) -> EventBody,
) -> Result<Reply, JournalError> {
    let heard = match desk {
        Some(desk) => desk.tell_here(session, body).await?,
        None => false,
    };
    Ok(if heard {
        Reply::Done
    } else {
        refused(
            &format!("nothing is at work for {session} here"),
            "write in its Linear thread or in the panel: that wakes it",
        )
    })
}

fn refused(why: &str, next: &str) -> Reply {
    Reply::Refused { why: why.to_owned(), next: next.to_owned() }
}
