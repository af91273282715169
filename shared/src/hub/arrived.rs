//! An event on its way into a hub: what the rules and the tables need to know of it, then its text as it is.
//!
//! The hub stores and streams the text without reading it; so a webhook is parsed once, by whoever received it.

use serde::{Deserialize, Serialize};

use crate::event::{Event, EventBody};
use crate::id::{AgentSessionId, DeliveryId, EventId, LinearWorkspaceId, SessionKey};
use crate::problem::{Problem, ProblemCode};

use super::fleet::Wants;
use super::ledger::Sort;

/// The longest title that is kept for lists, in characters.
const MAX_TITLE: usize = 120;

/// What is known of an event without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arrived {
    /// The event's own id.
    pub id: EventId,
    /// The sender's id of the delivery.
    pub delivery_id: DeliveryId,
    /// The meaning, by which a repeat under another delivery id is known.
    pub meaning: String,
    /// What orders and leases it.
    pub session_key: SessionKey,
    /// The agent session.
    pub agent_session_id: AgentSessionId,
    /// The workspace; empty: none of Linear's.
    pub workspace_id: LinearWorkspaceId,
    /// What sort of event it is to the rules.
    pub sort: Sort,
    /// What it wants of a worker.
    #[serde(default)]
    pub wants: Wants,
    /// `session_created`, …
    pub kind: String,
    /// The issue's identifier and title, cut short.
    pub title: Option<String>,
    /// It came from the issue: the hub has yet to find the agent session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_issue: Option<OfIssue>,
}

/// What the hub needs to know of an event of an issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OfIssue {
    /// What runs on the issue is to end.
    pub ends: bool,
    /// Who did it: what the agent itself does to its issue is no news to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<String>,
}

/// What the hub knows of an issue that an event came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownIssue {
    /// Its newest agent session.
    pub agent_session: AgentSessionId,
    /// Work on it is waiting or under way.
    pub open: bool,
    /// The protocol of the worker that holds its lease.
    pub protocol: Option<u32>,
}

impl Arrived {
    /// Gives an event of an issue its agent session and its sort. `false`: nobody needs it, and it is not stored. An
    /// edit is only for work that is open. An end that finds some is a stop; else the worker that was there hears of it,
    /// and Linear nothing. A worker that could not read it is left alone.
    pub fn attach(&mut self, known: KnownIssue) -> bool {
        let Some(of_issue) = self.of_issue.take() else { return true };
        let unreadable = known.protocol.is_some_and(|protocol| protocol < self.wants.protocol);
        if unreadable || !(known.open || of_issue.ends) {
            return false;
        }
        self.agent_session_id = known.agent_session;
        self.sort = if of_issue.ends && known.open { Sort::Stop } else { Sort::Local };
        true
    }
}

impl Arrived {
    /// What is to be known of an event.
    pub fn of(event: &Event, meaning: String) -> Self {
        let session = event.body.agent_session();
        let sort = match (&event.body, session.local) {
            (EventBody::SessionStopped { .. }, false) => Sort::Stop,
            (EventBody::SessionStopped { .. }, true) => Sort::LocalStop,
            (body, _) if body.is_of_issue() => Sort::Local,
            (EventBody::CheckRequested { .. }, _) | (_, true) => Sort::Local,
            (_, false) => Sort::Work,
        };
        let issue = session.issue.as_ref().map(|issue| match &issue.identifier {
            Some(identifier) => format!("{identifier} {}", issue.title),
            None => issue.title.clone(),
        });
        let title = issue.or_else(|| match &event.body {
            EventBody::RunRequested { prompt, .. } => Some(prompt.clone()),
            EventBody::CheckRequested { executor, .. } => Some(format!("Check of {executor}")),
            _ => None,
        });
        Self {
            id: event.id,
            delivery_id: event.delivery_id.clone(),
            meaning,
            session_key: event.body.session_key(),
            agent_session_id: session.id.clone(),
            workspace_id: event.workspace_id.clone(),
            sort,
            wants: Wants::of(event),
            kind: event.body.kind().to_owned(),
            title: title.map(|title| title.chars().take(MAX_TITLE).collect()),
            of_issue: event.body.is_of_issue().then(|| OfIssue {
                ends: event.body.is_stop(),
                actor_id: event.body.actor().and_then(|actor| actor.id.clone()),
            }),
        }
    }

