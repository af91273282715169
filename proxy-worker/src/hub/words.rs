//! What the hub itself says in Linear: the first thought when nobody accepted in time (invariant D5), the closing
//! words of a session that was stopped while nobody held it, and the error of a dead letter.
//!
//! Owed in the transaction that sees the need, kept until Linear has taken it. The activity's id is the one that a
//! worker would use, so both posting it is one activity. Posting never holds up a timer: it happens beside it.

use std::time::Duration;

use futures_util::future::{Either, select};
use serde::Deserialize;
use shared::activity_id::{Step, activity_id};
use shared::event::{Event, EventBody};
use shared::hub::delivery::EventState;
use shared::hub::lease::Standing;
use shared::hub::ledger::Words;
use shared::id::Seq;
use shared::linear::activity::{ActivityContent, NewActivity};
use shared::linear::operations::AgentActivityCreate;
use shared::linear::request;
use shared::time::Timestamp;
use worker::wasm_bindgen::JsValue;
use worker::{Delay, Fetch, Headers, Method, Request, RequestInit};
use worker_shell::failure::{Answer, Failure};
use worker_shell::sql::{self, Sql};
use worker_shell::{credential, log};

use super::{Hub, row};

/// Linear has this long to answer, in ms; then it is tried again.
const PATIENCE_MS: u64 = 10_000;
/// Between two tries, in ms, times the tries so far.
const AGAIN_MS: i64 = 2_000;
/// Posts on their way at a time.
const AT_ONCE: usize = 20;
/// After so many tries, over some hours, nobody waits for the words any more.
const TRIES: u32 = 100;

/// The name in the table.
pub fn name(words: Words) -> &'static str {
    match words {
        Words::FirstThought => "first_thought",
        Words::Stopped => "stopped",
        Words::Dead => "dead",
    }
}

struct Post {
    seq: Seq,
    words: &'static str,
    session: String,
    url: String,
    authorization: String,
    body: String,
}

impl Hub {
    /// Begins to say what is owed and due. When the next is due is in the tables.
    pub(super) fn speak(&self, now: Timestamp) -> Answer<()> {
        #[derive(Deserialize)]
        struct Owed {
            seq: u64,
            words: String,
            tries: u32,
        }
        let owed: Vec<Owed> = self.sql().rows(
            "SELECT seq, words, tries FROM words WHERE due <= ? ORDER BY due LIMIT ?",
            vec![sql::time(now), sql::int(AT_ONCE as u64)?],
        )?;
        let more = owed.len() == AT_ONCE;
        for Owed { seq, words, tries } in owed {
            let Some(words) = [Words::FirstThought, Words::Stopped, Words::Dead]
                .into_iter()
                .find(|known| name(*known) == words)
            else {
                continue;
            };
            let pause =
                i64::try_from(PATIENCE_MS).unwrap_or(0) + AGAIN_MS.saturating_mul(i64::from(tries) + 1);
            self.sql().run(
                "UPDATE words SET due = ?3, tries = tries + 1 WHERE seq = ?1 AND words = ?2",
                vec![sql::int(seq)?, name(words).into(), sql::time(now.plus_millis(pause))],
            )?;
            let post = if tries < TRIES { self.post(Seq(seq), words, now) } else { Ok(None) };
            match post {
                Ok(Some(post)) => {
                    let (sql, alarm) = (self.sql(), self.alarm.clone());
                    let again = now.plus_millis(pause);
                    self.state.wait_until(async move {
                        if !deliver(post, sql).await {
                            alarm.wake_by(Some(again));
                        }
                    });
                }
                Ok(None) => forget(&self.sql(), Seq(seq), name(words))?,
                Err(failure) => {
                    let problem = failure.problem();
                    log::error("linear.not_posted", &[("words", name(words)), ("code", &problem.code)]);
                    self.wake_by(Some(now.plus_millis(pause)));
                }
            }
        }
        if more {
            self.wake_by(Some(now));
        }
        Ok(())
    }

