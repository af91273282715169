//! What an agent changes: activities, sessions, issues.
//!
//! Arguments fit the schema already; here are the rules that the schema cannot say.

use serde_json::{Map, Value};
use uuid::{Uuid, Variant};

use super::content::{self, Checked};
use super::refusal::Refusal;
use super::store::{Activity, Issue, Label, Store, now};

/// Runs one mutation and gives its payload.
pub(super) fn run(store: &mut Store, field: &str, arguments: &Map<String, Value>) -> Result<Value, Refusal> {
    let id = arguments.get("id").and_then(Value::as_str).unwrap_or_default();
    let empty = Map::new();
    let input = arguments.get("input").and_then(Value::as_object).unwrap_or(&empty);
    let (link, value) = match field {
        "agentActivityCreate" => ("agentActivity", create_activity(store, input)?),
        "agentSessionUpdate" => ("agentSession", update_session(store, id, input)?),
        "agentSessionCreateOnIssue" => ("agentSession", create_session(store, input)?),
        "issueUpdate" => ("issue", update_issue(store, id, input)?),
        "issueCreate" => ("issue", create_issue(store, input)?),
        _ => return Err(Refusal::input(format!("the stand-in has no mutation `{field}`"))),
    };
    let mut payload = Map::new();
    payload.insert("success".into(), true.into());
    payload.insert("lastSyncId".into(), store.next_sync().into());
    payload.insert(link.into(), value.into());
    Ok(payload.into())
}

fn text<'a>(input: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    input.get(name).and_then(Value::as_str)
}

/// An own id must be a UUID of version 4; without one the server makes it.
fn own_id(input: &Map<String, Value>) -> Result<String, Refusal> {
    let Some(id) = text(input, "id") else { return Ok(Uuid::new_v4().to_string()) };
    match Uuid::try_parse(id) {
        Ok(uuid) if uuid.get_version_num() == 4 && uuid.get_variant() == Variant::RFC4122 => {
            Ok(uuid.to_string())
        }
        _ => Err(Refusal::input("Argument Validation Error - id must be a UUID of version 4")),
    }
}

fn create_activity(store: &mut Store, input: &Map<String, Value>) -> Result<String, Refusal> {
    let ephemeral = input.get("ephemeral").and_then(Value::as_bool).unwrap_or(false);
    let Checked { kind, fields } = content::check(input.get("content").unwrap_or(&Value::Null), ephemeral)?;
    let signal = input.get("signal").cloned().unwrap_or_default();
    match signal.as_str() {
        Some("stop") => {
            return Err(Refusal::input("signal `stop` is a person's and cannot be sent by an agent"));
        }
        Some("auth" | "select") if kind != "elicitation" => {
            return Err(Refusal::input("signals `auth` and `select` belong to an elicitation"));
        }
        _ => {}
    }
    let id = own_id(input)?;
    if store.has_activity(&id) {
        return Err(Refusal::input(format!("Entity AgentActivity with id {id} already exists")));
    }
    let session_id = text(input, "agentSessionId").unwrap_or_default();
    if store.remember_session(session_id).is_none() {
        return Err(Refusal::not_found("AgentSession"));
    }
    let mut activity = Activity::new(id.clone(), &kind, fields);
    activity.ephemeral = ephemeral;
    activity.signal = signal;
    activity.signal_metadata = input.get("signalMetadata").cloned().unwrap_or_default();
    store.put_activity(session_id, activity);
    Ok(id)
}

