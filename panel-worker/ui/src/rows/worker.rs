//! A worker as a row, and what its strikes mean. It reads `shared::api::Worker`.

use serde_json::Value;

use super::{Cell, Column, Row};
use crate::wording::worker_sign;
use crate::{format, json};

/// The columns.
pub const COLUMNS: &[Column] = &[
    ("c-status", "State"),
    ("c-main", "Worker"),
    ("c-slots", "Slots in use"),
    ("c-queue end num", "Queue"),
    ("c-weight end num", "Weight"),
    ("c-version", "Version"),
    ("c-executor", "Executors"),
    ("c-when end", "Last seen"),
];

/// The row.
pub fn row(worker: &Value) -> Row {
    let number = |name| json::count(worker, name);
    let executors: Vec<&str> = json::items(worker, "executors").iter().filter_map(Value::as_str).collect();
    Row {
        id: json::word(worker, "id").to_owned(),
        cells: vec![
            Cell::State(worker_sign(json::word(worker, "state"))),
            Cell::text(json::text(worker, "name")),
            Cell::Meter(number("used"), number("slots")),
            Cell::Text(format::count(number("queue"))),
            Cell::Text(format::count(number("weight"))),
            Cell::text(json::text(worker, "version")),
            Cell::text(Some(executors.join(", ")).filter(|names| !names.is_empty())),
            json::time(worker, "lastSeenAt").map_or_else(|| Cell::text(None), Cell::Ago),
        ],
        note: strikes(worker),
        detail: None,
    }
}

/// What is wrong with a worker that let offers lie; a revoked one gets none any more.
fn strikes(worker: &Value) -> Option<String> {
    let count = usize::try_from(json::count(worker, "strikes")).ok().filter(|count| *count > 0)?;
    let sentence = " in a row: it let an offer run out or gave an event back. \
                    Others are asked first until it accepts one again; look into its log.";
    (json::word(worker, "state") != "revoked").then(|| format::counted(count, "strike") + sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::api::Worker;

    /// What the server writes of a worker.
    fn written(state: &str, strikes: u32, seen: Option<&str>) -> Value {
        let worker: Worker = serde_json::from_value(serde_json::json!({
            "id": shared::id::WorkerId::from_uuid(Default::default()).to_string(), "name": "ada", "state": state,
            "version": "0.1.0", "executors": ["claude", "codegen"], "slots": 4, "used": 2, "weight": 3, "queue": 5,
            "strikes": strikes, "lastSeenAt": seen,
        }))
        .unwrap();
        serde_json::to_value(worker).unwrap()
    }

    #[test]
    fn strikes_are_told_with_what_they_mean_and_only_when_there_are_some() {
        assert_eq!(row(&written("online", 0, None)).note, None);
        assert_eq!(row(&written("revoked", 3, None)).note, None);
        assert!(row(&written("online", 1, None)).note.unwrap().starts_with("1 strike in a row: "));
        assert!(row(&written("working", 3, None)).note.unwrap().starts_with("3 strikes in a row: "));
    }

    #[test]
    fn every_cell_is_read_out_of_what_the_server_writes() {
        let row = row(&written("draining", 0, Some("2026-01-01T00:00:00Z")));
        assert_eq!(row.cells.len(), COLUMNS.len());
        assert!(row.id.starts_with("wrk_") && !row.cells.contains(&Cell::text(None)), "{row:?}");
        assert_eq!(row.cells[0], Cell::State(worker_sign("draining")));
        assert_eq!(row.cells[2], Cell::Meter(2, 4));
        assert_eq!((&row.cells[3], &row.cells[4]), (&Cell::Text("5".into()), &Cell::Text("3".into())));
        assert_eq!(row.cells[6], Cell::Text("claude, codegen".into()));
    }

    #[test]
    fn a_worker_that_was_never_seen_has_a_dash_for_it() {
        assert_eq!(row(&written("offline", 0, None)).cells.last(), Some(&Cell::text(None)));
    }
}
