//! A stage for tests: sessions with a real journal, a stand-in Linear, a small panel and token source, and the
//! stand-in program as the agent. Everything is on loopback and in a temporary folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use shared::event::{AgentSession, Event, EventBody, Issue};
use shared::id::{
    AgentSessionId, DeliveryId, EventId, FencingToken, IssueId, LinearWorkspaceId, OrgId, RunId, Seq,
    SessionId, SessionKey, WorkerId,
};
use shared::money::MicroUsd;
use shared::stream::{HeldLease, Intervals};
use shared::worker::LeaseClaim;
use shared::worker_key::WorkerKey;
use testkit::linear::{ActivityView, LinearConfig, LinearHandle, LinearStandIn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::{Means, Told};
use crate::config::live::Changes;
use crate::config::{Config, RepositoryConfig};
use crate::executor::claude::{Claude, ClaudeConfig};
use crate::executor::{Capabilities, Executor, ExecutorError, LeftBehind, LeftFiles, Run, RunSpec};
use crate::journal::Journal;
use crate::journal::event::Taken;
use crate::journal::run::NewRun;
use crate::linear::LinearClient;
use crate::outbox::Outside;
use crate::panel::PanelClient;
use crate::proxy::client::ProxyClient;
use crate::worker::boot_clock::BootClock;
use crate::worker::leases::Leases;
use crate::worker::linear_budget::LinearUse;
use crate::worker::slots::Slots;
use crate::worker::{fresh_uuid, now};

/// The issue's id, which is the session key too.
pub const KEY: &str = "2174add1-f7c8-44e3-bbf3-2d60b5ea8bc9";
/// An agent session on it.
pub const SESSION: &str = "70f3d8b1-c5a2-4e9d-8617-4a2e9b0c5d38";
/// The token of every lease here.
pub const TOKEN: FencingToken = FencingToken(3);

/// What the panel was told, and how it answers.
#[derive(Default)]
pub struct Panel {
    /// Requests as (method, path, body), in order.
    pub requests: Vec<(String, String, Value)>,
    /// States of sessions by their id.
    pub states: BTreeMap<String, String>,
    /// What log posts are answered as `flushMs`.
    pub flush_ms: u64,
    /// Log posts are not answered while this is set.
    pub holds_lines: bool,
    /// The next posts of lines are answered like this: status and `Retry-After`.
    pub refuse_lines: Vec<(u16, Option<u32>)>,
}

impl Panel {
    /// Bodies of the requests of this method whose path ends so.
    pub fn bodies(&self, method: &str, end: &str) -> Vec<Value> {
        let fits = |(verb, path, _): &&(String, String, Value)| verb == method && path.ends_with(end);
        self.requests.iter().filter(fits).map(|(.., body)| body.clone()).collect()
    }
}

/// The stage.
pub struct Stage {
    folder: tempfile::TempDir,
    /// Linear.
    pub linear: Arc<LinearHandle>,
    /// The panel.
    pub panel: Arc<Mutex<Panel>>,
    /// What a session works with.
    pub means: Means,
    done: mpsc::UnboundedReceiver<Vec<Seq>>,
    _ending: watch::Sender<bool>,
}

struct StandIn {
    claude: Claude,
    behaviour: &'static str,
}

impl Executor for StandIn {
    fn name(&self) -> &'static str {
        "claude"
    }

    fn capabilities(&self) -> Capabilities {
        self.claude.capabilities()
    }

    fn version(&self) -> BoxFuture<'_, Result<String, ExecutorError>> {
        Box::pin(std::future::ready(Ok("2.1.0".to_owned())))
    }

    fn read_left(&self, files: LeftFiles) -> BoxFuture<'_, std::io::Result<LeftBehind>> {
        self.claude.read_left(files)
    }

    fn knows(&self, config_dir: &Path, conversation: &str) -> bool {
        self.claude.knows(config_dir, conversation)
    }

    fn start(&self, mut spec: RunSpec) -> BoxFuture<'_, Result<Run, ExecutorError>> {
        spec.env = spec.env.with("STAND_IN", self.behaviour);
        self.claude.start(spec)
    }
}

impl Stage {
    /// A stage with one repository whose agent behaves so; its lease is confirmed for an hour.
    pub async fn new(behaviour: &'static str) -> Self {
        Self::with(behaviour, &["app"]).await
    }

    /// A stage with these repositories.
    pub async fn with(behaviour: &'static str, repositories: &[&str]) -> Self {
        let linear = LinearStandIn::start(LinearConfig::default()).await.unwrap();
        Self::set(behaviour, repositories, Arc::new(linear), LinearUse::default()).await
    }

