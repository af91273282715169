//! Takes changes in while `cyrus` runs: of the file and the sealed secrets within a second or two, of the panel as
//! soon as its version is another one.
//!
//! What cannot be used leaves the last good one in force and is told: in the log once, and as [`Trouble`] for as long
//! as it lasts. What only counts at a start keeps its old value until then.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use shared::id::WorkerId;
use shared::worker_config::WorkerConfig;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::live::Changes;
use super::reading::{LAST_GOOD, Reading, Sources};
use super::remote::{self, Answer};
use super::secrets::Secrets;
use super::trouble::{Level, Source, Trouble};
use super::{Config, layers};
use crate::panel::PanelClient;

#[cfg(test)]
mod tests;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// A file that changed so recently is read even if its time says nothing new.
const FRESH: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Says what the watch is to do, and what it found. Clones speak to the same one.
#[derive(Clone, Default)]
pub struct Watched {
    version: Arc<watch::Sender<Option<String>>>,
    again: Arc<Notify>,
    state: Arc<Mutex<State>>,
}

/// How the configuration stands.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// What is wrong now.
    pub troubles: Vec<Trouble>,
    /// The version of the panel's part that is in force.
    pub panel_etag: Option<String>,
}

impl Watched {
    /// The panel's part is of this version now, as the proxy says.
    pub fn panel_is_at(&self, etag: String) {
        self.version.send_if_modified(|known| {
            let other = known.as_deref() != Some(etag.as_str());
            if other {
                *known = Some(etag);
            }
            other
        });
    }

    /// Looks at the file and asks the panel now.
    pub fn look_again(&self) {
        self.again.notify_one();
    }

    /// How it stands.
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell(&self, troubles: Vec<Trouble>, panel_etag: Option<String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for trouble in &troubles {
            if !state.troubles.contains(trouble) {
                warn!("configuration: {trouble}");
            }
        }
        *state = State { troubles, panel_etag };
    }
}

/// The watch.
pub struct Watch {
    sources: Sources,
    panel: Option<(PanelClient, WorkerId)>,
    changes: Changes,
    watched: Watched,
    /// What is in force.
    config: Arc<Config>,
    text: String,
    answer: Option<WorkerConfig>,
    /// What the files were when they were read.
    seen: Seen,
    /// What is wrong with each part.
    of_file: Vec<Trouble>,
    of_panel: Vec<Trouble>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen(Vec<Option<(SystemTime, u64)>>);

impl Watch {
    /// A watch over what was read at the start; the panel is asked as this worker.
    pub fn new(
        sources: Sources,
        reading: Reading,
        panel: Option<(PanelClient, WorkerId)>,
        changes: Changes,
    ) -> Self {
        let Reading { config, troubles, text, panel: answer } = reading;
        if !troubles.iter().any(|trouble| trouble.level == Level::Error) {
            sources.keep(&text);
        }
        let watched = changes.watched().clone();
        watched.tell(troubles.clone(), answer.as_ref().map(|answer| answer.etag.clone()));
        Self {
            seen: Seen::default(),
            sources,
            panel,
            changes,
            watched,
            config: Arc::new(config),
            text,
            answer,
            of_file: troubles,
            of_panel: Vec::new(),
        }
    }

    /// Watches for ever.
    pub async fn run(mut self) {
        let mut version = self.watched.version.subscribe();
        let again = Arc::clone(&self.watched.again);
        let mut pause = FIRST_PAUSE;
        // The panel is asked at once.
        let mut ask_at = self.panel.is_some().then(Instant::now);
        loop {
            let asking = async {
                match ask_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep(LOOK) => self.look(false).await,
                () = again.notified() => {
                    self.look(true).await;
                    ask_at = self.panel.is_some().then(Instant::now);
                }
                Ok(()) = version.changed() => {
                    version.mark_unchanged();
                    (pause, ask_at) = (FIRST_PAUSE, self.panel.is_some().then(Instant::now));
                }
                () = asking => {
                    ask_at = None;
                    if !self.ask().await {
                        ask_at = Some(Instant::now() + pause);
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    } else {
                        pause = FIRST_PAUSE;
                    }
                }
            }
        }
    }

    fn on_disk(&self) -> Seen {
        let of = |path: &Path| {
            let found = std::fs::metadata(path).ok()?;
            Some((found.modified().ok()?, found.len()))
        };
        let secrets = Secrets::of(&self.config.state_dir).file();
        let paths: [PathBuf; 2] = [self.sources.path.clone(), secrets];
        Seen(paths.iter().map(|path| of(path)).collect())
    }

