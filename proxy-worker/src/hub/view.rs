//! What people see: deliveries and their way, the hub's status, replay of dead letters.

use serde::Deserialize;
use shared::api::Page;
use shared::hub::call::{DeliveryQuery, DeliveryRef, DeliveryResult};
use shared::hub::delivery::EventState;
use shared::hub::ledger::Hold;
use shared::id::{
    AgentSessionId, DeliveryId, EventId, FencingToken, LinearWorkspaceId, Seq, SessionKey, WorkerId,
};
use shared::problem::{Problem, ProblemCode};
use shared::status::{DeliveryRecord, HubStatus, Latency, LinearBudget, Queue, Wait};
use shared::time::Timestamp;
use worker::{Request, Response};
use worker_shell::failure::{Answer, Failure};
use worker_shell::sql::Value;
use worker_shell::{body, clock, log, reply, sql};

use super::Hub;
use super::row::hold_of;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;
/// How many accepted events the ack latency is taken from.
const LATENCY_OF: u64 = 200;
/// No event has a higher number: JavaScript counts exactly no further.
const MAX_SEQ: u64 = (1 << 53) - 1;

const COLUMNS: &str = "id, seq, delivery_id, kind, session_key, agent_session, workspace_id, title, state, hold, attempts, worker_id, token, \
    takeover, ask, first_thought, reason, received_at, not_before, offered_at, accepted_at, done_at, dismissed";

#[derive(Deserialize)]
struct Row {
    id: EventId,
    seq: u64,
    delivery_id: DeliveryId,
    kind: String,
    session_key: SessionKey,
    agent_session: String,
    workspace_id: LinearWorkspaceId,
    title: Option<String>,
    state: EventState,
    hold: Option<String>,
    attempts: u32,
    worker_id: Option<WorkerId>,
    token: u64,
    takeover: u8,
    ask: u8,
    first_thought: u8,
    reason: Option<String>,
    received_at: i64,
    not_before: i64,
    offered_at: Option<i64>,
    accepted_at: Option<i64>,
    done_at: Option<i64>,
    dismissed: u8,
}

impl Row {
    fn record(self) -> Answer<DeliveryRecord> {
        let waits = match (self.state, self.hold.as_deref().map(hold_of).transpose()?) {
            (EventState::Pending, None | Some(Hold::Room)) => Some(Wait::Room),
            (EventState::Pending, Some(Hold::Order)) => Some(Wait::Order),
            (EventState::Pending, Some(Hold::Worker(_))) => Some(Wait::Worker),
            (EventState::Pending, Some(Hold::Served)) => Some(Wait::Served),
            _ => None,
        };
        Ok(DeliveryRecord {
            id: self.id,
            seq: Seq(self.seq),
            delivery_id: self.delivery_id,
            kind: self.kind,
            session_key: self.session_key,
            agent_session_id: (!self.agent_session.is_empty()).then_some(AgentSessionId(self.agent_session)),
            workspace_id: self.workspace_id,
            title: self.title,
            state: self.state,
            waits,
            attempts: self.attempts,
            worker_id: self.worker_id,
            token: (self.token != 0).then_some(FencingToken(self.token)),
            takeover: self.takeover != 0,
            ask: self.ask != 0,
            first_thought: self.first_thought != 0,
            reason: self.reason,
            received_at: Timestamp::from_millis(self.received_at),
            not_before: (self.not_before != 0).then_some(Timestamp::from_millis(self.not_before)),
            offered_at: self.offered_at.map(Timestamp::from_millis),
            accepted_at: self.accepted_at.map(Timestamp::from_millis),
            ended_at: self.done_at.map(Timestamp::from_millis),
            dismissed: self.dismissed != 0,
        })
    }
}

impl Hub {
    /// `POST /deliveries/list`: newest first, one page.
    pub(super) async fn list_deliveries(&self, mut request: Request) -> Answer<Response> {
        let query: DeliveryQuery = body::read_json(&mut request, 16 * 1024).await?;
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
        if limit == 0 || limit > MAX_LIMIT {
            return Err(invalid(format!("`limit` must be 1 to {MAX_LIMIT}")));
        }
        let before = match query.cursor {
            Some(cursor) => cursor
                .parse()
                .ok()
                .filter(|before| *before <= MAX_SEQ)
                .ok_or_else(|| invalid("`cursor` is not one of ours".to_owned()))?,
            None => MAX_SEQ,
        };
        let mut conditions = vec!["seq < ?".to_owned()];
        let mut values: Vec<Value> = vec![sql::int(before)?];
        if let Some(Seq(seq)) = query.seq {
            if seq > MAX_SEQ {
                return Err(invalid("`seq` is not the number of a delivery".to_owned()));
            }
            conditions.push("seq = ?".to_owned());
            values.push(sql::int(seq)?);
        }
        if let Some(state) = query.state {
            // `live` brings the index in for what is not over.
            let live = if matches!(state, EventState::Done | EventState::Cancelled) {
                "live = 0"
            } else {
                "live = 1"
            };
            let shown = if state == EventState::Dead { " AND dismissed = 0" } else { "" };
            conditions.push(format!("{live} AND state = ?{shown}"));
            values.push(state.as_str().into());
        }
        let texts = [
            ("session_key", query.session_key.map(|key| key.0)),
            ("agent_session", query.agent_session_id.map(|id| id.0)),
            ("worker_id", query.worker_id.map(|id| id.to_string())),
        ];
        for (column, value) in texts {
            if let Some(value) = value {
                conditions.push(format!("{column} = ?"));
                values.push(value.into());
            }
        }
        values.push(sql::int(u64::from(limit) + 1)?);
        let condition = conditions.join(" AND ");
        let rows: Vec<Row> = self.sql().rows(
            &format!("SELECT {COLUMNS} FROM events WHERE {condition} ORDER BY seq DESC LIMIT ?"),
            values,
        )?;
        let mut items = rows.into_iter().map(Row::record).collect::<Answer<Vec<_>>>()?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(|last| last.seq.to_string());
        reply::json(&Page { items, next })
    }