    /// A stage that shares its Linear with others, of which it may spend so much.
    pub async fn beside(linear: Arc<LinearHandle>, linear_use: LinearUse) -> Self {
        Self::set("good", &["app"], linear, linear_use).await
    }

    async fn set(
        behaviour: &'static str,
        repositories: &[&str],
        linear: Arc<LinearHandle>,
        linear_use: LinearUse,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let panel = Arc::new(Mutex::new(Panel { flush_ms: 50, ..Panel::default() }));
        let authorization = format!("Bearer {}", linear.config().access_token);
        let token =
            json!({"authorization": authorization, "apiUrl": linear.graphql_url(), "workspaceId": "w"});
        let base = serve(token, Arc::clone(&panel)).await;
        let key = WorkerKey::new(OrgId::from_uuid(fresh_uuid()), [1; 32]);
        let text = json!({
            "name": "here", "proxyUrl": base, "controlPanel": {"apiUrl": base, "apiKey": key.reveal()},
            "stateDir": folder.path().join("state"), "slots": 1,
        });
        let mut config =
            Config::parse(&text.to_string(), Path::new("c.json"), folder.path(), |_| None).unwrap();
        config.repositories =
            repositories.iter().map(|name| repository(&folder.path().join(name), name)).collect();
        let journal = Journal::open(&config.state_dir, WorkerId::from_uuid(fresh_uuid())).unwrap();
        let http = crate::http::client().unwrap();
        let proxy = ProxyClient::new(http.clone(), base.clone(), key.clone(), journal.worker_id());
        let outside = Outside {
            linear: Some(LinearClient::new(http.clone(), proxy, linear_use.clone())),
            panel: Some(PanelClient::new(http, base, key)),
            screen: None,
        };
        let path = format!("{}/tests/fixtures/claude/programs/stand-in.sh", env!("CARGO_MANIFEST_DIR"));
        let claude = Claude::new(ClaudeConfig { binary: Some(path.into()), ..ClaudeConfig::default() });
        let (ending_sender, ending) = watch::channel(false);
        let (done_sender, done) = mpsc::unbounded_channel();
        let means = Means {
            config: Changes::begin(config).1,
            journal,
            outside,
            executor: Arc::new(StandIn { claude, behaviour }),
            executor_version: Some("2.1.0".to_owned()),
            slots: Slots::new(1),
            done: done_sender,
            ending,
            leases: Leases::new(Arc::new(BootClock)),
            linear_use,
        };
        Self { folder, linear, panel, means, done, _ending: ending_sender }
    }

    /// Changes the configuration of a repository.
    pub fn configure(&mut self, name: &str, change: impl FnOnce(&mut RepositoryConfig)) {
        let mut config = (*self.means.config.now()).clone();
        change(config.repositories.iter_mut().find(|config| config.name == name).unwrap());
        self.means.config = Changes::begin(config).1;
    }

    /// Changes the worker's own settings.
    pub fn settings(&mut self, change: impl FnOnce(&mut Config)) {
        let mut config = (*self.means.config.now()).clone();
        change(&mut config);
        self.means.config = Changes::begin(config).1;
    }

    /// Takes an event as the worker does: into the journal, under a held lease.
    pub async fn take(&self, taken: &Taken) {
        self.means.journal.take(taken.clone()).await.unwrap();
        self.means.leases.holds(&taken.session_key, taken.token, taken.seq);
    }

    /// The hub confirms the lease of a key.
    pub fn confirm(&self, key: &SessionKey) {
        let claim = LeaseClaim { session_key: key.clone(), token: TOKEN };
        let leases = &self.means.leases;
        leases.answered(leases.now(), &[claim], &[], Duration::from_secs(3600));
    }

    /// Gives an event to a new task of its key, under a confirmed lease.
    pub async fn begin(&self, taken: Taken) -> mpsc::Sender<Told> {
        self.take(&taken).await;
        let key = taken.session_key.clone();
        self.confirm(&key);
        let (sender, inbox) = mpsc::channel(16);
        sender.send(Told::Event(Box::new(taken))).await.unwrap();
        tokio::spawn(super::run(self.means.clone(), key, inbox));
        sender
    }

    /// Gives one more event to a task.
    pub async fn go_on(&self, task: &mpsc::Sender<Told>, taken: Taken) {
        self.take(&taken).await;
        self.confirm(&taken.session_key);
        task.send(Told::Event(Box::new(taken))).await.unwrap();
    }

    /// Waits until these events are done.
    pub async fn until_done(&mut self, seqs: &[u64]) {
        let mut open: Vec<u64> = seqs.to_vec();
        while !open.is_empty() {
            let done = tokio::time::timeout(Duration::from_secs(30), self.done.recv()).await;
            let done = done.unwrap_or_else(|_| panic!("{open:?} are not done")).unwrap();
            open.retain(|seq| !done.contains(&Seq(*seq)));
        }
    }

