//! The rules' ledger over the hub's tables: one statement a method.

use serde::Deserialize;
use shared::hub::delivery::EventState;
use shared::hub::fleet::Wants;
use shared::hub::lease::Lease;
use shared::hub::ledger::{Front, Hold, Item, Ledger, Session, Words};
use shared::id::{FencingToken, Seq, SessionKey, WorkerId};
use shared::time::Timestamp;
use worker_shell::failure::{Answer, Failure};
use worker_shell::sql::{self, Sql, Value};

use super::row::{COLUMNS, ROOM, hold_word, instant, read};

/// The tables.
pub struct Tables {
    /// The object's database.
    pub sql: Sql,
    /// The clock of this call.
    pub now: Timestamp,
    /// Tokens of sessions that were forgotten are none above this, so that a new one of any session is above them.
    pub floor: FencingToken,
}

const SESSION: &str = "json_array(session_key, newest, sticky, holder, renewed_at, stop, unclaimed) AS row";

#[derive(Deserialize)]
struct SessionRow(SessionKey, u64, Option<WorkerId>, Option<WorkerId>, Option<i64>, u8, u8);

impl SessionRow {
    fn session(self) -> (SessionKey, Session) {
        let Self(key, newest, sticky, holder, renewed_at, stop, unclaimed) = self;
        let token = FencingToken(newest);
        let renewed_at = Timestamp::from_millis(renewed_at.unwrap_or_default());
        let lease = holder.map(|worker| Lease { worker, token, renewed_at });
        (key, Session { newest: token, sticky, lease, stop: stop != 0, unclaimed: unclaimed != 0 })
    }
}

impl Tables {
    fn items(&self, condition: &str, values: Vec<Value>) -> Answer<Vec<Item>> {
        let rows = self.sql.texts(&format!("SELECT {COLUMNS} FROM events WHERE {condition}"), values)?;
        rows.iter().map(|row| read(row)).collect()
    }

    fn one(&self, condition: &str, values: Vec<Value>) -> Answer<Option<Item>> {
        Ok(self.items(condition, values)?.into_iter().next())
    }
}

fn room_word(wants: &Wants) -> Answer<String> {
    Ok(format!("{ROOM}{}", serde_json::to_string(wants)?))
}

fn key(key: &SessionKey) -> Value {
    key.as_str().into()
}

fn flag(set: bool) -> Value {
    Value::Integer(set.into())
}

impl Ledger for Tables {
    type Error = Failure;

    fn item(&self, seq: Seq) -> Answer<Option<Item>> {
        // A number that no event can have: SQLite's and JavaScript's own numbers end before it.
        let Ok(number) = sql::int(seq.0) else { return Ok(None) };
        self.one("seq = ?", vec![number])
    }

    fn put_item(&mut self, item: &Item) -> Answer<()> {
        let hold = match item.hold {
            Some(Hold::Room) => Some(room_word(&item.wants)?),
            hold => hold.map(hold_word),
        };
        let live = !matches!(item.state, EventState::Done | EventState::Cancelled);
        self.sql.run(
            "UPDATE events SET state = ?2, hold = ?3, attempts = ?4, token = ?5, worker_id = ?6, finished = ?7, takeover = ?8, ask = ?9,
               first_thought = ?10, first_thought_due = ?11, not_before = ?12, offered_at = ?13, accepted_at = ?14, done_at = ?15,
               reason = ?16, live = ?17, ready = ?18, given_back = ?19 WHERE seq = ?1",
            vec![
                sql::int(item.seq.0)?,
                item.state.as_str().into(),
                hold.into(),
                sql::int(u64::from(item.attempts))?,
                sql::int(item.token.0)?,
                item.worker.map(|worker| worker.to_string()).into(),
                flag(item.finished),
                flag(item.takeover),
                flag(item.ask),
                flag(item.first_thought),
                instant(item.first_thought_due),
                sql::time(item.not_before),
                instant(item.offered_at),
                instant(item.accepted_at),
                instant(item.ended_at),
                item.reason.clone().into(),
                flag(live),
                flag(item.state == EventState::Pending && item.hold.is_none()),
                flag(item.given_back),
            ],
        )
    }