    /// `POST /deliveries/replay`: tries a dead or cancelled one again.
    pub(super) async fn replay(&self, mut request: Request) -> Answer<Response> {
        let wanted: DeliveryRef = body::read_json(&mut request, 4096).await?;
        let row = self.find_delivery(&wanted.id)?;
        let (now, seq) = (clock::now(), Seq(row.seq));
        let replayed = self.apply(now, |rules| Ok(rules.replay(seq)?.is_some()))?;
        if !replayed {
            let detail =
                format!("it is {}; only a dead or cancelled delivery can be replayed", row.state.as_str());
            return Err(Problem::new(ProblemCode::NotReplayable, detail).into());
        }
        self.sql().run("UPDATE events SET dismissed = 0 WHERE seq = ?", vec![sql::int(seq.0)?])?;
        log::info("delivery.replayed", &[("event", &row.id.to_string())]);
        reply::json(&self.find_delivery(&wanted.id)?.record()?)
    }

    /// `POST /deliveries/dismiss`: a dead letter that nobody wants any more; it leaves after the retention.
    pub(super) async fn dismiss(&self, mut request: Request) -> Answer<Response> {
        let wanted: DeliveryRef = body::read_json(&mut request, 4096).await?;
        let row = self.find_delivery(&wanted.id)?;
        if row.state != EventState::Dead {
            let detail = format!("it is {}; only a dead letter can be dismissed", row.state.as_str());
            return Err(Problem::new(ProblemCode::NotPossible, detail).into());
        }
        self.sql()
            .run("UPDATE events SET dismissed = 1, live = 0 WHERE seq = ?", vec![sql::int(row.seq)?])?;
        reply::json(&self.find_delivery(&wanted.id)?.record()?)
    }

    /// `POST /deliveries/result`: what a check's `done` carried.
    pub(super) async fn delivery_result(&self, mut request: Request) -> Answer<Response> {
        let wanted: DeliveryRef = body::read_json(&mut request, 4096).await?;
        let row = self.find_delivery(&wanted.id)?;
        let result = self.sql().texts(
            "SELECT result AS row FROM events WHERE seq = ? AND result IS NOT NULL",
            vec![sql::int(row.seq)?],
        )?;
        let result = result.first().map(|text| serde_json::from_str(text)).transpose()?;
        reply::json(&DeliveryResult { state: row.state, result, reason: row.reason })
    }

    fn find_delivery(&self, id: &str) -> Answer<Row> {
        let column = match (id.parse::<EventId>(), id.parse::<u64>()) {
            (Ok(_), _) => "id",
            (_, Ok(_)) => "seq",
            _ => "delivery_id",
        };
        // An event's id has no index of its own; it is looked for among the newest first and found in one scan.
        let row: Option<Row> = self.sql().first(
            &format!("SELECT {COLUMNS} FROM events WHERE {column} = ? ORDER BY seq DESC LIMIT 1"),
            vec![id.into()],
        )?;
        row.ok_or_else(|| {
            Problem::new(ProblemCode::NotFound, "there is no such delivery, or it is forgotten").into()
        })
    }

    /// `POST /status`.
    pub(super) fn status(&self) -> Answer<Response> {
        #[derive(Deserialize)]
        struct Count {
            state: EventState,
            events: u64,
        }
        let now = clock::now();
        let sql = self.sql();
        let counts: Vec<Count> =
            sql.rows("SELECT state, count(*) AS events FROM events WHERE live = 1 GROUP BY state", vec![])?;
        let of = |state| counts.iter().find(|count| count.state == state).map_or(0, |count| count.events);
        let queue = Queue {
            pending: of(EventState::Pending),
            offered: of(EventState::Offered),
            accepted: of(EventState::Accepted),
            dead: of(EventState::Dead),
        };
        let oldest = sql.texts(
            "SELECT '' || min(received_at) AS row FROM events WHERE live = 1 AND state <> 'dead' HAVING min(received_at) IS NOT NULL",
            vec![],
        )?;
        let oldest = oldest.first().and_then(|text| text.parse::<i64>().ok());
        let (allowed, used) = self.linear_budget(now)?;
        reply::json(&HubStatus {
            server_time: now,
            workers: self.worker_statuses()?,
            queue,
            oldest_undone_ms: oldest.map(|at| u64::try_from(now.as_millis() - at).unwrap_or(0)),
            ack_latency: self.ack_latency()?,
            wakes: self.all_wakes(now)?,
            storage_bytes: sql.size(),
            linear: LinearBudget { allowed, used },
        })
    }

    fn ack_latency(&self) -> Answer<Latency> {
        let rows = self.sql().texts(
            "SELECT '' || (accepted_at - offered_at) AS row FROM (SELECT accepted_at, offered_at FROM events ORDER BY seq DESC LIMIT ?)
             WHERE accepted_at IS NOT NULL AND offered_at IS NOT NULL",
            vec![sql::int(LATENCY_OF)?],
        )?;
        let mut times: Vec<u64> = rows.iter().filter_map(|text| text.parse().ok()).collect();
        times.sort_unstable();
        let at = |percent: usize| times.get((times.len().saturating_sub(1)) * percent / 100).copied();
        Ok(Latency { count: times.len() as u64, p50_ms: at(50), p99_ms: at(99) })
    }
}

fn invalid(detail: String) -> Failure {
    Problem::new(ProblemCode::InvalidRequest, detail).into()
}
