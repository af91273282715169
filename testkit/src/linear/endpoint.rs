//! `POST /graphql`: faults, token, rate, validation, execution, in this order.
//!
//! Every answer carries Linear's rate-limit headers.

use std::sync::Arc;
use std::time::Duration;

use apollo_compiler::ExecutableDocument;
use apollo_compiler::executable::Operation;
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::resolvers::Execution as Executor;
use apollo_compiler::response::{JsonMap, JsonValue};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::fault::FaultKind;
use super::node::{Execution, Node};
use super::refusal::{Refusal, refuse_all};
use super::schema::{self, Document, SCHEMA};
use super::{World, complexity, lock};
use crate::server::broken;

/// Largest request body, bytes.
const MOST_BODY: usize = 1 << 20;
/// Most operation names that are counted apart; further ones count under "".
const MOST_NAMES: usize = 200;

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new().route("/graphql", post(graphql)).layer(DefaultBodyLimit::max(MOST_BODY))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    query: String,
    #[serde(default)]
    variables: Option<Map<String, Value>>,
    #[serde(default)]
    operation_name: Option<String>,
}

/// A request whose document fits the schema and names one operation.
struct Readable {
    document: Document,
    operation_name: Option<String>,
    variables: Map<String, Value>,
}

async fn graphql(State(world): State<Arc<World>>, headers: HeaderMap, body: Bytes) -> Response {
    let read = read(&body);
    let (names, complexity) = read.as_ref().map_or_else(|_| (Vec::new(), 0), names_and_price);
    count(&world, names.first().map_or("", String::as_str));

    let fault = lock(&world.faults).take(&names);
    if let Some(fault) = &fault {
        tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    }
    let mut response = match fault.map(|fault| fault.kind) {
        Some(FaultKind::Drop) => return broken(b""),
        Some(FaultKind::DropAnswer) => {
            answer(&world, &headers, read);
            return broken(b"");
        }
        Some(FaultKind::Http500) => Refusal::internal().into_response(),
        Some(FaultKind::Auth) => Refusal::authentication().into_response(),
        Some(FaultKind::RateLimited) => over_limit(&world),
        Some(FaultKind::Slow) | None => answer(&world, &headers, read),
    };
    response.headers_mut().extend(lock(&world.throttle).headers(complexity));
    response
}

fn read(body: &[u8]) -> Result<Readable, Vec<Refusal>> {
    let request: Request = serde_json::from_slice(body).map_err(|error| {
        vec![Refusal::invalid_document(format!("the request body is no GraphQL request: {error}"))]
    })?;
    let document = schema::document(&request.query)?;
    let named = document.operations.get(request.operation_name.as_deref());
    named.map_err(|error| vec![Refusal::invalid_document(error.message().to_string())])?;
    Ok(Readable {
        document,
        operation_name: request.operation_name,
        variables: request.variables.unwrap_or_default(),
    })
}

impl Readable {
    fn operation(&self) -> Option<&Operation> {
        self.document.operations.get(self.operation_name.as_deref()).ok().map(AsRef::as_ref)
    }
}

/// The operation's name (or its root field's, when it has none), then its root fields.
fn names_and_price(read: &Readable) -> (Vec<String>, u64) {
    let Some(operation) = read.operation() else { return (Vec::new(), 0) };
    let document: &ExecutableDocument = &read.document;
    let roots = operation.root_fields(document).map(|field| field.name.to_string());
    let names = operation.name.iter().map(ToString::to_string).chain(roots).collect();
    (names, complexity::price(document, operation, &read.variables))
}

fn count(world: &World, name: &str) {
    let mut counts = lock(&world.counts);
    counts.requests += 1;
    let full = counts.by_operation.len() >= MOST_NAMES && !counts.by_operation.contains_key(name);
    *counts.by_operation.entry(if full { String::new() } else { name.to_owned() }).or_default() += 1;
}

fn over_limit(world: &World) -> Response {
    lock(&world.counts).over_limit += 1;
    Refusal::rate_limited(lock(&world.throttle).limit()).into_response()
}

fn answer(world: &World, headers: &HeaderMap, read: Result<Readable, Vec<Refusal>>) -> Response {
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let wanted = format!("Bearer {}", lock(&world.access_token));
    if shown != Some(wanted.as_str()) {
        return Refusal::authentication().into_response();
    }
    if !lock(&world.throttle).take() {
        return over_limit(world);
    }
    match read {
        Ok(readable) => execute(world, &readable),
        Err(refusals) => refuse_all(&refusals),
    }
}

fn execute(world: &World, readable: &Readable) -> Response {
    let Some(operation) = readable.operation() else {
        return Refusal::invalid_document("no such operation".into()).into_response();
    };
    let raw = match JsonValue::from(Value::Object(readable.variables.clone())) {
        JsonValue::Object(raw) => raw,
        _ => JsonMap::new(),
    };
    let variables = match coerce_variable_values(&SCHEMA, operation, &raw) {
        Ok(variables) => variables,
        Err(error) => return Refusal::invalid_document(error.message().to_string()).into_response(),
    };
    let execution = Execution { store: &world.store, files: &world.files, refusals: Default::default() };
    let root = Node::root(&execution, operation.object_type().as_str());
    let executed = Executor::new(&SCHEMA, &readable.document)
        .operation(operation)
        .coerced_variable_values(&variables)
        .enable_schema_introspection(true)
        .execute_sync(&root);
    let executed = match executed.map(|response| serde_json::to_value(response).unwrap_or_default()) {
        Ok(executed) => executed,
        Err(error) => return Refusal::invalid_document(error.message().to_string()).into_response(),
    };
    with_extensions(executed, &lock(&execution.refusals))
}

/// Gives each error the words and extensions of the refusal that caused it, and the answer the first one's status.
fn with_extensions(mut executed: Value, refusals: &[Refusal]) -> Response {
    let mut status = StatusCode::OK;
    for error in executed.get_mut("errors").and_then(Value::as_array_mut).into_iter().flatten() {
        // The executor puts words of its own before those of the refusal.
        let said = error["message"].as_str().unwrap_or_default();
        let refusal = refusals.iter().find(|refusal| said.ends_with(&refusal.message));
        if let Some(refusal) = refusal {
            error["message"] = refusal.message.as_str().into();
        }
        error["extensions"] =
            refusal.map_or_else(|| json!({"type": "internal error", "statusCode": 500}), Refusal::extensions);
        if status == StatusCode::OK {
            status = refusal.map_or(StatusCode::INTERNAL_SERVER_ERROR, Refusal::status);
        }
    }
    (status, Json(executed)).into_response()
}