    /// What Linear holds of the session, replaced activities left out.
    pub fn told(&self) -> Vec<ActivityView> {
        self.linear.agent_session(SESSION).activities
    }

    /// Texts of activities of a kind.
    pub fn texts(&self, kind: &str) -> Vec<String> {
        self.told().into_iter().filter(|told| told.kind == kind).map(|told| told.body).collect()
    }

    /// The prompt that an agent was given last, wherever its worktree is.
    pub fn prompt(&self) -> Option<(PathBuf, String)> {
        let worktrees = self.folder.path().join("state/worktrees");
        let folders = |path: &Path| {
            std::fs::read_dir(path)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .collect::<Vec<_>>()
        };
        folders(&worktrees).iter().flat_map(|repository| folders(repository)).find_map(|tree| {
            let text = std::fs::read_to_string(tree.join("prompt.json")).ok()?;
            Some((tree, text))
        })
    }

    /// Gives a repository a remote, and returns the remote's folder.
    pub fn remote(&self, name: &str) -> PathBuf {
        let here = self.folder.path().join(name);
        let there = self.folder.path().join(format!("{name}-remote.git"));
        let git = |args: &[&std::ffi::OsStr]| {
            let done = std::process::Command::new("git").args(args).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        git(&[
            "init".as_ref(),
            "-q".as_ref(),
            "--bare".as_ref(),
            "-b".as_ref(),
            "main".as_ref(),
            there.as_ref(),
        ]);
        let add = ["remote".as_ref(), "add".as_ref(), "origin".as_ref(), there.as_ref()];
        git(&[&["-C".as_ref(), here.as_ref()][..], &add[..]].concat());
        let push = ["push".as_ref(), "-q".as_ref(), "origin".as_ref(), "main".as_ref()];
        git(&[&["-C".as_ref(), here.as_ref()][..], &push[..]].concat());
        there
    }

    /// Waits until something that takes a moment to look at holds, at most 30 s.
    pub async fn until_async(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !holds(self).await {
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until something holds, at most 30 s.
    pub async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !holds(self) {
            assert!(Instant::now() < deadline, "waited in vain: {what}; told: {:?}", self.told());
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn repository(path: &Path, name: &str) -> RepositoryConfig {
    let git = |args: &[&str]| {
        let done = std::process::Command::new("git").arg("-C").arg(path).args(args).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    std::fs::create_dir_all(path).unwrap();
    git(&["init", "-q", "-b", "main"]);
    let who = ["-c", "user.name=t", "-c", "user.email=t@localhost"];
    git(&[&who[..], &["commit", "-q", "--allow-empty", "-m", "first"]].concat());
    serde_json::from_value(json!({"name": name, "repositoryPath": path})).unwrap()
}

/// The agent session on the issue.
pub fn session() -> AgentSession {
    AgentSession {
        id: AgentSessionId::from(SESSION),
        url: None,
        issue: Some(Issue {
            id: IssueId::from(KEY),
            identifier: Some("ENG-1".into()),
            title: "Show totals".into(),
            description: Some("A sum column".into()),
            url: None,
            team_id: None,
            team_key: None,
        }),
        comment: None,
        creator_name: None,
        local: false,
    }
}

/// An event as it is offered.
pub fn taken(seq: u64, body: EventBody) -> Taken {
    Taken {
        seq: Seq(seq),
        session_key: body.session_key(),
        token: TOKEN,
        first_thought: false,
        takeover: false,
        repository: None,
        ask: false,
        turn_over: false,
        turn: None,
        event: Event {
            id: EventId::from_uuid(fresh_uuid()),
            delivery_id: DeliveryId::from("d"),
            received_at: now(),
            workspace_id: LinearWorkspaceId::from("w"),
            body,
        },
    }
}

/// The session begins.
pub fn created(seq: u64) -> Taken {
    let body =
        EventBody::SessionCreated { agent_session: session(), prompt_context: None, guidance: Vec::new() };
    taken(seq, body)
}

/// A person writes.
pub fn prompted(seq: u64, text: &str) -> Taken {
    let body = EventBody::SessionPrompted {
        agent_session: session(),
        activity_id: format!("prompt-{seq}"),
        text: text.to_owned(),
        from_panel: false,
    };
    taken(seq, body)
}

/// A person stops.
pub fn stopped(seq: u64) -> Taken {
    let body = EventBody::SessionStopped {
        agent_session: session(),
        activity_id: format!("stop-{seq}"),
        from_panel: false,
    };
    taken(seq, body)
}

/// The same event, moved here from another worker.
pub fn moved(taken: Taken) -> Taken {
    Taken { takeover: true, ..taken }
}

/// A lease as `hello` tells of it, and usual intervals.
pub fn hello(key: &SessionKey, stop: bool) -> (Intervals, Vec<HeldLease>) {
    let intervals = Intervals {
        heartbeat_line_ms: 15_000,
        worker_heartbeat_ms: 45_000,
        lease_ms: 150_000,
        offer_ms: 10_000,
    };
    (intervals, vec![HeldLease { session_key: key.clone(), token: TOKEN, stop }])
}

/// Proxy and panel in one.
async fn serve(token: Value, panel: Arc<Mutex<Panel>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(answer_all(socket, token.clone(), Arc::clone(&panel)));
        }
    });
    base
}

async fn answer_all(mut socket: TcpStream, token: Value, panel: Arc<Mutex<Panel>>) -> Option<()> {
    loop {
        let (method, path, body) = read_request(&mut socket).await?;
        panel.lock().unwrap().requests.push((method.clone(), path.clone(), body.clone()));
        let is_lines = method == "POST" && path.ends_with("/logs");
        while is_lines && panel.lock().unwrap().holds_lines {
            sleep(Duration::from_millis(5)).await;
        }
        let refusal = {
            let mut panel = panel.lock().unwrap();
            (is_lines && !panel.refuse_lines.is_empty()).then(|| panel.refuse_lines.remove(0))
        };
        let (status, extra, text) = match refusal {
            Some((status, after)) => {
                let header = after.map_or(String::new(), |after| format!("retry-after: {after}\r\n"));
                let problem = json!({"type": "x", "title": "Busy", "status": status, "detail": "x", "code": "rate_limited"});
                (status, header, problem.to_string())
            }
            None => (200, String::new(), answer(&method, &path, &body, &token, &panel).to_string()),
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{extra}content-length: {}\r\n\r\n",
            text.len()
        );
        socket.write_all(format!("{head}{text}").as_bytes()).await.ok()?;
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<(String, String, Value)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.to_lowercase();
    let mut words = head.split_whitespace();
    let (method, path) = (words.next()?.to_uppercase(), words.next()?.to_owned());
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    socket.read_exact(&mut body).await.ok()?;
    Some((method, path, serde_json::from_slice(&body).unwrap_or_default()))
}

fn answer(method: &str, path: &str, body: &Value, token: &Value, panel: &Mutex<Panel>) -> Value {
    let mut panel = panel.lock().unwrap();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match (method, parts.as_slice()) {
        ("GET", ["v1", "tokens", "linear"]) => token.clone(),
        ("PUT", ["api", "leases", _]) => json!({"nextSeq": 1}),
        ("POST", ["api", "sessions"]) => {
            let theirs = body["agentSessionId"].as_str().and_then(|id| id.parse::<SessionId>().ok());
            let id = theirs.unwrap_or_else(|| {
                let seed: [u8; 16] = shared::digest::sha256(body["agentSessionId"].to_string().as_bytes())
                    .get(..16)
                    .and_then(|bytes| bytes.try_into().ok())
                    .unwrap();
                SessionId::from_uuid(uuid::Uuid::from_bytes(seed))
            });
            let state = panel.states.entry(id.to_string()).or_insert_with(|| "queued".to_owned()).clone();
            record(&id.to_string(), &state)
        }
        ("PATCH", ["api", "sessions", id]) => {
            if let Some(status) = body["status"].as_str() {
                panel.states.insert((*id).to_owned(), status.to_owned());
            }
            record(id, &panel.states.get(*id).cloned().unwrap_or_else(|| "queued".to_owned()))
        }
        ("POST", ["api", "sessions", _, "logs"]) => {
            let last = body["lines"].as_array().and_then(|lines| lines.last()?["seq"].as_u64());
            json!({"upTo": last, "flushMs": panel.flush_ms})
        }
        _ => json!({}),
    }
}

fn record(id: &str, status: &str) -> Value {
    json!({
        "id": id, "sessionKey": KEY, "agentType": "builder", "executorType": "local", "status": status,
        "listCostMicroUsd": 0, "createdAt": now(), "updatedAt": now(), "nextSeq": 1,
    })
}

/// A run of a conversation, as it is written down.
pub fn new_run(conversation: &str) -> NewRun {
    NewRun {
        id: RunId::from_uuid(fresh_uuid()),
        conversation: conversation.to_owned(),
        resumed: false,
        prior: MicroUsd::ZERO,
        worktree: "/w".to_owned(),
        branch: "b".to_owned(),
    }
}