    /// `None`: there is no need any more.
    fn post(&self, seq: Seq, words: Words, now: Timestamp) -> Answer<Option<Post>> {
        let tables = self.tables(now)?;
        let Some(item) = shared::hub::ledger::Ledger::item(&tables, seq)? else { return Ok(None) };
        let event: Event = serde_json::from_str(&row::body(&self.sql(), seq)?)?;
        let (step, content) = match words {
            Words::FirstThought => {
                if !matches!(item.state, EventState::Pending | EventState::Offered) {
                    return Ok(None);
                }
                (Step::FirstThought, ActivityContent::Thought { body: self.first_thought(&item, now)? })
            }
            Words::Stopped => {
                (Step::Final, ActivityContent::Response { body: stopped(&event.body).to_owned() })
            }
            Words::Dead => (Step::DeadLetter, ActivityContent::Error { body: self.dead_letter(&item) }),
        };
        let token = self
            .open_linear(Some(event.workspace_id.as_str()))?
            .ok_or_else(|| Failure::internal("no credential for this workspace"))?;
        let session = &event.body.agent_session().id;
        let activity = NewActivity::new(activity_id(session, seq, step), session.clone(), content);
        Ok(Some(Post {
            seq,
            words: name(words),
            session: session.to_string(),
            url: token.api_url.unwrap_or_else(|| request::ENDPOINT.to_owned()),
            authorization: token.authorization,
            body: request::body::<AgentActivityCreate>(activity.variables()?)?,
        }))
    }

    fn first_thought(&self, item: &shared::hub::ledger::Item, now: Timestamp) -> Answer<String> {
        let session =
            shared::hub::ledger::Ledger::session(&self.tables(now)?, &item.key)?.unwrap_or_default();
        self.with_fleet(|fleet| {
            let waited_for = session.lease.map(|lease| lease.worker).or(session.sticky);
            let away =
                waited_for.and_then(|id| fleet.get(id)).filter(|worker| !worker.connected && !worker.revoked);
            let lapsed =
                session.lease.is_some_and(|lease| lease.standing(now, &self.settings) != Standing::Held);
            Ok(match away {
                Some(_) if lapsed || session.lease.is_some() || item.hold.is_some() => AWAY.to_owned(),
                _ if !fleet.workers.iter().any(|worker| worker.connected) => NOBODY.to_owned(),
                _ if item.hold == Some(shared::hub::ledger::Hold::Served) => UNSERVED.to_owned(),
                _ => BUSY.to_owned(),
            })
        })
    }

    fn dead_letter(&self, item: &shared::hub::ledger::Item) -> String {
        let reason = item.reason.as_deref().unwrap_or("no worker could finish it");
        let link = credential::setting(&self.env, "PANEL_URL").map_or_else(String::new, |panel| {
            format!(" [Open it in the panel]({}/deliveries?open={}).", panel.trim_end_matches('/'), item.seq)
        });
        format!(
            "I could not get this done: {} attempts failed, the last one with: {reason}. It is kept as a dead letter, and a person can try it again from the panel.{link}",
            item.attempts
        )
    }
}

const NOBODY: &str =
    "I have this, and it is queued: no worker is on line right now. It starts as soon as one is.";
const BUSY: &str =
    "I have this, and it is queued: every worker is busy right now. It starts as soon as one has room.";
const AWAY: &str = "I have this, and it is queued: the worker that has this issue is away. It goes on there when it is back, or on another one after a while.";
const UNSERVED: &str = "I have this, and it is queued: no worker that is on line serves its team or repository. It starts as soon as one does.";

/// The closing words where no worker had begun.
fn stopped(by: &EventBody) -> &'static str {
    match by {
        EventBody::IssueClosed { .. } => "The issue was closed before any work began.",
        EventBody::Unassigned { .. } => "The issue was taken away from me before any work began.",
        _ => "Stopped before any work began.",
    }
}

/// `false`: it is to be tried again.
async fn deliver(post: Post, sql: Sql) -> bool {
    let send = Box::pin(send(&post));
    let outcome = match select(send, Delay::from(Duration::from_millis(PATIENCE_MS))).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Err(Failure::internal("Linear did not answer in time")),
    };
    let outcome = outcome.and_then(|()| forget(&sql, post.seq, post.words));
    match outcome {
        Ok(()) => {
            log::info("linear.posted", &[("words", post.words), ("agent_session", &post.session)]);
            true
        }
        Err(failure) => {
            let problem = failure.problem();
            let fields =
                [("words", post.words), ("agent_session", &post.session), ("code", problem.code.as_str())];
            log::error("linear.not_posted", &fields);
            false
        }
    }
}

async fn send(post: &Post) -> Answer<()> {
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    headers.set("authorization", &post.authorization)?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_headers(headers).with_body(Some(JsValue::from_str(&post.body)));
    let mut response = Fetch::Request(Request::new_with_init(&post.url, &init)?).send().await?;
    let status = response.status_code();
    let text = response.text().await?;
    // Linear tells of its rate limit by 400 with this word, or by 429.
    let later = status >= 500 || status == 429 || text.contains("RATELIMITED");
    if later { Err(Failure::internal(format!("Linear answered {status}"))) } else { Ok(()) }
}

fn forget(sql: &Sql, seq: Seq, words: &str) -> Answer<()> {
    sql.run("DELETE FROM words WHERE seq = ? AND words = ?", vec![sql::int(seq.0)?, words.into()])
}