fn update_session(store: &mut Store, id: &str, input: &Map<String, Value>) -> Result<String, Refusal> {
    if let Some(plan) = input.get("plan") {
        content::check_plan(plan)?;
    }
    let session = store.remember_session(id).ok_or_else(|| Refusal::not_found("AgentSession"))?;
    if let Some(plan) = input.get("plan") {
        session.plan = plan.clone();
    }
    let links = |name: &str| input.get(name).and_then(Value::as_array);
    let pair = |link: &Value| {
        let part = |name: &str| link.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        (part("label"), part("url"))
    };
    if let Some(all) = links("externalUrls") {
        session.urls.clear();
        for (label, url) in all.iter().map(pair) {
            session.set_url(&label, &url);
        }
        return Ok(id.to_owned());
    }
    for (label, url) in links("addedExternalUrls").into_iter().flatten().map(pair) {
        session.set_url(&label, &url);
    }
    let removed = links("removedExternalUrls").cloned().unwrap_or_default();
    session.urls.retain(|(_, url)| !removed.iter().any(|gone| gone == url.as_str()));
    Ok(id.to_owned())
}

fn create_session(store: &mut Store, input: &Map<String, Value>) -> Result<String, Refusal> {
    let issue = text(input, "issueId").and_then(|id| store.remember_issue(id));
    let issue = issue.ok_or_else(|| Refusal::not_found("Issue"))?;
    let id = Uuid::new_v4().to_string();
    if let Some(session) = store.remember_session(&id) {
        session.issue_id = Some(issue);
    }
    update_session(store, &id, input)
}

fn update_issue(store: &mut Store, id: &str, input: &Map<String, Value>) -> Result<String, Refusal> {
    let id = store.remember_issue(id).ok_or_else(|| Refusal::not_found("Issue"))?;
    let mut issue =
        store.issue_mut(&id).map(|issue| issue.clone()).ok_or_else(|| Refusal::not_found("Issue"))?;
    set_fields(store, &mut issue, input)?;
    issue.updated_at = now();
    store.put_issue(issue);
    Ok(id)
}

fn create_issue(store: &mut Store, input: &Map<String, Value>) -> Result<String, Refusal> {
    let id = own_id(input)?;
    if store.issue_id(&id).is_some() {
        return Err(Refusal::input(format!("Entity Issue with id {id} already exists")));
    }
    if text(input, "title").is_none_or(str::is_empty) {
        return Err(Refusal::input("Argument Validation Error - title must not be empty"));
    }
    let team = text(input, "teamId").and_then(|team| store.remember_team(team));
    let mut issue = Issue::plain(&id);
    issue.team_id = team.ok_or_else(|| Refusal::not_found("Team"))?;
    issue.state_id = store.state_of_type(&issue.team_id, "unstarted");
    set_fields(store, &mut issue, input)?;
    store.put_issue(issue);
    Ok(id)
}

