//! A delivery as a row, and its way through the hub as what the opened row shows. It reads
//! `shared::status::DeliveryRecord`.

use serde_json::Value;
use shared::hub::delivery::EventState;
use shared::time::Timestamp;

use super::{Cell, Column, Detail, Row, Step};
use crate::format::{count, escape};
use crate::json;
use crate::wording::{DISMISSED, delivery_sign, plain};

/// Beside the fields of the server: the name of the worker that it was offered to last.
pub const WORKER_NAME: &str = "workerName";

/// The columns.
pub const COLUMNS: &[Column] = &[
    ("c-status", "State"),
    ("c-main", "Issue"),
    ("c-kind", "Kind"),
    ("c-worker", "Worker"),
    ("c-attempts end num", "Failed tries"),
    ("c-when end", "Received"),
];

/// The row. It is known by its number, as in the link that Linear gets.
pub fn row(record: &Value) -> Row {
    let state = state(record);
    let title = json::text(record, "title")
        .unwrap_or_else(|| ["Session ", json::word(record, "sessionKey")].concat());
    Row {
        id: json::count(record, "seq").to_string(),
        cells: vec![
            Cell::State(if dismissed(record) { DISMISSED } else { delivery_sign(state) }),
            Cell::Opens(title),
            Cell::Text(kind(json::word(record, "kind"))),
            Cell::text(worker(record)),
            Cell::Text(count(json::count(record, "attempts"))),
            json::time(record, "receivedAt").map_or_else(|| Cell::text(None), Cell::Ago),
        ],
        note: None,
        detail: Some(detail(record, state)),
    }
}

/// A word of tomorrow's server counts as work that waits.
fn state(record: &Value) -> EventState {
    EventState::parse(json::word(record, "state")).unwrap_or(EventState::Pending)
}

fn dismissed(record: &Value) -> bool {
    json::flag(record, "dismissed")
}

fn worker(record: &Value) -> Option<String> {
    json::text(record, WORKER_NAME).or_else(|| json::text(record, "workerId"))
}

/// What a delivery brought. A kind that is not known yet is shown by its own name.
fn kind(word: &str) -> String {
    let known = match word {
        "session_created" => "New session",
        "session_prompted" => "Message",
        "session_stopped" => "Stop",
        "run_requested" => "Manual run",
        "check_requested" => "Check of an executor",
        other => return plain(other),
    };
    known.to_owned()
}

fn detail(record: &Value, state: EventState) -> Detail {
    let text = |name| json::text(record, name).filter(|text| !text.is_empty());
    let number = |name| json::number(record, name).map(|number| number.to_string());
    let yes = |name, words: &str| json::flag(record, name).then(|| words.to_owned());
    let facts = [
        ("Reason", text("reason")),
        ("Worker", worker(record)),
        ("Fencing token", number("token")),
        ("Taken over", yes("takeover", "from a worker that went away")),
        ("Asked", yes("ask", "no worker serves it by rule, so the person is asked")),
        ("Dismissed", yes("dismissed", "wanted no more; it leaves after the retention")),
        ("First thought", yes("firstThought", "posted by the proxy, since no worker was in time")),
        ("Number", number("seq")),
        ("Event", text("id")),
        ("Delivery", text("deliveryId")),
        ("Session key", text("sessionKey")),
        ("Agent session", text("agentSessionId")),
    ];
    Detail {
        steps: way(record, state),
        now: waits(record, state).map(str::to_owned),
        not_before: json::time(record, "notBefore").filter(|_| state == EventState::Pending),
        facts: facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        href: ["/deliveries?session=", &escape(json::word(record, "sessionKey"))].concat(),
        acts: match state {
            EventState::Dead if !dismissed(record) => vec![("replay", "Replay"), ("dismiss", "Dismiss")],
            EventState::Dead | EventState::Cancelled => vec![("replay", "Replay")],
            _ => Vec::new(),
        },
    }
}

