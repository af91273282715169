//! `POST /deliveries`: webhooks in. One delivery id, one event; and one meaning, one event (invariants D1 and D2).

use serde::Deserialize;
use shared::event::Event;
use shared::hub::arrived::{Arrived, KnownIssue, Split};
use shared::hub::call::Taken;
use shared::hub::delivery::EventState;
use shared::hub::fleet::Wants;
use shared::hub::ledger::{Item, Sort};
use shared::id::{AgentSessionId, FencingToken, Seq};
use shared::time::Timestamp;
use worker::{Request, Response};
use worker_shell::failure::{Answer, Failure};
use worker_shell::sql::{self, Sql};
use worker_shell::{body, clock, reply};

use super::row::{CHUNK, instant, sort_number, store_chunks};
use super::{Hub, reply_status};

/// A projected event can be somewhat larger than the webhook it came from.
const MAX_BYTES: usize = 12 * 1024 * 1024;

impl Hub {
    /// Answered only once the events are in the tables: 201 when all of them are new, else what became of each.
    pub(super) async fn deliver(&self, mut request: Request) -> Answer<Response> {
        let text = body::read_text(&mut request, MAX_BYTES).await?;
        let now = clock::now();
        let taken: Vec<Taken> = Split::all(&text)?.into_iter().map(|split| self.take(split, now)).collect();
        if taken.iter().all(|taken| *taken == Taken::Stored) {
            return reply_status(201);
        }
        reply::json(&taken)
    }

    /// One event of a group; that it fails is no reason to refuse the others.
    fn take(&self, Split { arrived, event }: Split<'_>, now: Timestamp) -> Taken {
        if let Some(retry_after_s) = self.over_rate(now) {
            return Taken::RateLimited { retry_after_s };
        }
        let taken = match arrived.of_issue {
            None => self.store(arrived, event, now).map(taken),
            Some(_) => self.store_of_issue(arrived, event, now),
        };
        taken.unwrap_or_else(|failure| {
            let _logged = failure.problem();
            Taken::Failed
        })
    }

    /// Stores an event of an issue under the issue's newest agent session, if somebody here needs it.
    fn store_of_issue(&self, mut arrived: Arrived, event: &str, now: Timestamp) -> Answer<Taken> {
        if self.is_own_act(&arrived)? {
            return Ok(Taken::Ignored);
        }
        let Some(known) = self.known_issue(&arrived)? else { return Ok(Taken::Ignored) };
        if !arrived.attach(known) {
            return Ok(Taken::Ignored);
        }
        let mut event: Event = serde_json::from_str(event)?;
        event.body.set_agent_session(arrived.agent_session_id.clone());
        self.store(arrived, &serde_json::to_string(&event)?, now).map(taken)
    }

    /// Whether the agent itself did it.
    fn is_own_act(&self, arrived: &Arrived) -> Answer<bool> {
        let Some(actor) = arrived.of_issue.as_ref().and_then(|of_issue| of_issue.actor_id.as_deref()) else {
            return Ok(false);
        };
        let own = self.sql().texts(
            "SELECT '' AS row FROM connections WHERE provider = 'linear' AND workspace_id = ? AND app_user_id = ?",
            vec![arrived.workspace_id.as_str().into(), actor.into()],
        )?;
        Ok(!own.is_empty())
    }

