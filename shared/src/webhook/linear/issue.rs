//! What happens to an issue while an agent works on it: its words change, it is closed, it is taken away from the agent.
//!
//! These bodies name no agent session; the hub finds the issue's newest one, and drops what is of an issue that it does
//! not know. Nothing else of an issue's life is taken: labels, estimates and moves between open states change no work.

use super::super::part::{ActorPart, IssuePart, NotificationPart, UpdatedFromPart, Was};
use super::{issue_of, required, wrong_shape};
use crate::event::{Actor, AgentSession, Change, Closing, EventBody, IssueField};
use crate::id::AgentSessionId;
use crate::problem::Problem;

/// `Issue` / `update` or `remove`. `None`: nothing that a worker needs to know.
pub(super) fn changed(
    removed: bool,
    data: IssuePart,
    before: UpdatedFromPart,
    actor: ActorPart,
) -> Result<Option<(String, EventBody)>, Problem> {
    if !data.is_object {
        return Err(wrong_shape("an issue's body needs `data`"));
    }
    let how = closing(removed, &data, &before);
    let mut changed = Vec::new();
    note(&mut changed, IssueField::Title, before.title, data.title.0.clone());
    note(&mut changed, IssueField::Description, before.description, data.description.0.clone());
    if how.is_none() && changed.is_empty() {
        return Ok(None);
    }
    let updated_at = required(data.updated_at.clone(), "data.updatedAt")?;
    let agent_session = session_of(data, "data.id")?;
    let actor = actor_of(actor);
    let action = if removed { "remove" } else { "update" };
    let meaning = format!("Issue/{action}/{}/{updated_at}", agent_session.session_key());
    let body = match how {
        Some(how) => EventBody::IssueClosed { agent_session, how, actor },
        None => EventBody::IssueEdited { agent_session, changed, actor },
    };
    Ok(Some((meaning, body)))
}

/// `AppUserNotification` / `issueUnassignedFromYou`.
pub(super) fn unassigned(notification: NotificationPart) -> Result<(String, EventBody), Problem> {
    if !notification.is_object || !notification.issue.is_object {
        return Err(wrong_shape("this notification needs `notification.issue`"));
    }
    let meaning = format!("notification/{}", required(notification.id, "notification.id")?);
    let agent_session = session_of(notification.issue, "notification.issue.id")?;
    Ok((meaning, EventBody::Unassigned { agent_session, actor: actor_of(notification.actor) }))
}

fn closing(removed: bool, data: &IssuePart, before: &UpdatedFromPart) -> Option<Closing> {
    if removed || (before.trashed.0.is_some() && data.trashed.0) {
        return Some(Closing::Deleted);
    }
    before.state_id.0.as_ref()?;
    match data.state.kind.as_str()? {
        "completed" => Some(Closing::Done),
        "canceled" => Some(Closing::Canceled),
        _ => None,
    }
}

fn note(changed: &mut Vec<Change>, field: IssueField, before: Was, new: Option<String>) {
    if let Some(old) = before.0
        && old.0 != new
    {
        changed.push(Change { field, old: old.0, new });
    }
}

/// A session that the hub has yet to name.
fn session_of(issue: IssuePart, path: &str) -> Result<AgentSession, Problem> {
    Ok(AgentSession {
        id: AgentSessionId(String::new()),
        url: None,
        issue: Some(issue_of(issue, path)?),
        comment: None,
        creator_name: None,
        local: false,
    })
}

