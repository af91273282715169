//! `/api/sessions/:id/logs`: a worker appends, a viewer watches.

use shared::log_line::LogPost;
use shared::problem::{Problem, ProblemCode};
use worker::{Env, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::relay::{self, Framing};
use worker_shell::{body, reply, settings};

use super::session::id;
use super::{leases, not_found};
use crate::auth::caller::Caller;
use crate::db::Db;
use crate::record::session as record;
use crate::room;

/// `POST`: answered once the lines are in D1.
pub async fn append(id_text: &str, mut request: Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let (org, _) = caller.worker()?;
    let id = id(id_text)?;
    let post: LogPost = body::read_json(&mut request, 8 * 1024 * 1024).await?;
    if post.lines.is_empty()
        || !post.lines.is_sorted_by(|a, b| a.seq < b.seq)
        || post.lines.iter().any(|line| line.seq == 0)
    {
        return Err(Problem::new(
            ProblemCode::InvalidRequest,
            "`lines` must be numbered from 1, rising, at least one",
        )
        .into());
    }
    let db = Db::of(env)?;
    let session = record::find(&db, org, id).await?.ok_or_else(|| not_found("session"))?;
    leases::require(&db, org, &session.session_key, post.token).await?;
    reply::json(&room::append(env, org, id, post.lines).await?)
}

/// `GET`: server-sent events; `Last-Event-ID` (or `?after=`) resumes.
pub async fn watch(id_text: &str, request: &Request, caller: &Caller, env: &Env) -> Answer<Response> {
    let id = id(id_text)?;
    let org = caller.org();
    record::find(&Db::of(env)?, org, id).await?.ok_or_else(|| not_found("session"))?;
    let url = request.url()?;
    let asked = url.query_pairs().find(|(name, _)| name == "after").map(|(_, value)| value.into_owned());
    let after = request.headers().get("last-event-id")?.or(asked);
    let after = after.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0);
    let socket = room::watch(env, org, id, after).await?;
    let settings = settings::read(env)?;
    relay::answer(
        request,
        socket,
        Framing {
            content_type: "text/event-stream",
            opening: "retry: 1000\n\n",
            keep_alive_ms: settings.heartbeat_line_ms,
            keep_alive: ": still here\n\n",
            max_ms: settings.stream_max_ms,
            max_lines: settings.stream_max_lines,
            farewell: ": come back\n\n",
            terminator: "",
        },
    )
}
