//! Changes while `cyrus` runs: of the file, of the secrets, of the panel; good ones and broken ones.

use std::sync::Mutex as StdMutex;

use axum::Router;
use axum::extract::State as Given;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use shared::id::OrgId;
use shared::worker_key::WorkerKey;

use super::*;
use crate::config::Secret;
use crate::config::live::{Changes, Live};
use crate::worker::fresh_uuid;

/// What the panel answers, and how often it was asked for something new.
#[derive(Clone, Default)]
struct Panel(Arc<StdMutex<(Value, u32)>>);

impl Panel {
    fn says(&self, answer: Value) {
        self.0.lock().unwrap().0 = answer;
    }

    fn told(&self) -> u32 {
        self.0.lock().unwrap().1
    }
}

async fn answer(Given(panel): Given<Panel>, headers: HeaderMap) -> Response {
    let mut panel = panel.0.lock().unwrap();
    assert!(headers["authorization"].to_str().unwrap().starts_with("Bearer cyw_"));
    assert!(headers["cyrus-worker"].to_str().unwrap().starts_with("wrk_"));
    let answer = panel.0.clone();
    let Some(etag) = answer["etag"].as_str() else {
        return (StatusCode::OK, answer.as_str().unwrap_or_default().to_owned()).into_response();
    };
    let known = headers.get("if-none-match").and_then(|value| value.to_str().ok());
    if known == Some(&format!("\"{etag}\"")) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    panel.1 += 1;
    axum::Json(answer).into_response()
}

struct Scene {
    folder: tempfile::TempDir,
    panel: Panel,
    base: String,
    live: Live,
    task: tokio::task::JoinHandle<()>,
}