fn actor_of(actor: ActorPart) -> Option<Actor> {
    let short = |text: String| text.chars().take(128).collect();
    actor.is_object.then(|| Actor { id: actor.id.0.map(short), name: actor.name.0.map(short) })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Received, read};
    use crate::event::{Change, Closing, EventBody, IssueField};
    use crate::time::Timestamp;

    const NOW: Timestamp = Timestamp::from_millis(1_795_342_525_781);

    fn update(data: Value, from: Value) -> Value {
        let mut body = json!({
            "type": "Issue", "action": "update", "organizationId": "org-1", "webhookTimestamp": NOW.as_millis(),
            "actor": {"id": "u-1", "type": "user", "name": "Ada"}, "updatedFrom": from,
            "data": {
                "id": "iss-1", "identifier": "ENG-1", "title": "New", "description": "Newer", "labelIds": ["l"],
                "updatedAt": "2026-11-22T10:15:25.752Z", "state": {"type": "started"}, "trashed": null, "team": {"key": "ENG"}
            }
        });
        for (key, value) in data.as_object().unwrap() {
            body["data"][key] = value.clone();
        }
        body
    }

    fn body_of(body: &Value) -> Option<(String, EventBody)> {
        match read(body.to_string().as_bytes(), NOW).unwrap() {
            Received::Ours { meaning, body, .. } => Some((meaning, *body)),
            Received::NotOurs { .. } => None,
        }
    }

    fn how(body: &Value) -> Option<Closing> {
        match body_of(body)?.1 {
            EventBody::IssueClosed { how, .. } => Some(how),
            _ => None,
        }
    }

    #[test]
    fn changed_words_come_with_what_they_were() {
        let body = update(json!({}), json!({"title": "Old", "description": null, "sortOrder": 1.5}));
        let (meaning, body) = body_of(&body).unwrap();
        assert_eq!(meaning, "Issue/update/iss-1/2026-11-22T10:15:25.752Z");
        assert!(body.is_of_issue() && !body.is_stop() && body.agent_session().id.0.is_empty());
        assert_eq!(body.session_key().as_str(), "iss-1");
        assert_eq!(body.actor().unwrap().name.as_deref(), Some("Ada"));
        let EventBody::IssueEdited { changed, .. } = body else { panic!("{body:?}") };
        let change = |field, old: Option<&str>, new: &str| Change {
            field,
            old: old.map(str::to_owned),
            new: Some(new.to_owned()),
        };
        assert_eq!(
            changed,
            [change(IssueField::Title, Some("Old"), "New"), change(IssueField::Description, None, "Newer")]
        );
    }

    #[test]
    fn what_changes_no_work_is_not_ours() {
        for from in [
            json!({}),
            json!(null),
            json!([]),
            json!({"stateId": "s"}),
            json!({"title": "New"}),
            json!({"estimate": 1}),
        ] {
            assert_eq!(body_of(&update(json!({}), from.clone())), None, "{from}");
        }
        assert_eq!(body_of(&update(json!({"trashed": "true"}), json!({"trashed": null}))), None);
        // It was closed before; who edits it then opens nothing.
        assert_eq!(how(&update(json!({"state": {"type": "completed"}}), json!({"title": "Old"}))), None);
    }

    #[test]
    fn an_issue_is_closed_by_its_state_by_the_trash_or_by_its_end() {
        let moved = json!({"stateId": "s", "title": "Old"});
        let to = |state: &str| how(&update(json!({"state": {"type": state}}), moved.clone()));
        assert_eq!((to("completed"), to("canceled")), (Some(Closing::Done), Some(Closing::Canceled)));
        assert_eq!((to("started"), to("weather")), (None, None));
        let trashed = update(json!({"trashed": true}), json!({"trashed": null}));
        assert_eq!(how(&trashed), Some(Closing::Deleted));
        let mut removed = update(json!({}), json!(null));
        removed["action"] = json!("remove");
        assert_eq!(how(&removed), Some(Closing::Deleted));
        assert_eq!(body_of(&removed).unwrap().0, "Issue/remove/iss-1/2026-11-22T10:15:25.752Z");
    }

    #[test]
    fn being_unassigned_is_known_by_its_notification() {
        let mut body = json!({
            "type": "AppUserNotification", "action": "issueUnassignedFromYou", "organizationId": "org-1",
            "webhookTimestamp": NOW.as_millis(),
            "notification": {"id": "n-1", "actor": null, "issue": {"id": "iss-1", "identifier": "ENG-1", "title": "T"}}
        });
        let (meaning, event) = body_of(&body).unwrap();
        assert_eq!((meaning.as_str(), event.kind()), ("notification/n-1", "unassigned"));
        assert!(event.is_stop() && event.actor().is_none() && event.protocol() == 2);
        body["action"] = json!("issueMention");
        assert_eq!(body_of(&body), None);
    }

    #[test]
    fn nasty_bodies_are_refused() {
        let edited = || update(json!({}), json!({"title": "Old"}));
        let mut nasty = Vec::new();
        for (key, value) in [
            ("id", json!(7)),
            ("id", json!("")),
            ("updatedAt", json!(null)),
            ("updatedAt", json!("x".repeat(129))),
        ] {
            let mut body = edited();
            body["data"][key] = value;
            nasty.push(body);
        }
        for data in [json!(null), json!([]), json!("x")] {
            let mut body = edited();
            body["data"] = data;
            nasty.push(body);
        }
        for notification in
            [json!(null), json!({"id": "n"}), json!({"issue": {"id": "i"}}), json!({"id": "n", "issue": {}})]
        {
            nasty.push(json!({
                "type": "AppUserNotification", "action": "issueUnassignedFromYou", "organizationId": "o",
                "webhookTimestamp": NOW.as_millis(), "notification": notification
            }));
        }
        for body in nasty {
            let problem = read(body.to_string().as_bytes(), NOW).unwrap_err();
            assert_eq!(problem.code, "wrong_shape", "{body}");
        }
    }
}
