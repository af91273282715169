//! `POST /deliveries`: webhooks in. One delivery id, one event; and one meaning, one event (invariants D1 and D2).

use shared::hub::arrived::{Arrived, Split};
use shared::hub::delivery::EventState;
use shared::hub::ledger::{Item, Sort};
use shared::id::{FencingToken, Seq};
use shared::problem::{Problem, ProblemCode};
use shared::time::Timestamp;
use worker::{Request, Response};
use worker_shell::failure::{Answer, Failure};
use worker_shell::{body, clock, reply, sql};

use super::row::{instant, sort_number, store_body};
use super::{Hub, reply_status};

/// A projected event can be somewhat larger than the webhook it came from.
const MAX_BYTES: usize = 12 * 1024 * 1024;

impl Hub {
    /// Answered only once the event is in the tables: 201 stored, 200 stored before.
    pub(super) async fn deliver(&self, mut request: Request) -> Answer<Response> {
        let now = clock::now();
        if let Some(refusal) = self.check_rate(now)? {
            return Ok(refusal);
        }
        let text = body::read_text(&mut request, MAX_BYTES).await?;
        let Split { arrived, event } = Split::of(&text)?;
        let stored = self.store(arrived, event, now)?;
        self.arm().await?;
        reply_status(if stored.is_some() { 201 } else { 200 })
    }

    fn check_rate(&self, now: Timestamp) -> Answer<Option<Response>> {
        let minute = now.as_millis() / 60_000;
        let (counted, count) = self.rate.get();
        let count = if counted == minute { count.saturating_add(1) } else { 1 };
        self.rate.set((minute, count));
        if count <= self.settings.webhooks_per_minute {
            return Ok(None);
        }
        let problem = Problem::new(
            ProblemCode::RateLimited,
            "this organization sends too many webhooks; try again in the next minute",
        );
        let left = 60 - (now.as_millis() / 1_000).rem_euclid(60);
        let response = reply::problem(&problem)?;
        response.headers().set("retry-after", &left.to_string())?;
        Ok(Some(response))
    }

    /// Stores an event and hands it on. `None`: it was there already.
    pub(super) fn store(&self, arrived: Arrived, event: &str, now: Timestamp) -> Answer<Option<Seq>> {
        let sort = arrived.sort;
        let first_thought = i64::try_from(self.settings.first_thought_ms).unwrap_or(i64::MAX);
        let due = (sort == Sort::Work).then(|| now.plus_millis(first_thought));
        self.apply(now, |rules| {
            let sql = self.sql();
            let wants = (arrived.wants != Default::default())
                .then(|| serde_json::to_string(&arrived.wants))
                .transpose()
                .map_err(Failure::from)?;
            let conflict = if cfg!(feature = "chaos-no-dedupe") { "" } else { "ON CONFLICT DO NOTHING" };
            let (delivery_id, meaning) = if cfg!(feature = "chaos-no-dedupe") {
                (format!("{}#{}", arrived.delivery_id, arrived.id), format!("{}#{}", arrived.meaning, arrived.id))
            } else {
                (arrived.delivery_id.to_string(), arrived.meaning.clone())
            };
            let rows = sql.texts(
                &format!(
                    "INSERT INTO events (id, delivery_id, meaning, session_key, agent_session, sort, wants, workspace_id, kind, title, state,
                       ready, received_at, first_thought_due) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', 1, ?, ?) {conflict} RETURNING '' || seq AS row"
                ),
                vec![
                    arrived.id.to_string().into(),
                    delivery_id.into(),
                    meaning.into(),
                    arrived.session_key.as_str().into(),
                    arrived.agent_session_id.as_str().into(),
                    sql::Value::Integer(sort_number(sort)),
                    wants.into(),
                    arrived.workspace_id.as_str().into(),
                    arrived.kind.into(),
                    arrived.title.into(),
                    sql::time(now),
                    instant(due),
                ],
            )?;
            let Some(seq) = rows.first().and_then(|text| text.parse().ok()).map(Seq) else { return Ok(None) };
            store_body(&sql, seq, event)?;
            // Most go out at once: the text need not be read back for that.
            self.fresh.set(Some((seq, event.to_owned())));
            rules.arrive(Item {
                seq,
                key: arrived.session_key,
                agent_session: arrived.agent_session_id,
                sort,
                wants: arrived.wants,
                state: EventState::Pending,
                hold: None,
                attempts: 0,
                token: FencingToken(0),
                worker: None,
                finished: false,
                given_back: false,
                takeover: false,
                ask: false,
                first_thought: false,
                first_thought_due: due,
                not_before: Timestamp::from_millis(0),
                offered_at: None,
                accepted_at: None,
                ended_at: None,
                reason: None,
            })?;
            Ok(Some(seq))
        })
        .inspect(|_| self.fresh.set(None))
    }
}