/// The steps in the order of their times: an acceptance that a later offer followed stands before that offer.
fn way(record: &Value, state: EventState) -> Vec<Step> {
    let ended = match state {
        EventState::Dead => "Given up: a dead letter",
        EventState::Cancelled => "Cancelled",
        _ => "Done",
    };
    let over = if state.is_open() { "" } else { "endedAt" };
    let names =
        [("Received", "receivedAt"), ("Offered", "offeredAt"), ("Accepted", "acceptedAt"), (ended, over)];
    let mut times: Vec<(&'static str, Timestamp)> =
        names.into_iter().filter_map(|(word, name)| Some((word, json::time(record, name)?))).collect();
    times.sort_by_key(|(_, at)| *at);
    let mut before = None;
    times
        .into_iter()
        .map(|(word, at)| Step { word, at, after: before.replace(at).map(|before| at.since(before)) })
        .collect()
}

/// What an open delivery waits for.
fn waits(record: &Value, state: EventState) -> Option<&'static str> {
    Some(match (state, json::word(record, "waits")) {
        (EventState::Pending, "room") => "Waits for a worker with a free slot",
        (EventState::Pending, "order") => "Waits for an earlier event of its session",
        (EventState::Pending, "worker") => "Waits for the worker that has its session, which is away",
        (EventState::Pending, "served") => "Waits for a worker that serves it",
        (EventState::Pending, _) if json::count(record, "attempts") > 0 => "Waits for its next try",
        (EventState::Pending, _) => "Waits to be offered",
        (EventState::Offered, _) => "Waits for the worker to accept it",
        (EventState::Accepted, _) => "The worker is at it",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::id::EventId;
    use shared::status::DeliveryRecord;

    /// What the server writes of a delivery.
    fn record(changes: Value) -> Value {
        let mut whole = serde_json::json!({
            "id": EventId::from_uuid(Default::default()).to_string(), "seq": 7, "deliveryId": "d-1", "kind": "session_created",
            "sessionKey": "a b&c", "agentSessionId": null, "workspaceId": "", "title": "ENG-1 Mend it", "state": "pending",
            "waits": null, "attempts": 0, "workerId": null, "token": null, "takeover": false, "ask": false,
            "firstThought": false, "reason": null, "receivedAt": "2026-01-01T00:00:00.000Z", "notBefore": null,
            "offeredAt": null, "acceptedAt": null, "endedAt": null,
        });
        for (name, value) in changes.as_object().unwrap() {
            whole[name] = value.clone();
        }
        let typed: DeliveryRecord = serde_json::from_value(whole).unwrap();
        serde_json::to_value(typed).unwrap()
    }

    fn steps(record: &Value) -> Vec<(&'static str, Option<i64>)> {
        way(record, state(record)).into_iter().map(|step| (step.word, step.after)).collect()
    }

    fn waits(record: &Value) -> Option<&'static str> {
        super::waits(record, state(record))
    }

    fn detail(record: &Value) -> Detail {
        super::detail(record, state(record))
    }

    #[test]
    fn every_fact_is_read_out_of_what_the_server_writes() {
        let whole = record(serde_json::json!({
            "workerId": shared::id::WorkerId::from_uuid(Default::default()).to_string(), "token": 3, "takeover": true,
            "ask": true, "firstThought": true, "dismissed": true, "reason": "no room", "agentSessionId": "as-1", "attempts": 2,
        }));
        let names: Vec<_> = detail(&whole).facts.into_iter().map(|(name, _)| name).collect();
        let all = "Reason, Worker, Fencing token, Taken over, Asked, Dismissed, First thought, Number, Event, Delivery, Session key, Agent session";
        assert_eq!(names.join(", "), all);
        let row = row(&whole);
        assert_eq!(row.id, "7");
        assert_eq!(row.cells[4], Cell::Text("2".to_owned()));
        assert!(!row.cells.contains(&Cell::text(None)), "{row:?}");
        assert_eq!(detail(&record(serde_json::json!({}))).facts.len(), 4);
    }

    #[test]
    fn the_way_has_the_times_between_its_steps() {
        let done = record(serde_json::json!({
            "state": "done", "offeredAt": "2026-01-01T00:00:00.250Z",
            "acceptedAt": "2026-01-01T00:00:01.250Z", "endedAt": "2026-01-01T00:01:01.250Z",
        }));
        let expected =
            [("Received", None), ("Offered", Some(250)), ("Accepted", Some(1_000)), ("Done", Some(60_000))];
        assert_eq!(steps(&done), expected);
        assert_eq!(waits(&done), None);
    }

    #[test]
    fn an_acceptance_before_a_later_offer_stands_before_it() {
        let again = record(serde_json::json!({
            "state": "offered", "attempts": 1, "offeredAt": "2026-01-01T00:01:00.000Z",
            "acceptedAt": "2026-01-01T00:00:01.000Z", "endedAt": "2026-01-01T00:00:30.000Z",
        }));
        assert_eq!(steps(&again), [("Received", None), ("Accepted", Some(1_000)), ("Offered", Some(59_000))]);
    }

    #[test]
    fn each_open_state_says_what_it_waits_for_and_none_that_is_over_does() {
        let mut said = Vec::new();
        for waits_for in ["room", "order", "worker", "served"] {
            said.push(waits(&record(serde_json::json!({ "waits": waits_for }))));
        }
        said.push(waits(&record(serde_json::json!({}))));
        said.push(waits(&record(serde_json::json!({ "attempts": 2 }))));
        said.push(waits(&record(serde_json::json!({ "state": "offered" }))));
        said.push(waits(&record(serde_json::json!({ "state": "accepted" }))));
        assert!(said.iter().all(Option::is_some));
        said.sort();
        said.dedup();
        assert_eq!(said.len(), 8);
        for state in ["done", "dead", "cancelled"] {
            assert_eq!(waits(&record(serde_json::json!({ "state": state }))), None);
        }
    }

    #[test]
    fn a_pause_before_the_next_try_is_told_while_it_waits_only() {
        let changes =
            |state: &str| serde_json::json!({ "state": state, "notBefore": "2026-01-01T00:01:00.000Z" });
        assert!(detail(&record(changes("pending"))).not_before.is_some());
        assert!(detail(&record(changes("accepted"))).not_before.is_none());
    }

    #[test]
    fn only_what_was_given_up_or_cancelled_can_be_replayed() {
        for state in EventState::ALL {
            let acts = detail(&record(serde_json::json!({ "state": state }))).acts;
            let words: Vec<_> = acts.into_iter().map(|(word, _)| word).collect();
            let expected: &[&str] = match state {
                EventState::Dead => &["replay", "dismiss"],
                EventState::Cancelled => &["replay"],
                _ => &[],
            };
            assert_eq!(words, expected, "{state:?}");
        }
    }

    #[test]
    fn a_dismissed_dead_letter_is_shown_as_one_and_can_only_be_replayed() {
        let dead = |dismissed: bool| {
            record(serde_json::json!({ "state": "dead", "dismissed": dismissed, "reason": "no room" }))
        };
        let shown = |dismissed: bool| match &row(&dead(dismissed)).cells[0] {
            Cell::State(sign) => sign.state,
            other => panic!("{other:?}"),
        };
        assert_eq!((shown(false), shown(true)), ("dead", "dismissed"));
        assert_eq!(detail(&dead(true)).acts, [("replay", "Replay")]);
        let told =
            |dismissed: bool| detail(&dead(dismissed)).facts.iter().any(|(name, _)| *name == "Dismissed");
        assert_eq!((told(false), told(true)), (false, true));
    }

    #[test]
    fn a_session_key_is_escaped_in_the_link_to_its_other_events() {
        assert_eq!(detail(&record(serde_json::json!({}))).href, "/deliveries?session=a%20b%26c");
    }

    #[test]
    fn a_kind_of_tomorrow_and_a_missing_title_are_shown_by_their_own_words() {
        let row = row(&record(serde_json::json!({ "kind": "pull_request_merged", "title": null })));
        assert_eq!(row.cells.len(), COLUMNS.len());
        assert_eq!(row.cells[1], Cell::Opens("Session a b&c".to_owned()));
        assert_eq!(row.cells[2], Cell::Text("Pull request merged".to_owned()));
    }
}
