//! `POST /webhooks/linear`: size, signature, JSON, stamp, organization, then into the hub.
//!
//! A 200 means: stored, stored before, or not ours (invariant D1). Every refusal is a problem document and
//! leaves nothing behind but a counted log line. The rules themselves are in `shared::webhook`.

use serde::Serialize;
use shared::event::Event;
use shared::hub::arrived::Arrived;
use shared::hub::call::Taken;
use shared::id::{DeliveryId, EventId};
use shared::problem::{Problem, ProblemCode};
use shared::webhook::LINEAR_MAX_BYTES;
use shared::webhook::linear::{self, Received};
use shared::webhook::signature::Signature;
use worker::{Context, Env, Request, Response};
use worker_shell::failure::{Answer, Failure};
use worker_shell::{body, clock, credential, log, random, reply, subtle};

use crate::{directory, group};

/// Takes one webhook.
pub async fn receive(request: Request, env: &Env, context: &Context) -> Answer<Response> {
    let outcome = take(request, env, context).await;
    if let Err(Failure::Refused(problem)) = &outcome {
        log::info("webhook.refused", &[("provider", "linear"), ("code", &problem.code)]);
    }
    outcome
}

async fn take(mut request: Request, env: &Env, context: &Context) -> Answer<Response> {
    let body = body::read_capped(&mut request, LINEAR_MAX_BYTES).await?;
    let header = request.headers().get("linear-signature")?;
    verify(env, header.as_deref(), &body).await?;
    let now = clock::now();
    let (workspace, meaning, event) = match linear::read(&body, now)? {
        Received::Ours { workspace, meaning, body } => (workspace, meaning, body),
        Received::NotOurs { kind } => return not_ours(&kind),
    };
    let Some(org) = directory::organization_of(env, &workspace).await? else {
        return not_ours("unknown workspace");
    };
    // The header is not signed: it only spares work; the meaning decides.
    let delivery_id = request
        .headers()
        .get("linear-delivery")?
        .filter(|id| !id.is_empty() && id.len() <= 128)
        .unwrap_or_else(|| meaning.clone());
    let event = Event {
        id: EventId::from_uuid(random::uuid(now)),
        delivery_id: DeliveryId(delivery_id),
        received_at: now,
        workspace_id: workspace,
        body: *event,
    };
    let kind = event.body.kind();
    let framed = Arrived::of(&event, meaning).frame(&serde_json::to_string(&event)?)?;
    // No line in the log of what is stored: the hub's deliveries and its status tell of it.
    match group::store(env, context, org, framed).await {
        Taken::Stored => reply::json(&Told { status: "stored" }),
        Taken::Duplicate => reply::json(&Told { status: "duplicate" }),
        Taken::Ignored => not_ours(kind),
        Taken::RateLimited { retry_after_s } => too_many(retry_after_s),
        Taken::Failed => Err(not_stored().into()),
    }
}

fn too_many(retry_after_s: u32) -> Answer<Response> {
    let problem = Problem::new(
        ProblemCode::RateLimited,
        "this organization sends too many webhooks; try again in the next minute",
    );
    log::info("webhook.refused", &[("provider", "linear"), ("code", &problem.code)]);
    let response = reply::problem(&problem)?;
    response.headers().set("retry-after", &retry_after_s.to_string())?;
    Ok(response)
}

async fn verify(env: &Env, header: Option<&str>, body: &[u8]) -> Answer<()> {
    let signature = Signature::parse(header)?;
    let secrets = credential::setting(env, "LINEAR_WEBHOOK_SECRETS").ok_or_else(|| {
        Problem::new(ProblemCode::StoreUnavailable, "the operator has not set LINEAR_WEBHOOK_SECRETS")
    })?;
    // During a rotation there are two, separated by a comma.
    let secrets: Vec<&str> = secrets.split(',').map(str::trim).filter(|secret| !secret.is_empty()).collect();
    if body.len() <= subtle::WORTH_IT {
        return Ok(signature.verify(&secrets, body)?);
    }
    let mut fits = false;
    for secret in secrets {
        fits |= signature.fits(&subtle::hmac_sha256(secret, body).await?);
    }
    if fits { Ok(()) } else { Err(Signature::wrong().into()) }
}

#[derive(Serialize)]
struct Told {
    status: &'static str,
}

fn not_ours(kind: &str) -> Answer<Response> {
    log::info("webhook.ignored", &[("provider", "linear"), ("kind", kind)]);
    reply::json(&serde_json::json!({ "status": "ignored" }))
}

fn not_stored() -> Problem {
    Problem::new(ProblemCode::StoreUnavailable, "the event could not be stored; send it again")
}