impl Scene {
    async fn begin(file: &Value, said: Value) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let panel = Panel::default();
        panel.says(said);
        let routes = Router::new().route("/api/workers/me/config", get(answer)).with_state(panel.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), with_panel(file, &base)).unwrap();
        let (live, task) = start(folder.path(), &base);
        Self { folder, panel, base, live, task }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("config.json")
    }

    fn write(&self, file: &Value) {
        std::fs::write(self.path(), with_panel(file, &self.base)).unwrap();
    }

    /// Ends the watch as a killed `cyrus` does, and starts again from what is on the disk.
    fn restart(&mut self) {
        self.task.abort();
        (self.live, self.task) = start(self.folder.path(), &self.base);
    }

    async fn until(&self, what: &str, holds: impl Fn(&Config) -> bool) {
        let found = tokio::time::timeout(Duration::from_secs(5), async {
            let mut live = self.live.clone();
            while !holds(&live.now()) {
                live.changed().await;
            }
        });
        assert!(found.await.is_ok(), "not within 5 s: {what}; {:?}", self.live.watched().state());
    }

    async fn until_told(&self, words: &str) {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let told = format!("{:?}", self.live.watched().state().troubles);
            if told.contains(words) {
                return;
            }
            assert!(Instant::now() < deadline, "not within 5 s: {words}; {told}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn with_panel(file: &Value, base: &str) -> String {
    let mut file = file.clone();
    file["controlPanel"] = json!({"apiUrl": base});
    file.to_string()
}

fn start(folder: &Path, base: &str) -> (Live, tokio::task::JoinHandle<()>) {
    let sources =
        Sources { path: folder.join("config.json"), home: folder.join("state"), variable: |_| None };
    let reading = sources.read(true).unwrap();
    let key = WorkerKey::new(OrgId::from_uuid(fresh_uuid()), [1; 32]);
    let client = PanelClient::new(crate::http::client().unwrap(), base.to_owned(), key);
    let worker = WorkerId::from_uuid(fresh_uuid());
    let (changes, live) = Changes::begin(reading.config.clone());
    let task = tokio::spawn(Watch::new(sources, reading, Some((client, worker)), changes).run());
    (live, task)
}

fn model(config: &Config) -> Option<String> {
    config.for_runs(&config.repositories[0]).model
}

fn file(slots: u32, model: &str) -> Value {
    json!({"slots": slots, "model": model, "repositories": [{"name": "app", "repositoryPath": "/app"}]})
}

fn said(etag: &str, model: &str) -> Value {
    json!({"etag": etag, "slots": 7, "repositories": [{"name": "app", "model": model, "allowedTools": ["Read"]}]})
}

#[tokio::test]
async fn the_panel_counts_at_once_and_a_change_there_within_5_s() {
    let scene = Scene::begin(&file(2, "of-file"), said("1", "first")).await;
    scene.until("the panel's first answer", |config| model(config).as_deref() == Some("first")).await;
    assert_eq!(scene.live.now().slots, 7);
    scene.panel.says(said("2", "second"));
    scene.live.watched().panel_is_at("2".into());
    scene.until("its second", |config| model(config).as_deref() == Some("second")).await;
    assert_eq!(scene.live.watched().state().panel_etag.as_deref(), Some("2"));
    // The same version again is no question, and no answer.
    scene.live.watched().panel_is_at("2".into());
    scene.live.watched().look_again();
    scene.write(&file(3, "of-file"));
    scene.until("the file", |config| config.origins.of("slots") == Source::Panel && config.slots == 7).await;
    assert_eq!(scene.panel.told(), 2);
}

#[tokio::test]
async fn a_broken_file_leaves_the_last_good_one_in_force_also_after_a_restart() {
    let mut scene = Scene::begin(&file(2, "good"), json!({"etag": "1"})).await;
    scene.write(&file(5, "better"));
    scene.until("the change", |config| config.slots == 5).await;
    std::fs::write(scene.path(), "{\"slots\": 9,, torn").unwrap();
    scene.until_told("is not JSON").await;
    assert_eq!(scene.live.now().slots, 5);
    assert_eq!(model(&scene.live.now()).as_deref(), Some("better"));
    scene.restart();
    assert_eq!(scene.live.now().slots, 5);
    scene.until_told("last good one").await;
    std::fs::remove_file(scene.path()).unwrap();
    scene.until_told("cannot be read").await;
    assert_eq!(scene.live.now().slots, 5);
    scene.write(&file(6, "mended"));
    scene.until("the mended file", |config| config.slots == 6).await;
    assert!(scene.live.watched().state().troubles.is_empty());
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_leaves_the_last_one_in_force_and_is_told() {
    let mut scene = Scene::begin(&file(2, "of-file"), said("1", "first")).await;
    scene.until("the panel's answer", |config| model(config).as_deref() == Some("first")).await;
    scene.panel.says(said("2", "--evil"));
    scene.live.watched().panel_is_at("2".into());
    scene.until_told("begins with `-`").await;
    scene.panel.says(json!("no JSON at all"));
    scene.live.watched().panel_is_at("3".into());
    scene.until_told("stays in force").await;
    assert_eq!(model(&scene.live.now()).as_deref(), Some("first"));
    // A start while the panel is no use begins with what was last in force.
    scene.restart();
    assert_eq!(model(&scene.live.now()).as_deref(), Some("first"));
    assert_eq!(scene.live.now().slots, 7);
    scene.panel.says(said("4", "mended"));
    scene.live.watched().panel_is_at("4".into());
    scene.until("the mended answer", |config| model(config).as_deref() == Some("mended")).await;
}

#[tokio::test]
async fn what_the_panel_said_rests_sealed() {
    let mut answer = said("1", "first");
    answer["executors"] =
        json!([{"executor": "claude", "variable": "ANTHROPIC_API_KEY", "value": "sk-canary"}]);
    let scene = Scene::begin(&file(2, "of-file"), answer).await;
    scene.until("the credential", |config| config.credentials.contains_key("ANTHROPIC_API_KEY")).await;
    let kept = scene.folder.path().join("state/panel-config.sealed");
    let deadline = Instant::now() + Duration::from_secs(5);
    while !kept.exists() {
        assert!(Instant::now() < deadline, "it is not kept");
        sleep(Duration::from_millis(10)).await;
    }
    assert!(!std::fs::read_to_string(kept).unwrap().contains("canary"));
}

#[tokio::test]
async fn a_secret_that_is_set_counts_without_a_restart_and_what_needs_one_is_told() {
    let scene = Scene::begin(&file(2, "m"), json!({"etag": "1"})).await;
    let state = scene.live.now().state_dir.clone();
    Secrets::of(&state).set("OPENAI_API_KEY", &Secret::new("sk-2")).unwrap();
    scene.until("the secret", |config| config.credentials.contains_key("OPENAI_API_KEY")).await;
    let mut moved = file(4, "m");
    moved["stateDir"] = json!("/elsewhere");
    moved["name"] = json!("renamed");
    scene.write(&moved);
    scene.until("the slots", |config| config.slots == 4).await;
    assert_eq!(scene.live.now().state_dir, state);
    assert_eq!(scene.live.now().worktrees_dir, state.join("worktrees"));
    scene.until_told("counts from the next start").await;
}
