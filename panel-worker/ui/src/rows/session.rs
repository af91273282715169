//! A session as a row: the whole row is a link to it. It reads `shared::session::SessionRecord`.

use serde_json::Value;
use shared::money::MicroUsd;
use shared::session::SessionState;

use super::{Cell, Column, Row, Times};
use crate::json;
use crate::wording::session_sign;

/// The columns.
pub const COLUMNS: &[Column] = &[
    ("c-status", "Status"),
    ("c-main", "Issue"),
    ("c-executor", "Executor"),
    ("c-worker", "Worker"),
    ("c-branch mono", "Branch"),
    ("c-duration end num", "Duration"),
    ("c-cost end num", "List cost"),
    ("c-when end", "Started"),
];

/// The row.
pub fn row(record: &Value) -> Row {
    let executor = json::text(record, "executor").map(|executor| match json::word(record, "model") {
        "" => executor,
        model => [&executor, " · ", model].concat(),
    });
    let cost = json::number(record, "listCostMicroUsd").filter(|cost| *cost != 0);
    let id = json::word(record, "id");
    let began = json::time(record, "startedAt").or_else(|| json::time(record, "createdAt"));
    Row {
        cells: vec![
            Cell::State(session_sign(state(record))),
            Cell::Link(
                ["/sessions/", id].concat(),
                json::word(record, "linearIssueIdentifier").to_owned(),
                title(record),
            ),
            Cell::text(executor),
            Cell::text(json::text(record, "workerName")),
            Cell::text(json::text(record, "branch")),
            Cell::Elapsed(times(record)),
            Cell::text(cost.map(|cost| MicroUsd(cost).to_string())),
            began.map_or_else(|| Cell::text(None), Cell::Ago),
        ],
        id: id.to_owned(),
        note: None,
        detail: None,
    }
}

/// Where it stands. A word of tomorrow's server counts as work that goes on.
pub fn state(record: &Value) -> SessionState {
    SessionState::parse(json::word(record, "status")).unwrap_or(SessionState::Running)
}

/// What a session is called: its issue's title, else its kind of work.
pub fn title(record: &Value) -> String {
    json::text(record, "linearIssueTitle").unwrap_or_else(|| match json::word(record, "repositoryName") {
        "" => "Manual run".to_owned(),
        repository => ["Manual run in ", repository].concat(),
    })
}

/// How long it has taken.
pub fn times(record: &Value) -> Times {
    Times {
        started: json::time(record, "startedAt"),
        ended: json::time(record, "completedAt"),
        took: json::number(record, "durationMs"),
        over: state(record).is_over(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::session::SessionRecord;

    /// What the server writes of a session with all that a row shows.
    fn written() -> Value {
        let record: SessionRecord = serde_json::from_value(serde_json::json!({
            "id": shared::id::SessionId::from_uuid(Default::default()).to_string(), "sessionKey": "issue:1",
            "linearIssueIdentifier": "ENG-1", "linearIssueTitle": "Mend it", "repositoryName": "shop",
            "agentType": "builder", "executorType": "local", "status": "completed", "executor": "claude", "model": "m",
            "workerName": "ada", "branch": "b", "listCostMicroUsd": 1_500_000, "durationMs": 4_200,
            "startedAt": "2026-01-01T00:00:00Z", "completedAt": "2026-01-01T00:00:04.200Z",
            "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z", "nextSeq": 1,
        }))
        .unwrap();
        serde_json::to_value(record).unwrap()
    }

    #[test]
    fn every_cell_is_read_out_of_what_the_server_writes() {
        let row = row(&written());
        assert_eq!(row.cells.len(), COLUMNS.len());
        assert!(row.id.starts_with("ses_"));
        assert!(!row.cells.contains(&Cell::text(None)), "{row:?}");
        assert_eq!(row.cells[0], Cell::State(session_sign(SessionState::Completed)));
        assert_eq!(
            row.cells[1],
            Cell::Link(["/sessions/", &row.id].concat(), "ENG-1".into(), "Mend it".into())
        );
        assert_eq!(row.cells[2], Cell::Text("claude · m".into()));
        let Cell::Elapsed(times) = row.cells[5] else { panic!("{row:?}") };
        assert!(times.over && times.started.is_some() && times.ended.is_some() && times.took == Some(4_200));
    }

    #[test]
    fn a_run_without_an_issue_is_called_by_its_repository() {
        let mut record = written();
        record["linearIssueTitle"] = Value::Null;
        assert_eq!(title(&record), "Manual run in shop");
        record["repositoryName"] = Value::Null;
        assert_eq!(title(&record), "Manual run");
        assert_eq!(row(&Value::Null).cells.len(), COLUMNS.len());
    }
}
