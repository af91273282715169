//! Resolves the fields of a query: an entity's stored fields, links by id, and connections.
//!
//! A link is stored as the other entity's id and looked up when its fields are asked for, so cycles cost nothing.
//! What nobody set has the emptiest value that its type allows.

use std::sync::Mutex;

use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use apollo_compiler::schema::Type;
use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use super::schema::{empty_value, is_composite};
use super::store::{Label, Store};
use super::{filter, lock, mutation, page};

/// One execution: the store, and the refusals that it met.
pub(super) struct Execution<'w> {
    pub(super) store: &'w Mutex<Store>,
    pub(super) files: &'w Mutex<super::file::Files>,
    pub(super) refusals: Mutex<Vec<Refusal>>,
}

/// An object of the answer.
pub(super) struct Node<'w> {
    execution: &'w Execution<'w>,
    type_name: String,
    fields: Map<String, Value>,
}

impl<'w> Node<'w> {
    /// `Query` or `Mutation`.
    pub(super) fn root(execution: &'w Execution<'w>, type_name: &str) -> Self {
        Self { execution, type_name: type_name.to_owned(), fields: Map::new() }
    }

    fn value(&self, field: &str, arguments: &Map<String, Value>) -> Result<Option<Value>, Refusal> {
        match self.type_name.as_str() {
            "Query" => query(&mut lock(self.execution.store), field, arguments).map(Some),
            "Mutation" if field == "fileUpload" => {
                let place = lock(self.execution.files).place(arguments)?;
                let sync = lock(self.execution.store).next_sync();
                Ok(Some(json!({"success": true, "lastSyncId": sync, "uploadFile": place})))
            }
            "Mutation" => mutation::run(&mut lock(self.execution.store), field, arguments).map(Some),
            _ => {
                let id = self.fields.get("id").and_then(Value::as_str).unwrap_or_default();
                let connection =
                    connection(&lock(self.execution.store), &self.type_name, id, field, arguments);
                match connection {
                    Some(page) => page.map(Some),
                    None => Ok(self.fields.get(field).cloned()),
                }
            }
        }
    }

    fn give(&self, ty: &Type, value: Value) -> Result<ResolvedValue<'w>, Refusal> {
        if value.is_null() {
            return Ok(ResolvedValue::null());
        }
        if ty.is_list() {
            let items = value.as_array().cloned().unwrap_or_default();
            let given = items.into_iter().map(|item| self.give(ty.item_type(), item));
            return Ok(ResolvedValue::list(given.collect::<Result<Vec<_>, _>>()?));
        }
        let type_name = ty.inner_named_type().as_str();
        match type_name {
            "Float" => return Ok(ResolvedValue::leaf(value.as_f64())),
            // Linear gives this scalar as text that holds JSON; `JSONObject` it gives as JSON.
            "JSON" => return Ok(ResolvedValue::leaf(value.to_string())),
            _ => {}
        }
        if !is_composite(type_name) {
            return Ok(ResolvedValue::leaf(value));
        }
        let (type_name, fields) = match value {
            Value::Object(fields) => {
                let stated = fields.get("__typename").and_then(Value::as_str);
                (stated.unwrap_or(type_name).to_owned(), fields)
            }
            Value::String(id) => {
                let known = self.linked(type_name, &id);
                (type_name.to_owned(), known.ok_or_else(|| Refusal::not_found(type_name))?)
            }
            _ => (type_name.to_owned(), Map::new()),
        };
        Ok(ResolvedValue::object(Node { execution: self.execution, type_name, fields }))
    }

    fn linked(&self, type_name: &str, id: &str) -> Option<Map<String, Value>> {
        let mut store = lock(self.execution.store);
        // A link may lead to what nobody spoke of yet, as a seeded issue's parent.
        if type_name == "Issue" {
            let id = store.remember_issue(id)?;
            return store.fields_of(type_name, &id);
        }
        store.fields_of(type_name, id)
    }

    fn refuse(&self, refusal: Refusal) -> FieldError {
        let message = refusal.message.clone();
        lock(&self.execution.refusals).push(refusal);
        FieldError { message }
    }
}

