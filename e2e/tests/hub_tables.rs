//! The hub's own tables: what an older version left in them is there after its migrations.

use std::path::Path;

use rusqlite::{Connection, Result};

/// All versions, oldest first, as the hub runs them: each file in one go.
fn migrations() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proxy-worker/src/hub/schema");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

fn at_version(version: usize) -> Connection {
    let tables = Connection::open_in_memory().unwrap();
    for statements in &migrations()[..version] {
        tables.execute_batch(statements).unwrap();
    }
    tables
}

fn migrate(tables: &Connection, from: usize) {
    for statements in &migrations()[from..] {
        tables.execute_batch(statements).unwrap();
    }
}

fn texts(tables: &Connection, query: &str) -> Vec<String> {
    let mut statement = tables.prepare(query).unwrap();
    let rows = statement.query_map((), |row| row.get(0)).unwrap();
    rows.collect::<Result<_>>().unwrap()
}

/// One event of each state, a session with a lease and one without, a body in two chunks.
const FIRST_VERSION: &str = r#"
INSERT INTO events (seq, id, delivery_id, meaning, session_key, workspace_id, kind, state, attempts, token, worker_id, received_at, done_at)
  VALUES (1, 'evt_1', 'd1', 'm1', 'issue-1', 'w', 'session_created', 'accepted', 1, 7, 'wrk_1', 10, NULL),
         (2, 'evt_2', 'd2', 'm2', 'issue-1', 'w', 'session_prompted', 'pending', 0, 0, NULL, 11, NULL),
         (3, 'evt_3', 'd3', 'm3', 'issue-2', 'w', 'session_created', 'done', 1, 3, 'wrk_1', 12, 20),
         (4, 'evt_4', 'd4', 'm4', 'issue-3', 'w', 'session_created', 'dead', 5, 2, 'wrk_1', 13, 21),
         (5, 'evt_5', 'd5', 'm5', 'issue-4', 'w', 'session_stopped', 'offered', 0, 1, 'wrk_1', 14, NULL);
INSERT INTO event_chunks (seq, n, text) VALUES (1, 0, '{"agentSession":{"id":"ses-1"},'), (1, 1, '"more":1}'),
  (2, 0, '{"agentSession":{"id":"ses-2"}}'), (3, 0, '{}'), (4, 0, 'no json'), (5, 0, '{"agentSession":{"id":"ses-5"}}');
INSERT INTO tokens (session_key, newest, sticky_worker) VALUES ('issue-1', 7, 'wrk_1'), ('issue-2', 3, 'wrk_1');
INSERT INTO leases (session_key, worker_id, token, renewed_at) VALUES ('issue-1', 'wrk_1', 7, 15);
INSERT INTO worker_keys (hash, key_id, name) VALUES ('h', 'key_1', 'laptop');
INSERT INTO workers (id, key_hash, name, version, protocol, repositories, teams, executors, slots, weight, registered_at, last_seen_at)
  VALUES ('wrk_1', 'h', 'laptop', '0.1.0', 1, '[]', '[]', '[]', 3, 1, 5, 15);
INSERT INTO rejections (seq, worker_id) VALUES (2, 'wrk_1');
INSERT INTO commands (id, taken_at) VALUES ('cmd-1', 9);
"#;

#[test]
fn a_hub_of_the_first_version_keeps_its_events_leases_tokens_and_workers() {
    let tables = at_version(1);
    tables.execute_batch(FIRST_VERSION).unwrap();
    migrate(&tables, 1);
    let events = texts(
        &tables,
        "SELECT json_array(seq, state, attempts, token, worker_id, live, ready, sort, agent_session) FROM events ORDER BY seq",
    );
    assert_eq!(
        events,
        [
            // A body that is cut within its first chunk names no agent session beside it.
            r#"[1,"accepted",1,7,"wrk_1",1,0,0,""]"#,
            r#"[2,"pending",0,0,null,1,1,0,"ses-2"]"#,
            r#"[3,"done",1,3,"wrk_1",0,0,0,""]"#,
            r#"[4,"dead",5,2,"wrk_1",1,0,0,""]"#,
            r#"[5,"offered",0,1,"wrk_1",1,0,2,"ses-5"]"#,
        ]
    );
    let bodies = texts(
        &tables,
        "SELECT group_concat(text, '') FROM (SELECT id / 64 AS seq, text FROM chunks ORDER BY id) GROUP BY seq",
    );
    assert_eq!(bodies[0], r#"{"agentSession":{"id":"ses-1"},"more":1}"#);
    assert_eq!(bodies.len(), 5);
    let sessions = texts(
        &tables,
        "SELECT json_array(session_key, newest, sticky, holder, renewed_at) FROM sessions ORDER BY session_key",
    );
    assert_eq!(sessions, [r#"["issue-1",7,"wrk_1","wrk_1",15]"#, r#"["issue-2",3,"wrk_1",null,null]"#]);
    assert_eq!(
        texts(&tables, "SELECT json_array(id, slots, strikes, connected) FROM workers"),
        [r#"["wrk_1",3,0,0]"#]
    );
    assert_eq!(texts(&tables, "SELECT worker_id FROM rejections"), ["wrk_1"]);
    assert_eq!(texts(&tables, "SELECT id FROM commands"), ["cmd-1"]);
    let twice = tables.execute("INSERT INTO events (id, delivery_id, meaning, session_key, workspace_id, kind, state, received_at) VALUES ('evt_6', 'd1', 'm6', 's', 'w', 'k', 'pending', 1)", ());
    assert!(twice.is_err(), "a delivery that it knew is known");
}

#[test]
fn every_version_leads_to_the_same_tables() {
    let columns = "SELECT m.name || '.' || c.name || ' ' || c.type FROM sqlite_master m JOIN pragma_table_info(m.name) c ORDER BY 1";
    let newest = texts(&at_version(migrations().len()), columns);
    assert!(newest.len() > 60, "{newest:?}");
    for from in 1..migrations().len() {
        let tables = at_version(from);
        migrate(&tables, from);
        assert_eq!(texts(&tables, columns), newest, "from version {from}");
    }
}