/// Sets what is there; null clears what may be null.
fn set_fields(store: &mut Store, issue: &mut Issue, input: &Map<String, Value>) -> Result<(), Refusal> {
    if let Some(title) = text(input, "title") {
        // Linear keeps the suggested branch in step with the title; a renamed issue's branch changes with it.
        issue.set_title(title);
    }
    if let Some(state) = text(input, "stateId") {
        let state = store.state(state).ok_or_else(|| Refusal::not_found("WorkflowState"))?;
        if state.team_id != issue.team_id {
            return Err(Refusal::input("Discrepancy between issue team and state team"));
        }
        issue.state_id.clone_from(&state.id);
    }
    if input.contains_key("parentId") {
        let parent = text(input, "parentId");
        issue.parent_id = match parent {
            Some(parent) => Some(store.remember_issue(parent).ok_or_else(|| Refusal::not_found("Issue"))?),
            None => None,
        };
    }
    let set = |name: &str, to: &mut Option<String>| {
        if input.contains_key(name) {
            *to = text(input, name).map(str::to_owned);
        }
    };
    set("description", &mut issue.description);
    set("delegateId", &mut issue.delegate_id);
    set("assigneeId", &mut issue.assignee_id);
    if let Some(project) = text(input, "projectId") {
        issue.project = Some((project.to_owned(), "Project".to_owned()));
    }
    if let Some(priority) = input.get("priority").and_then(Value::as_i64) {
        if !(0..=4).contains(&priority) {
            return Err(Refusal::input("Argument Validation Error - priority must be from 0 to 4"));
        }
        issue.priority = priority;
    }
    let labels = |name: &str| -> Result<Option<Vec<Label>>, Refusal> {
        let Some(ids) = input.get(name).and_then(Value::as_array) else { return Ok(None) };
        ids.iter()
            .filter_map(Value::as_str)
            .map(|id| super::node::label(store, id))
            .collect::<Result<_, _>>()
            .map(Some)
    };
    if let Some(all) = labels("labelIds")? {
        issue.labels = all;
    }
    let removed = labels("removedLabelIds")?.unwrap_or_default();
    issue.labels.retain(|label| !removed.iter().any(|gone| gone.id == label.id));
    for label in labels("addedLabelIds")?.unwrap_or_default() {
        if !issue.labels.iter().any(|known| known.id == label.id) {
            issue.labels.push(label);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::LinearConfig;
    use super::*;

    fn input(value: Value) -> Map<String, Value> {
        let mut arguments = Map::new();
        arguments.insert("input".into(), value);
        arguments
    }

    #[test]
    fn an_activity_is_stored_once_however_often_it_is_sent() {
        let mut store = Store::new(&LinearConfig::default());
        let id = "6f0f2c1e-93ad-4c55-8a2a-0e6b0e6f1b11";
        let create =
            input(json!({"agentSessionId": "s", "id": id, "content": {"type": "thought", "body": "b"}}));
        assert!(run(&mut store, "agentActivityCreate", &create).is_ok());
        let again = run(&mut store, "agentActivityCreate", &create).expect_err("refused");
        assert!(again.message.contains("already exists"), "{}", again.message);
        assert_eq!(store.session("s").map(|session| session.activities.len()), Some(1));
    }

    #[test]
    fn own_ids_of_another_version_are_refused() {
        for id in ["1", "018f4d7a-7b7a-7c3e-9a4b-2f5d6c7e8f90", "6f0f2c1e-93ad-4c55-0a2a-0e6b0e6f1b11", ""] {
            let mut store = Store::new(&LinearConfig::default());
            let create =
                input(json!({"agentSessionId": "s", "id": id, "content": {"type": "thought", "body": "b"}}));
            assert!(run(&mut store, "agentActivityCreate", &create).is_err(), "{id}");
            assert!(store.session("s").is_none(), "a refused create must leave nothing behind");
        }
    }

    #[test]
    fn links_are_replaced_added_and_removed_as_the_input_says() {
        let mut store = Store::new(&LinearConfig::default());
        let mut update = |value: Value| {
            let mut arguments = input(value);
            arguments.insert("id".into(), "s".into());
            run(&mut store, "agentSessionUpdate", &arguments).expect("taken");
            store.session("s").map(|session| session.links()).expect("a session")
        };
        let (a, b) = (json!({"label": "A", "url": "https://a"}), json!({"label": "B", "url": "https://b"}));
        assert_eq!(update(json!({"addedExternalUrls": [a]})), json!([a]));
        assert_eq!(update(json!({"addedExternalUrls": [a, b]})), json!([a, b]));
        assert_eq!(update(json!({"removedExternalUrls": ["https://a"]})), json!([b]));
        assert_eq!(update(json!({"externalUrls": [a], "addedExternalUrls": [b]})), json!([a]));
    }

    #[test]
    fn a_state_of_another_team_is_refused() {
        let mut store = Store::new(&LinearConfig::default());
        let issue = store.remember_issue("ENG-1").expect("an issue");
        let other = store.remember_team("other").expect("a team");
        let foreign = store.state_of_type(&other, "started");
        let mut arguments = input(json!({"stateId": foreign}));
        arguments.insert("id".into(), issue.into());
        assert!(run(&mut store, "issueUpdate", &arguments).is_err());
        arguments.insert("input".into(), json!({"stateId": "nowhere"}));
        assert!(run(&mut store, "issueUpdate", &arguments).is_err());
    }
}