impl ObjectValue for Node<'_> {
    fn type_name(&self) -> &str {
        &self.type_name
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        let arguments = match serde_json::to_value(info.arguments()) {
            Ok(Value::Object(arguments)) => arguments,
            _ => Map::new(),
        };
        let ty = &info.field_definition().ty;
        let value = self.value(info.field_name(), &arguments).map_err(|refusal| self.refuse(refusal))?;
        let value = value.unwrap_or_else(|| empty_value(ty, lock(self.execution.store).started()));
        self.give(ty, value).map_err(|refusal| self.refuse(refusal))
    }
}

fn query(store: &mut Store, field: &str, arguments: &Map<String, Value>) -> Result<Value, Refusal> {
    let id = arguments.get("id").and_then(Value::as_str).unwrap_or_default();
    let known = |found: Option<String>, entity: &str| {
        found.map(Value::String).ok_or_else(|| Refusal::not_found(entity))
    };
    match field {
        "viewer" => Ok(store.app_user_id().into()),
        "organization" => Ok("organization".into()),
        "issue" => known(store.remember_issue(id), "Issue"),
        "team" => known(store.remember_team(id), "Team"),
        "workflowState" => known(store.state(id).map(|state| state.id.clone()), "WorkflowState"),
        "agentSession" => known(store.remember_session(id).map(|session| session.id.clone()), "AgentSession"),
        "agentActivity" => known(store.has_activity(id).then(|| id.to_owned()), "AgentActivity"),
        "agentSessions" => newest_first(store, "AgentSession", store.session_ids(), arguments),
        "issues" => newest_first(store, "Issue", store.issue_ids(), arguments),
        _ => Err(Refusal::input(format!("the stand-in has no answer for `{field}`"))),
    }
}

fn connection(
    store: &Store,
    type_name: &str,
    id: &str,
    field: &str,
    arguments: &Map<String, Value>,
) -> Option<Result<Value, Refusal>> {
    match (type_name, field) {
        ("AgentSession", "activities") => {
            let activities =
                store.session(id).map(|session| session.activities.as_slice()).unwrap_or_default();
            let ids =
                activities.iter().filter(|activity| !activity.replaced).map(|activity| activity.id.clone());
            Some(newest_first(store, "AgentActivity", ids.collect(), arguments))
        }
        ("Team", "states") => Some(newest_first(store, "WorkflowState", store.team_state_ids(id), arguments)),
        ("Issue", "children") => Some(newest_first(store, "Issue", store.children_of(id), arguments)),
        ("Issue", "labels") => {
            let fields = store.fields_of("Issue", id).unwrap_or_default();
            let ids = fields.get("labelIds").and_then(Value::as_array).cloned().unwrap_or_default();
            let ids = ids.iter().filter_map(Value::as_str).filter(|id| store.label(id).is_some());
            Some(page::cut(ids.map(str::to_owned).collect(), arguments))
        }
        _ => None,
    }
}

/// `ids` come oldest first, as they were stored.
fn newest_first(
    store: &Store,
    type_name: &str,
    ids: Vec<String>,
    arguments: &Map<String, Value>,
) -> Result<Value, Refusal> {
    let wanted = arguments.get("filter").unwrap_or(&Value::Null);
    let mut ids: Vec<String> =
        ids.into_iter().rev().filter(|id| filter::fits(store, type_name, id, wanted)).collect();
    if arguments.get("orderBy").and_then(Value::as_str) == Some("updatedAt") {
        let updated = |id: &String| {
            let fields = store.fields_of(type_name, id).unwrap_or_default();
            fields.get("updatedAt").and_then(Value::as_str).map(str::to_owned)
        };
        ids.sort_by_cached_key(|id| std::cmp::Reverse(updated(id)));
    }
    page::cut(ids, arguments)
}

/// A label by id, for mutations that set labels.
pub(super) fn label(store: &Store, id: &str) -> Result<Label, Refusal> {
    store.label(id).cloned().ok_or_else(|| Refusal::not_found("IssueLabel"))
}
