//! Every wire type: a sample of it survives the round trip, fits its committed JSON Schema, and the schema in
//! `schema/` is the one that the type has now. `CYRUS_WRITE_SCHEMAS=1 cargo test -p shared --features schema`
//! writes the schemas anew after a wanted change.

#![cfg(feature = "schema")]
#![expect(clippy::unwrap_used, reason = "a test says by a panic what does not hold")]

use std::fmt::Debug;
use std::path::Path;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use shared::ack::{Ack, AckAnswer, AckState};
use shared::api::{
    Me, NewRepository, NewWorkerKey, Overview, Page, Repository, RepositoryUpdate, SessionChanged, Worker,
    WorkerUpdate,
};
use shared::event::{Actor, AgentSession, Change, Closing, Comment, Event, EventBody, Issue, IssueField};
use shared::hub::delivery::EventState;
use shared::id::{
    AgentSessionId, DeliveryId, EventId, FencingToken, IssueId, KeyId, LinearWorkspaceId, OrgId,
    RepositoryId, RunId, Seq, SessionId, SessionKey, WorkerId, new_uuid,
};
use shared::log_line::{LeaseShown, LeaseTaken, LogAnswer, LogLevel, LogLine, LogPost};
use shared::money::MicroUsd;
use shared::problem::{Problem, ProblemCode};
use shared::recovery::{Recovered, Recovery};
use shared::run::RunRecord;
use shared::session::{AgentType, ExecutorType, NewSession, SessionRecord, SessionState, SessionUpdate};
use shared::settings::Settings;
use shared::status::{DeliveryRecord, HubStatus, Latency, LinearBudget, Queue, Wait, Wakes, WorkerStatus};
use shared::stream::{HeldLease, PROTOCOL, StreamLine};
use shared::time::Timestamp;
use shared::worker::{
    AccessToken, Heartbeat, HeartbeatAnswer, LeaseClaim, Registered, Registration, WorkerState,
};
use shared::worker_config::{ExecutorCredential, Permissions, RepositorySettings, WorkerConfig};

const NOW: Timestamp = Timestamp::from_millis(1_795_342_525_781);

fn uuid(n: u8) -> uuid::Uuid {
    new_uuid(NOW, [n; 10])
}

