//! Webhooks in: one delivery id, one event; and one meaning, one event (invariants D1 and D2).

use serde::Deserialize;
use shared::event::{Event, EventBody};
use shared::hub::call::{Delivery, Stored};
use shared::hub::delivery::Happening;
use shared::id::{EventId, Seq};
use shared::problem::{Problem, ProblemCode};
use shared::time::Timestamp;
use worker::{Request, Response};
use worker_shell::failure::{Answer, Failure};
use worker_shell::sql::{self, Sql};
use worker_shell::{body, clock, random, reply};

use super::{Hub, event};

/// A projected event can be somewhat larger than the webhook it came from.
const MAX_BYTES: usize = 8 * 1024 * 1024;

impl Hub {
    /// `POST /deliveries`: answered only once the event is in the tables.
    pub(super) async fn deliver(&self, mut request: Request) -> Answer<Response> {
        let now = clock::now();
        self.check_rate(now)?;
        let delivery: Delivery = body::read_json(&mut request, MAX_BYTES).await?;
        let max_attempts = self.settings()?.max_attempts;
        let due = now.plus_millis(i64::try_from(self.settings()?.first_thought_ms).unwrap_or(i64::MAX));
        let event_id = EventId::from_uuid(random::uuid(now));
        let stored =
            sql::transaction(&self.state, || store(&self.sql(), delivery, event_id, now, due, max_attempts))?;
        let Some(seq) = stored else { return reply::json(&Stored { duplicate: true }) };
        self.dispatch(now)?;
        self.close_stopped_without_lease(seq).await?;
        self.set_timer(now).await?;
        reply::json(&Stored { duplicate: false })
    }

    fn check_rate(&self, now: Timestamp) -> Answer<()> {
        let minute = now.as_millis() / 60_000;
        let (counted, count) = self.rate.get();
        let count = if counted == minute { count + 1 } else { 1 };
        self.rate.set((minute, count));
        if count > self.settings()?.webhooks_per_minute {
            return Err(Problem::new(
                ProblemCode::RateLimited,
                "this organization sends too many webhooks; try again in a minute",
            )
            .into());
        }
        Ok(())
    }
}

/// `None`: it was there already.
fn store(
    sql: &Sql,
    delivery: Delivery,
    id: EventId,
    now: Timestamp,
    due: Timestamp,
    max_attempts: u32,
) -> Answer<Option<Seq>> {
    #[derive(Deserialize)]
    struct Row {
        seq: u64,
    }
    let Delivery { delivery_id, meaning, workspace_id, body } = delivery;
    let (key, kind) = (body.session_key(), body.kind());
    let is_stop = matches!(body, EventBody::SessionStopped { .. });
    let event = Event {
        id,
        delivery_id: delivery_id.clone(),
        received_at: now,
        workspace_id: workspace_id.clone(),
        body,
    };
    let row: Option<Row> = sql.first(
        "INSERT INTO events (id, delivery_id, meaning, session_key, workspace_id, kind, state, received_at, first_thought_due)
         VALUES (?, ?, ?, ?, ?, ?, 'pending', ?, ?) ON CONFLICT DO NOTHING RETURNING seq",
        vec![
            id.to_string().into(),
            delivery_id.as_str().into(),
            meaning.into(),
            key.as_str().into(),
            workspace_id.as_str().into(),
            kind.into(),
            sql::time(now),
            // Linear wants a sign of life for a new session; prompts and stops have no such clock.
            if kind == "session_created" { sql::time(due) } else { sql::Value::Null },
        ],
    )?;
    let Some(seq) = row.map(|row| Seq(row.seq)) else { return Ok(None) };
    let text = serde_json::to_string(&event).map_err(Failure::from)?;
    event::store_body(sql, seq, &text)?;
    if is_stop {
        // A stop overtakes: what is still open of this session before it is cancelled.
        let earlier = event::select(
            sql,
            "session_key = ? AND seq < ? AND state IN ('pending', 'offered')",
            vec![key.as_str().into(), sql::int(seq.0)?],
        )?;
        for row in earlier {
            event::advance(sql, &row, Happening::Cancel, max_attempts, now)?;
        }
    }
    Ok(Some(seq))
}