    /// The issue's newest agent session in Linear, if one is kept here.
    fn known_issue(&self, arrived: &Arrived) -> Answer<Option<KnownIssue>> {
        #[derive(Deserialize)]
        struct Row(AgentSessionId, u8, Option<u32>);
        let rows = self.sql().texts(
            "SELECT json_array(agent_session,
               EXISTS (SELECT 1 FROM events WHERE session_key = ?1 AND live = 1 AND state IN ('pending', 'offered', 'accepted')),
               (SELECT w.protocol FROM sessions s JOIN workers w ON w.id = s.holder WHERE s.session_key = ?1)) AS row
             FROM events WHERE session_key = ?1 AND sort IN (0, 2) AND agent_session <> '' ORDER BY seq DESC LIMIT 1",
            vec![arrived.session_key.as_str().into()],
        )?;
        let Some(row) = rows.first() else { return Ok(None) };
        let Row(agent_session, open, protocol) = serde_json::from_str(row)?;
        Ok(Some(KnownIssue { agent_session, open: open != 0, protocol }))
    }

    /// In how many seconds the organization may send again, if it has sent too many in this minute.
    fn over_rate(&self, now: Timestamp) -> Option<u32> {
        let minute = now.as_millis() / 60_000;
        let (counted, count) = self.rate.get();
        let count = if counted == minute { count.saturating_add(1) } else { 1 };
        self.rate.set((minute, count));
        let left = 60 - (now.as_millis() / 1_000).rem_euclid(60);
        (count > self.settings.webhooks_per_minute).then(|| u32::try_from(left).unwrap_or(60))
    }

    /// Stores an event and hands it on. `None`: it was there already.
    pub(super) fn store(&self, arrived: Arrived, event: &str, now: Timestamp) -> Answer<Option<Seq>> {
        let first_thought = i64::try_from(self.settings.first_thought_ms).unwrap_or(i64::MAX);
        let due = (arrived.sort == Sort::Work).then(|| now.plus_millis(first_thought));
        let somebody = self.with_fleet(|fleet| Ok(fleet.workers.iter().any(|worker| worker.connected)))?;
        if !somebody && !arrived.sort.is_stop() && event.len() <= CHUNK {
            // Nobody is there to hand it to: one statement, which holds or does not.
            let seq = insert(&self.sql(), &arrived, Some(event), now, due)?;
            self.wake_by(due.filter(|_| seq.is_some()));
            return Ok(seq);
        }
        self.apply(now, |rules| {
            let sql = self.sql();
            let own = Some(event).filter(|event| event.len() <= CHUNK);
            let Some(seq) = insert(&sql, &arrived, own, now, due)? else { return Ok(None) };
            if own.is_none() {
                store_chunks(&sql, seq, event)?;
            }
            // Most go out at once: the text need not be read back for that.
            self.fresh.set(Some((seq, event.to_owned())));
            rules.arrive(item(seq, arrived, due))?;
            Ok(Some(seq))
        })
        .inspect(|_| self.fresh.set(None))
    }
}

fn taken(stored: Option<Seq>) -> Taken {
    if stored.is_some() { Taken::Stored } else { Taken::Duplicate }
}

fn item(seq: Seq, arrived: Arrived, due: Option<Timestamp>) -> Item {
    Item {
        seq,
        key: arrived.session_key,
        agent_session: arrived.agent_session_id,
        sort: arrived.sort,
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
    }
}

fn insert(
    sql: &Sql,
    arrived: &Arrived,
    body: Option<&str>,
    now: Timestamp,
    due: Option<Timestamp>,
) -> Answer<Option<Seq>> {
    let wants = (arrived.wants != Wants::default())
        .then(|| serde_json::to_string(&arrived.wants))
        .transpose()
        .map_err(Failure::from)?;
    let (mut delivery_id, mut meaning) = (arrived.delivery_id.to_string(), arrived.meaning.clone());
    if cfg!(feature = "chaos-no-dedupe") {
        // What a repeat does when nothing knows it again.
        for known in [&mut delivery_id, &mut meaning] {
            known.push_str(&format!("#{}", arrived.id));
        }
    }
    let rows = sql.texts(
        "INSERT INTO events (id, delivery_id, meaning, session_key, agent_session, sort, wants, workspace_id, kind, title, state,
           ready, received_at, first_thought_due, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', 1, ?, ?, ?)
         ON CONFLICT DO NOTHING RETURNING '' || seq AS row",
        vec![
            arrived.id.to_string().into(),
            delivery_id.into(),
            meaning.into(),
            arrived.session_key.as_str().into(),
            arrived.agent_session_id.as_str().into(),
            sql::Value::Integer(sort_number(arrived.sort)),
            wants.into(),
            arrived.workspace_id.as_str().into(),
            arrived.kind.as_str().into(),
            arrived.title.clone().into(),
            sql::time(now),
            instant(due),
            body.into(),
        ],
    )?;
    Ok(rows.first().and_then(|text| text.parse().ok()).map(Seq))
}