/// Round trip, schema of the type against the committed one, sample against the schema.
fn holds<T: Serialize + DeserializeOwned + JsonSchema + Debug + PartialEq>(name: &str, samples: &[T]) {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(format!("{name}.json"));
    if std::env::var_os("CYRUS_WRITE_SCHEMAS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == text, "{} is not what the type has now", file.display());
    let validator = jsonschema::validator_for(schema.as_value()).unwrap();
    for sample in samples {
        let wire = serde_json::to_value(sample).unwrap();
        assert!(validator.is_valid(&wire), "{name}: {wire} does not fit its schema");
        let back: T = serde_json::from_value(wire).unwrap();
        assert_eq!(&back, sample, "{name}");
    }
}

fn agent_session() -> AgentSession {
    AgentSession {
        id: AgentSessionId::from("70f3d8b1-c5a2-4e9d-8617-4a2e9b0c5d38"),
        url: Some("https://linear.app/acme/issue/ENG-774".into()),
        issue: Some(Issue {
            id: IssueId::from("c47e9d30"),
            identifier: Some("ENG-774".into()),
            title: "Show totals \u{1f980} \"quoted\" \\ back".into(),
            description: Some("line\nline\u{0}".into()),
            url: None,
            team_id: Some("t".into()),
            team_key: Some("ENG".into()),
        }),
        comment: Some(Comment { id: "c".into(), body: "hi".into() }),
        creator_name: None,
        local: false,
    }
}

fn event(body: EventBody) -> Event {
    Event {
        id: EventId::from_uuid(uuid(1)),
        delivery_id: DeliveryId::from("234d1a4e"),
        received_at: NOW,
        workspace_id: LinearWorkspaceId::from("5c0f5d0e"),
        body,
    }
}

fn bodies() -> Vec<EventBody> {
    vec![
        EventBody::SessionCreated {
            agent_session: agent_session(),
            prompt_context: Some("<issue/>".into()),
            guidance: vec!["rule".into()],
        },
        EventBody::SessionPrompted {
            agent_session: agent_session(),
            activity_id: "a".into(),
            text: "two digits".into(),
            from_panel: false,
        },
        EventBody::SessionStopped {
            agent_session: agent_session(),
            activity_id: "a".into(),
            from_panel: true,
        },
        EventBody::RunRequested {
            agent_session: AgentSession { issue: None, local: true, ..agent_session() },
            prompt: "add a page".into(),
            repository: Some("demo".into()),
        },
        EventBody::CheckRequested {
            agent_session: AgentSession { issue: None, local: true, ..agent_session() },
            executor: "claude".into(),
        },
        EventBody::IssueEdited {
            agent_session: agent_session(),
            changed: vec![
                Change { field: IssueField::Title, old: Some("Before".into()), new: Some("After".into()) },
                Change { field: IssueField::Description, old: None, new: None },
            ],
            actor: Some(Actor { id: Some("u".into()), name: None }),
        },
        EventBody::IssueClosed { agent_session: agent_session(), how: Closing::Canceled, actor: None },
        EventBody::Unassigned { agent_session: agent_session(), actor: None },
        EventBody::Unknown,
    ]
}

fn run() -> RunRecord {
    RunRecord {
        id: RunId::from_uuid(uuid(2)),
        executor: "claude".into(),
        executor_version: Some("2.1.330".into()),
        executor_session_id: None,
        model: None,
        status: SessionState::Running,
        started_at: NOW,
        completed_at: None,
        turns: Some(3),
        input_tokens: Some(10),
        output_tokens: None,
        list_cost_micro_usd: MicroUsd(50_400),
        billed_cost_micro_usd: None,
        error_message: None,
    }
}

fn line(seq: u64, metadata: serde_json::Value) -> LogLine {
    LogLine {
        seq,
        level: LogLevel::Info,
        message: "did it".into(),
        metadata,
        timestamp: NOW,
        run_id: Some(RunId::from_uuid(uuid(2))),
    }
}

#[test]
fn events_and_stream_lines_hold() {
    holds("event", &bodies().into_iter().map(event).collect::<Vec<_>>());
    let mut lines = vec![
        StreamLine::Hello {
            worker_id: WorkerId::from_uuid(uuid(3)),
            protocol: PROTOCOL,
            server_time: NOW,
            intervals: Settings::default().intervals(),
            config_etag: Some("e".into()),
            leases: vec![HeldLease {
                session_key: SessionKey::from("k"),
                token: FencingToken(7),
                stop: true,
            }],
            accepted: vec![Seq(1), Seq(2)],
        },
        StreamLine::Heartbeat,
        StreamLine::Config { etag: "e".into() },
        StreamLine::Revoked { session_key: SessionKey::from("k"), token: FencingToken(7) },
        StreamLine::Reconnect,
        StreamLine::Replaced,
    ];
    lines.extend(bodies().into_iter().map(|body| StreamLine::Event {
        seq: Seq(9),
        attempt: 1,
        session_key: body.session_key(),
        token: FencingToken(7),
        takeover: false,
        ask: true,
        first_thought: false,
        linear_slice: Some(40),
        event: Box::new(event(body)),
    }));
    holds("stream_line", &lines);
    for known in &lines {
        let text = serde_json::to_vec(known).unwrap();
        assert_eq!(shared::stream::parse(&text).unwrap().as_ref(), Some(known));
    }
}

#[test]
fn acks_hold() {
    let ack = |state| Ack {
        seq: Seq(4),
        token: FencingToken(1),
        state,
        reason: Some("r".into()),
        after_ms: Some(5),
        result: Some(json!({"ok": true})),
    };
    holds("ack", &[AckState::Accepted, AckState::Done, AckState::Retry, AckState::Reject].map(ack));
    holds("ack_answer", &[AckAnswer::Ok, AckAnswer::Stale, AckAnswer::Unknown]);
    holds("event_state", &EventState::ALL);
}

#[test]
fn workers_and_leases_hold() {
    let worker_id = WorkerId::from_uuid(uuid(3));
    let registration = Registration {
        worker_id: Some(worker_id),
        name: "laptop".into(),
        version: "0.1.0".into(),
        protocol: PROTOCOL,
        repositories: vec!["github.com/acme/app".into()],
        teams: vec![],
        executors: vec!["claude".into()],
        slots: 2,
        weight: 1,
    };
    holds("registration", &[registration]);
    holds(
        "registered",
        &[Registered { worker_id, protocol: PROTOCOL, intervals: Settings::default().intervals() }],
    );
    let claim = LeaseClaim { session_key: SessionKey::from("k"), token: FencingToken(7) };
    holds("heartbeat", &[Heartbeat { leases: vec![claim.clone()], slots: 2, used: 1, linear_used: 3 }]);
    holds(
        "heartbeat_answer",
        &[HeartbeatAnswer {
            lost: vec![claim],
            exclusive_ms: 150_000,
            linear_slice: Some(500),
            config_etag: None,
        }],
    );
    holds(
        "worker_state",
        &[
            WorkerState::Online,
            WorkerState::Working,
            WorkerState::Draining,
            WorkerState::Offline,
            WorkerState::Revoked,
        ],
    );
    holds(
        "access_token",
        &[AccessToken { authorization: "Bearer x".into(), api_url: None, workspace_id: "w".into() }],
    );
    holds(
        "settings",
        &[Settings::default(), Settings { offer_ms: 5, takeover_never: true, ..Settings::default() }],
    );
}

#[test]
fn what_people_see_of_the_hub_holds() {
    let delivery = DeliveryRecord {
        id: EventId::from_uuid(uuid(1)),
        seq: Seq(4),
        delivery_id: DeliveryId::from("234d1a4e"),
        kind: "session_created".into(),
        session_key: SessionKey::from("k"),
        agent_session_id: Some(AgentSessionId::from("a")),
        workspace_id: LinearWorkspaceId::from("5c0f5d0e"),
        title: Some("ENG-774 Show totals".into()),
        state: EventState::Pending,
        waits: Some(Wait::Order),
        attempts: 2,
        worker_id: Some(WorkerId::from_uuid(uuid(3))),
        token: Some(FencingToken(7)),
        takeover: true,
        ask: false,
        first_thought: true,
        reason: None,
        received_at: NOW,
        not_before: Some(NOW),
        offered_at: None,
        accepted_at: None,
        ended_at: None,
        dismissed: false,
    };
    let dismissed =
        DeliveryRecord { state: EventState::Dead, waits: None, dismissed: true, ..delivery.clone() };
    holds("delivery_record", &[delivery, dismissed]);
    let worker = WorkerStatus {
        id: WorkerId::from_uuid(uuid(3)),
        name: "laptop".into(),
        state: WorkerState::Working,
        version: "0.1.0".into(),
        protocol: PROTOCOL,
        executors: vec!["claude".into()],
        repositories: vec![],
        teams: vec!["ENG".into()],
        slots: 2,
        used: 1,
        weight: 1,
        queue: 3,
        strikes: 0,
        last_seen_at: NOW,
    };
    let status = HubStatus {
        server_time: NOW,
        workers: vec![worker],
        queue: Queue { pending: 1, ..Queue::default() },
        oldest_undone_ms: Some(5),
        ack_latency: Latency { count: 1, p50_ms: Some(2), p99_ms: Some(2) },
        wakes: Wakes { lives: 1, ..Wakes::default() },
        storage_bytes: 4096,
        linear: LinearBudget { allowed: 5_000, used: 3 },
    };
    holds("hub_status", &[status]);
}

#[test]
fn sessions_runs_and_lines_hold() {
    holds("session_state", &SessionState::ALL);
    holds("run", &[run()]);
    let new = NewSession {
        session_key: SessionKey::from("k"),
        token: FencingToken(1),
        agent_session_id: Some(AgentSessionId::from("a")),
        repository: Some("demo".into()),
        linear_issue_id: None,
        linear_issue_identifier: Some("ENG-1".into()),
        linear_issue_title: None,
        linear_issue_url: None,
        agent_type: AgentType::Builder,
        executor_type: ExecutorType::Local,
        worker_name: "laptop".into(),
    };
    holds("new_session", &[new]);
    let update = SessionUpdate {
        token: FencingToken(1),
        status: Some(SessionState::Completed),
        run: Some(run()),
        ..SessionUpdate::default()
    };
    holds("session_update", &[SessionUpdate::default(), update]);
    let record = SessionRecord {
        id: SessionId::from_uuid(uuid(4)),
        session_key: SessionKey::from("k"),
        agent_session_id: None,
        repository_id: Some(RepositoryId::from_uuid(uuid(5))),
        repository_name: None,
        linear_issue_id: None,
        linear_issue_identifier: None,
        linear_issue_title: None,
        linear_issue_url: None,
        agent_type: AgentType::Debugger,
        executor_type: ExecutorType::Cloud,
        status: SessionState::AwaitingInput,
        executor: None,
        executor_version: None,
        model: None,
        worker_name: None,
        branch: None,
        head_commit: None,
        worktree_path: None,
        codegen_session_id: None,
        workspace_path: None,
        verification_passed: Some(true),
        pull_request_url: None,
        error_message: None,
        decision: Some(json!({"executor": "claude"})),
        estimate: None,
        proof: None,
        list_cost_micro_usd: MicroUsd(1),
        billed_cost_micro_usd: Some(MicroUsd(0)),
        cost: Some(0.5),
        tokens_used: Some(3),
        duration: Some(1),
        duration_ms: Some(1_234),
        started_at: Some(NOW),
        completed_at: None,
        created_at: NOW,
        updated_at: NOW,
        next_seq: 4,
        runs: vec![run()],
        recoveries: vec![Recovered {
            run_id: RunId::from_uuid(uuid(2)),
            branch: "eng-1-recovered-x".into(),
            commit: "c0ffee".into(),
            remote: None,
            created_at: NOW,
        }],
    };
    holds("session", &[record]);
    holds("session_changed", &[SessionChanged { status: SessionState::Stopped, updated_at: NOW }]);
    holds("log_line", &[line(1, json!({"kind": "text"})), line(2, serde_json::Value::Null)]);
    holds("log_post", &[LogPost { token: FencingToken(1), lines: vec![line(1, json!({"kind": "text"}))] }]);
    holds("log_answer", &[LogAnswer { up_to: 9, flush_ms: 2_000 }]);
    holds("lease_shown", &[LeaseShown { token: FencingToken(0) }]);
    holds("lease_taken", &[LeaseTaken { next_seq: 1 }]);
}

#[test]
fn the_panels_own_shapes_hold() {
    let repository = Repository {
        id: RepositoryId::from_uuid(uuid(5)),
        name: "demo".into(),
        path: "/x".into(),
        remote: None,
        base_branch: "main".into(),
        linear_workspace_id: None,
        execution_strategy: "local-only".into(),
        model: Some("claude-opus-4-6".into()),
        fallback_model: None,
        allowed_tools: Some(vec!["Bash(git *)".into()]),
        disallowed_tools: Some(vec![]),
        permissions: Some(Permissions::Ask),
        max_sessions: Some(2),
        created_at: NOW,
        updated_at: NOW,
    };
    holds("repository_page", &[Page { items: vec![repository], next: Some("1.x".into()) }]);
    holds(
        "new_repository",
        &[NewRepository {
            name: "n".into(),
            path: "/x".into(),
            remote: None,
            base_branch: None,
            linear_workspace_id: None,
        }],
    );
    let worker = Worker {
        id: WorkerId::from_uuid(uuid(3)),
        name: "laptop".into(),
        state: WorkerState::Working,
        version: "0.1.0".into(),
        executors: vec!["claude".into()],
        slots: 2,
        wanted_slots: Some(3),
        used: 1,
        weight: 1,
        queue: 0,
        strikes: 0,
        last_seen_at: Some(NOW),
    };
    holds("worker", &[worker]);
    holds(
        "repository_update",
        &[
            RepositoryUpdate::default(),
            RepositoryUpdate {
                base_branch: Some("develop".into()),
                model: Some(None),
                allowed_tools: Some(Some(vec!["Read".into()])),
                max_sessions: Some(Some(2)),
                ..RepositoryUpdate::default()
            },
        ],
    );
    holds("worker_update", &[WorkerUpdate::default(), WorkerUpdate { slots: Some(None) }]);
    let recovery = Recovery {
        session_key: SessionKey::from("k"),
        token: FencingToken(3),
        run_id: RunId::from_uuid(uuid(2)),
        branch: "eng-1-recovered-x".into(),
        commit: "c0ffee".into(),
        remote: Some("github.com/acme/app".into()),
    };
    holds("recovery", &[recovery]);
    holds(
        "me",
        &[Me {
            organization_id: OrgId::from_uuid(uuid(6)),
            organization_name: "Acme".into(),
            role: "owner".into(),
        }],
    );
    holds("overview", &[Overview::default()]);
    holds(
        "new_worker_key",
        &[NewWorkerKey { id: KeyId::from_uuid(uuid(7)), key: "cyw_…".into(), active: true }],
    );
    holds("money", &[MicroUsd(-5), MicroUsd(i64::MAX)]);
}

#[test]
fn problems_hold() {
    holds("problem", &[Problem::new(ProblemCode::StampStale, "send it again")]);
    holds("problem_code", ProblemCode::ALL);
}

#[test]
fn the_configuration_of_a_worker_holds() {
    let all = RepositorySettings {
        id: Some(RepositoryId::from_uuid(uuid(5))),
        name: "app".into(),
        remote: Some("github.com/acme/app".into()),
        model: Some("opus".into()),
        fallback_model: Some("sonnet".into()),
        allowed_tools: Some(vec!["Read".into(), "Bash(git *)".into()]),
        disallowed_tools: Some(Vec::new()),
        permissions: Some(Permissions::Ask),
        max_sessions: Some(2),
        execution_strategy: Some("local-only".into()),
    };
    let bare = RepositorySettings { name: "docs".into(), ..RepositorySettings::default() };
    let credential = ExecutorCredential {
        executor: "claude".into(),
        variable: "ANTHROPIC_API_KEY".into(),
        value: "sk".into(),
    };
    let whole = WorkerConfig {
        etag: "0a1b".into(),
        slots: Some(4),
        repositories: vec![all, bare],
        executors: vec![credential],
    };
    holds("worker_config", &[whole, WorkerConfig { etag: "1".into(), ..WorkerConfig::default() }]);
}