    /// Both as one text: what is known in the first line, the event in the second.
    pub fn frame(&self, event: &str) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string(self)?;
        text.reserve(event.len() + 1);
        text.push('\n');
        text.push_str(event);
        Ok(text)
    }
}

/// The two parts of what [`Arrived::frame`] made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split<'a> {
    /// What is known.
    pub arrived: Arrived,
    /// The event's text: one line of JSON.
    pub event: &'a str,
}

impl<'a> Split<'a> {
    /// Takes framed events apart that were joined by line breaks. JSON holds no raw line break, so the lines take turns.
    pub fn all(text: &'a str) -> Result<Vec<Self>, Problem> {
        let wrong = |detail: String| Problem::new(ProblemCode::InvalidRequest, detail);
        let mut lines = text.split('\n');
        let mut all = Vec::new();
        while let Some(first) = lines.next() {
            let event = lines.next().ok_or_else(|| wrong("the event's own line is missing".to_owned()))?;
            let arrived = serde_json::from_str(first).map_err(|error| wrong(error.to_string()))?;
            all.push(Self { arrived, event });
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::AgentSession;
    use crate::id::new_uuid;
    use crate::time::Timestamp;

    #[test]
    fn an_event_of_an_issue_is_for_work_that_is_open_and_for_workers_that_can_read_it() {
        let arrived = |ends| Arrived {
            id: EventId::from_uuid(new_uuid(Timestamp::from_millis(1), [1; 10])),
            delivery_id: DeliveryId::from("d"),
            meaning: "m".into(),
            session_key: SessionKey::from("iss"),
            agent_session_id: AgentSessionId::from(""),
            workspace_id: LinearWorkspaceId::from("w"),
            sort: Sort::Local,
            wants: Wants { protocol: 2, ..Wants::default() },
            kind: "k".into(),
            title: None,
            of_issue: Some(OfIssue { ends, actor_id: None }),
        };
        let sort = |ends, open, protocol| {
            let mut arrived = arrived(ends);
            let known = KnownIssue { agent_session: AgentSessionId::from("as"), open, protocol };
            arrived.attach(known).then_some((arrived.agent_session_id.0, arrived.sort))
        };
        let told = |sort| Some(("as".to_owned(), sort));
        assert_eq!(sort(false, true, Some(2)), told(Sort::Local));
        assert_eq!(sort(false, false, None), None, "an edit wakes nobody");
        assert_eq!(sort(true, true, None), told(Sort::Stop));
        assert_eq!(sort(true, false, None), told(Sort::Local), "nothing ran: Linear hears nothing");
        assert_eq!((sort(true, true, Some(1)), sort(false, true, Some(1))), (None, None));
    }

    #[test]
    fn an_event_comes_out_as_it_went_in_even_with_line_breaks_in_its_texts() {
        let now = Timestamp::from_millis(1_795_342_525_781);
        let event = Event {
            id: EventId::from_uuid(new_uuid(now, [1; 10])),
            delivery_id: DeliveryId::from("d"),
            received_at: now,
            workspace_id: LinearWorkspaceId::from("w"),
            body: EventBody::RunRequested {
                agent_session: AgentSession {
                    id: AgentSessionId::from("ses_1"),
                    url: None,
                    issue: None,
                    comment: None,
                    creator_name: None,
                    local: true,
                },
                prompt: "first\nsecond \u{1f980}\u{0}".into(),
                repository: Some("App".into()),
            },
        };
        let text = serde_json::to_string(&event).unwrap();
        let arrived = Arrived::of(&event, "m\n".into());
        assert_eq!((arrived.sort, arrived.wants.repository.as_deref()), (Sort::Local, Some("app")));
        let framed = arrived.frame(&text).unwrap();
        let two = format!("{framed}\n{framed}");
        let split = Split { arrived, event: &text };
        assert_eq!(Split::all(&framed).unwrap(), std::slice::from_ref(&split));
        assert_eq!(Split::all(&two).unwrap(), [split.clone(), split]);
        for nasty in ["", "\n", "{}\n{}", "no line", &format!("{framed}\n"), &format!("{framed}\n{text}")] {
            assert!(Split::all(nasty).is_err(), "{nasty:?}");
        }
    }
}