    fn front(&self, of: &SessionKey) -> Answer<Front> {
        #[derive(Deserialize)]
        struct Row(Option<Seq>, Option<Seq>, Option<Seq>, Option<Seq>, u8);
        let rows = self.sql.texts(
            "SELECT json_array(pending, stop, offered, accepted, coalesce((SELECT finished FROM events WHERE seq = accepted), 0)) AS row FROM (SELECT
               (SELECT min(seq) FROM events WHERE session_key = ?1 AND live = 1 AND state = 'pending') AS pending,
               (SELECT min(seq) FROM events INDEXED BY events_stops WHERE session_key = ?1 AND live = 1 AND sort >= 2 AND state = 'pending') AS stop,
               (SELECT min(seq) FROM events WHERE session_key = ?1 AND live = 1 AND state = 'offered') AS offered,
               (SELECT min(seq) FROM events WHERE session_key = ?1 AND live = 1 AND state = 'accepted') AS accepted)",
            vec![key(of)],
        )?;
        let Some(row) = rows.first() else { return Ok(Front::default()) };
        let Row(pending, stop, offered, accepted, finished) = serde_json::from_str(row)?;
        Ok(Front { pending, stop, offered, accepted, finished: finished != 0 })
    }

    fn open_of(&self, of: &SessionKey) -> Answer<Vec<Item>> {
        self.items("session_key = ? AND live = 1 AND state <> 'dead' ORDER BY seq", vec![key(of)])
    }

    fn ready(&self, now: Timestamp, after: Seq, limit: u32) -> Answer<Vec<Item>> {
        self.items(
            "ready = 1 AND seq > ? AND not_before <= ? ORDER BY seq LIMIT ?",
            vec![sql::int(after.0)?, sql::time(now), sql::int(u64::from(limit))?],
        )
    }

    fn offered_to(&self, worker: WorkerId) -> Answer<Vec<Item>> {
        self.items(
            "live = 1 AND state = 'offered' AND worker_id = ? ORDER BY seq",
            vec![worker.to_string().into()],
        )
    }

    fn overdue(&self, before: Timestamp) -> Answer<Vec<WorkerId>> {
        let workers = self.sql.texts(
            "SELECT DISTINCT worker_id AS row FROM events WHERE live = 1 AND state = 'offered' AND offered_at <= ? AND worker_id IS NOT NULL",
            vec![sql::time(before)],
        )?;
        Ok(workers.iter().filter_map(|id| id.parse().ok()).collect())
    }

    fn thoughts_due(&self, now: Timestamp) -> Answer<Vec<Item>> {
        self.items(
            "first_thought_due IS NOT NULL AND first_thought_due <= ? AND state IN ('pending', 'offered') ORDER BY seq LIMIT 200",
            vec![sql::time(now)],
        )
    }

    fn end_holds(&mut self, hold: Hold) -> Answer<()> {
        self.sql.run("UPDATE events SET hold = NULL, ready = 1 WHERE hold = ?", vec![hold_word(hold).into()])
    }

    fn crowded(&self) -> Answer<Vec<Wants>> {
        let words = self.sql.texts(
            "SELECT DISTINCT hold AS row FROM events WHERE hold IS NOT NULL AND hold >= 'room:' AND hold < 'room;'",
            vec![],
        )?;
        let wants = words.iter().filter_map(|word| word.strip_prefix(ROOM));
        wants.map(|json| Ok(serde_json::from_str(json)?)).collect()
    }

    fn held_for_room(&self, wants: &Wants, limit: u32) -> Answer<Vec<Item>> {
        self.items(
            "hold = ? ORDER BY seq LIMIT ?",
            vec![room_word(wants)?.into(), sql::int(u64::from(limit))?],
        )
    }

    fn held_for(&self) -> Answer<Vec<WorkerId>> {
        let holds = self.sql.texts(
            "SELECT DISTINCT hold AS row FROM events WHERE hold IS NOT NULL AND hold LIKE 'wrk%'",
            vec![],
        )?;
        Ok(holds.iter().filter_map(|id| id.parse().ok()).collect())
    }

    fn session(&self, of: &SessionKey) -> Answer<Option<Session>> {
        let rows = self
            .sql
            .texts(&format!("SELECT {SESSION} FROM sessions WHERE session_key = ?"), vec![key(of)])?;
        match rows.first() {
            Some(row) => Ok(Some(serde_json::from_str::<SessionRow>(row)?.session().1)),
            None => Ok(Some(Session { newest: self.floor, ..Session::default() })),
        }
    }

    fn put_session(&mut self, of: &SessionKey, session: &Session) -> Answer<()> {
        self.sql.run(
            "INSERT INTO sessions (session_key, newest, sticky, holder, renewed_at, stop, unclaimed, changed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (session_key) DO UPDATE SET newest = ?2, sticky = ?3, holder = ?4, renewed_at = ?5, stop = ?6, unclaimed = ?7, changed_at = ?8",
            vec![
                key(of),
                sql::int(session.newest.0)?,
                session.sticky.map(|worker| worker.to_string()).into(),
                session.lease.map(|lease| lease.worker.to_string()).into(),
                instant(session.lease.map(|lease| lease.renewed_at)),
                flag(session.stop),
                flag(session.unclaimed),
                sql::time(self.now),
            ],
        )
    }

    fn leased(&self, worker: Option<WorkerId>) -> Answer<Vec<(SessionKey, Session)>> {
        let rows = match worker {
            Some(worker) => self.sql.texts(
                &format!("SELECT {SESSION} FROM sessions WHERE holder = ? ORDER BY session_key"),
                vec![worker.to_string().into()],
            ),
            None => self.sql.texts(
                &format!("SELECT {SESSION} FROM sessions WHERE holder IS NOT NULL ORDER BY session_key"),
                vec![],
            ),
        }?;
        rows.iter().map(|row| Ok(serde_json::from_str::<SessionRow>(row)?.session())).collect()
    }

    fn start_anew(&mut self, now: Timestamp) -> Answer<()> {
        let at = || vec![sql::time(now)];
        self.sql.run("UPDATE sessions SET renewed_at = ? WHERE holder IS NOT NULL", at())?;
        self.sql.run("UPDATE workers SET last_seen_at = ?1, beat_at = ?1", at())?;
        self.sql.run("UPDATE events SET offered_at = ? WHERE live = 1 AND state = 'offered'", at())
    }

    fn rejections(&self, seq: Seq) -> Answer<Vec<WorkerId>> {
        let workers = self
            .sql
            .texts("SELECT worker_id AS row FROM rejections WHERE seq = ?", vec![sql::int(seq.0)?])?;
        Ok(workers.iter().filter_map(|id| id.parse().ok()).collect())
    }

    fn reject(&mut self, seq: Seq, worker: WorkerId) -> Answer<()> {
        self.sql.run(
            "INSERT INTO rejections (seq, worker_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
            vec![sql::int(seq.0)?, worker.to_string().into()],
        )
    }

    fn owe(&mut self, seq: Seq, words: Words) -> Answer<()> {
        self.sql.run(
            "INSERT INTO words (seq, words, due) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            vec![sql::int(seq.0)?, super::words::name(words).into(), sql::time(self.now)],
        )
    }
}