    /// Looks at the files.
    async fn look(&mut self, at_all_costs: bool) {
        let now = self.on_disk();
        let fresh = |(changed, _): &(SystemTime, u64)| changed.elapsed().is_ok_and(|age| age < FRESH);
        if !at_all_costs && now == self.seen && !now.0.iter().flatten().any(fresh) {
            return;
        }
        let secrets_changed = self.seen.0.get(1).is_some_and(|seen| Some(seen) != now.0.get(1));
        self.seen = now;
        let text = match tokio::fs::read_to_string(&self.sources.path).await {
            Ok(text) => text,
            // Who runs by the environment alone has no file.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.text.is_empty() => {
                String::new()
            }
            Err(error) => {
                let what = format!("cannot be read ({error}); {LAST_GOOD}");
                self.of_file = vec![Trouble::error(Source::File, "", what)];
                return self.tell();
            }
        };
        let mended = self.of_file.iter().any(|trouble| trouble.level == Level::Error);
        if text == self.text && !secrets_changed && !mended && !at_all_costs {
            return;
        }
        self.take(text, self.answer.clone());
    }

    /// Asks the panel; `false`: it is to be asked again.
    async fn ask(&mut self) -> bool {
        let Some((panel, worker)) = &self.panel else { return true };
        let known = self.answer.as_ref().map(|answer| answer.etag.as_str());
        match remote::ask(panel, *worker, known).await {
            Ok(Answer::Same | Answer::Nothing) => {
                self.of_panel.clear();
                self.tell();
                true
            }
            Ok(Answer::New(answer)) => {
                self.of_panel.clear();
                let etag = answer.etag.clone();
                self.take(self.text.clone(), Some(answer));
                let taken = self.answer.as_ref().is_some_and(|answer| answer.etag == etag);
                if let Some(answer) = self.answer.as_ref().filter(|_| taken) {
                    remote::keep(&Secrets::of(&self.config.state_dir), answer);
                }
                // One that cannot be used is the panel's to mend: its next version is told.
                true
            }
            Err(error) => {
                let what = format!("cannot be had ({error}); its last one stays in force");
                self.of_panel = vec![Trouble::warning(Source::Panel, "", what)];
                self.tell();
                false
            }
        }
    }

    /// Puts a new text or a new answer in force, if it can be used.
    fn take(&mut self, text: String, answer: Option<WorkerConfig>) {
        let (sealed, of_secrets) = Secrets::of(&self.config.state_dir).all();
        let with_panel = self.config.panel_url.is_some();
        let found = self.sources.merge(&text, answer.as_ref().filter(|_| with_panel), &sealed);
        match found {
            Ok(layers::Merged { config, mut troubles }) => {
                troubles.extend(of_secrets);
                let config = self.as_started(config, &mut troubles);
                self.sources.keep(&text);
                self.of_file = troubles;
                (self.text, self.answer) = (text, answer);
                self.config = Arc::new(config.clone());
                self.changes.put(config);
                self.tell();
                info!("the configuration was read anew");
            }
            Err(troubles) => {
                let of_panel = |trouble: &Trouble| trouble.source == Source::Panel;
                let (panel, mut file): (Vec<_>, Vec<_>) = troubles.into_iter().partition(of_panel);
                if !panel.is_empty() {
                    self.of_panel = panel;
                    let what = "the last answer stays in force until this is mended in the panel";
                    self.of_panel.push(Trouble::warning(Source::Panel, "", what));
                }
                if file.iter().any(|trouble| trouble.level == Level::Error) {
                    file.push(Trouble::warning(Source::File, "", LAST_GOOD));
                    self.of_file = file;
                }
                self.tell();
            }
        }
    }

    /// What only counts at a start stays as it was.
    fn as_started(&self, mut new: Config, troubles: &mut Vec<Trouble>) -> Config {
        let old = &self.config;
        let key_of = |config: &Config| config.key.as_ref().map(shared::worker_key::WorkerKey::reveal);
        let differ = [
            ("proxyUrl", old.proxy_url != new.proxy_url),
            ("controlPanel", old.panel_url != new.panel_url || key_of(old) != key_of(&new)),
            ("stateDir", old.state_dir != new.state_dir),
            ("transport", old.transport != new.transport),
            ("name", old.name != new.name),
            ("weight", old.weight != new.weight),
            ("claude.path", old.claude != new.claude),
            ("enableTracing", old.enable_tracing != new.enable_tracing),
        ];
        for (key, _) in differ.iter().filter(|(_, differs)| *differs) {
            troubles.push(Trouble::warning(Source::File, *key, "counts from the next start of cyrus on"));
        }
        if old.state_dir != new.state_dir && new.worktrees_dir == new.state_dir.join("worktrees") {
            new.worktrees_dir.clone_from(&old.worktrees_dir);
        }
        Config {
            proxy_url: old.proxy_url.clone(),
            panel_url: old.panel_url.clone(),
            key: old.key.clone(),
            state_dir: old.state_dir.clone(),
            transport: old.transport,
            name: old.name.clone(),
            weight: old.weight,
            claude: old.claude.clone(),
            enable_tracing: old.enable_tracing,
            ..new
        }
    }

    fn tell(&self) {
        let troubles = self.of_file.iter().chain(&self.of_panel).cloned().collect();
        self.watched.tell(troubles, self.answer.as_ref().map(|answer| answer.etag.clone()));
    }
}
