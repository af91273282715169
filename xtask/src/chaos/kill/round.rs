//! One round: people speak in several sessions while the process is killed and comes back, until all is quiet.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use shared::hub::delivery::EventState;
use shared::id::AgentSessionId;
use testkit::webhook::{self, AgentSessionWebhooks};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::super::sender::now_ms;
use super::judge::{self, Table};
use super::life::{self, Launch, Life};
use super::plan::{Round, Session, When};
use super::run_file;
use super::seen::{self, Seen};
use crate::parts::Parts;
use crate::progress::Progress;
use crate::up::kept::Kept;
use crate::up::plan::Plan as Cast;
use crate::up::setting;
use crate::up::state::StateDir;
use crate::up::system::{Ready, System};

/// A session that does not get this far in this time is stuck.
const PATIENCE: Duration = Duration::from_secs(100);
/// A life that does not come to its failpoint in this time is killed.
const MOST_LIFE: Duration = Duration::from_secs(12);
/// Agents must be gone by then.
const GONE: Duration = Duration::from_secs(5);

/// A system with one edge, and rounds played on it.
pub struct Stage {
    system: System,
    instants: bool,
    running: Option<Running>,
}

struct Running {
    ready: Ready,
    launch: Launch,
    life: Option<Life>,
    /// The first life, which the system started.
    first: Option<i32>,
    issues: u32,
}

impl Stage {
    /// Prepares everything; nothing runs yet.
    pub fn open(parts: &Parts, folder: &Path, instants: bool) -> Result<Self> {
        let repository = remote_and_clone(folder)?;
        let state = StateDir::open(&folder.join("state"))?;
        let kept = Kept::load_or_make(&state)?;
        let system = System::new(cast(repository)?, state, kept, parts.clone(), Progress::quiet());
        Ok(Self { system, instants, running: None })
    }

    /// Starts it.
    pub async fn start(&mut self) -> Result<()> {
        let ready = self.system.start().await?;
        let edge = ready.edges.first().context("the system has no edge")?;
        let folder = edge.command.parent().context("the launcher has a folder")?.to_owned();
        let launch = Launch { command: edge.command.clone(), env: edge.env.clone(), folder };
        self.running = Some(Running { first: Some(edge.pid), launch, life: None, issues: 0, ready });
        Ok(())
    }

    /// Ends everything.
    pub async fn stop(self) {
        if let Some(life) = self.running.and_then(|running| running.life) {
            life.stop().await;
        }
        self.system.stop().await;
    }

    /// Plays a round and judges it. At most `most` kills are done.
    pub async fn play(&mut self, round: Round, most: u64) -> Result<Table> {
        let running = self.running.as_mut().context("the system runs")?;
        let (linear, kept) = (&self.system.cast()?.linear, &self.system.kept);
        let before: BTreeSet<String> =
            run_file::all(&running.launch.folder)?.into_iter().map(|run| run.id).collect();
        let begun = Instant::now();
        let mut people = Vec::new();
        for session in &round.sessions {
            running.issues += 1;
            people.push(Person::new(kept, &format!("CH-{}", running.issues), session));
        }
        let mut table = Table::default();
        let (ready, launch) = (&running.ready, &running.launch);
        let talk = async {
            let talks = people.iter().map(|person| person.converse(ready, linear, begun));
            futures(talks).await
        };
        let over = tokio::sync::watch::channel(false);
        let kills = async {
            let mut lives = Lives { launch, life: running.life.take(), first: running.first.take() };
            for kill in round.kills.iter().take(usize::try_from(most).unwrap_or(usize::MAX)) {
                if *over.1.borrow() {
                    break;
                }
                let when = match kill.when {
                    When::Commit(..) if self.instants => When::After(3_000),
                    when => when,
                };
                if lives.end(when, over.1.clone(), &mut table).await? {
                    let away = Duration::from_millis(kill.away);
                    lives.away(away, &mut table).await;
                }
                if lives.life.is_none() && lives.first.is_none() {
                    lives.life = Some(launch.start(None)?);
                }
            }
            lives.well(&mut table, &over.1).await?;
            anyhow::Ok((lives.life, lives.first))
        };
        let talk = async {
            let stuck = talk.await;
            over.0.send_replace(true);
            stuck
        };
        let (stuck, lives) = tokio::join!(talk, kills);
        (running.life, running.first) = lives?;
        for (person, outcome) in people.iter().zip(stuck) {
            if let Err(error) = outcome {
                table.wrong.push(format!("{} is stuck: {error:#}", person.id));
            }
        }
        // A session's last words leave before its agent is gone.
        let deadline = Instant::now() + GONE;
        while !running.launch.agents().is_empty() && Instant::now() < deadline {
            sleep(Duration::from_millis(100)).await;
        }
        table.left.extend(running.launch.agents().into_iter().map(|agent| format!("after the end: {agent}")));
        let repository = &self.system.plan.repositories[0];
        table.add(
            judge_all(&people, &running.ready, linear, &running.launch.folder, repository, &before).await?,
        );
        Ok(table)
    }
}

struct Lives<'a> {
    launch: &'a Launch,
    life: Option<Life>,
    first: Option<i32>,
}

impl Lives<'_> {
    /// Ends a life as planned; `false`: everything was over before.
    async fn end(
        &mut self,
        when: When,
        mut over: tokio::sync::watch::Receiver<bool>,
        table: &mut Table,
    ) -> Result<bool> {
        let until_over = async move {
            // The sender is there as long as this.
            let _ = over.wait_for(|over| *over).await;
        };
        match (when, self.life.take(), self.first.take()) {
            (When::After(ms), life, first) => {
                let all_over = tokio::select! {
                    () = sleep(Duration::from_millis(ms)) => false,
                    () = until_over => true,
                };
                if all_over {
                    (self.life, self.first) = (life, first);
                    return Ok(false);
                }
                kill_either(life, first).await?;
            }
            // The failpoint is of the next life, so this one ends first.
            (When::Commit(number, after), life, first) => {
                kill_either(life, first).await?;
                table.kills += 1;
                let mut next = self.launch.start(Some((number, after)))?;
                let ended = tokio::select! {
                    ended = next.ends_within(MOST_LIFE) => ended?,
                    () = until_over => {
                        self.life = Some(next);
                        return Ok(false);
                    }
                };
                match ended {
                    Some(status) => {
                        use std::os::unix::process::ExitStatusExt;
                        if status.signal() != Some(9) {
                            table.wrong.push(format!("cyrus ended by itself: {status}"));
                        }
                        table.at_commits += 1;
                    }
                    None => next.kill().await?,
                }
            }
        }
        table.kills += 1;
        Ok(true)
    }

    /// Nobody is there for a while; an agent must not be either.
    async fn away(&self, time: Duration, table: &mut Table) {
        sleep(time).await;
        if time > Duration::from_secs(1) {
            table
                .left
                .extend(self.launch.agents().into_iter().map(|agent| format!("without cyrus: {agent}")));
        }
    }

    /// Until all is over it must not end by itself.
    async fn well(&mut self, table: &mut Table, over: &tokio::sync::watch::Receiver<bool>) -> Result<()> {
        while !*over.borrow() {
            let Some(life) = &mut self.life else {
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            if let Some(status) = life.ends_within(Duration::from_millis(200)).await? {
                table.wrong.push(format!("cyrus ended by itself: {status}"));
                self.life = Some(self.launch.start(None)?);
            }
        }
        Ok(())
    }
}

async fn kill_either(life: Option<Life>, first: Option<i32>) -> Result<()> {
    match (life, first) {
        (Some(life), _) => life.kill().await,
        (None, Some(pid)) => life::kill_foreign(pid).await,
        (None, None) => Ok(()),
    }
}

/// Who speaks in one session.
struct Person<'a> {
    plan: &'a Session,
    hooks: AgentSessionWebhooks,
    id: AgentSessionId,
    secret: &'a str,
}

impl<'a> Person<'a> {
    fn new(kept: &'a Kept, identifier: &str, plan: &'a Session) -> Self {
        let (session, issue) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
        let linear = &kept.linear;
        let mut hooks =
            AgentSessionWebhooks::new(&linear.organization_id, &linear.app_user_id, &session, &issue);
        identifier.clone_into(&mut hooks.identifier);
        hooks.title = format!("Chaos in {identifier}");
        hooks.description.clone_from(&plan.created.text);
        hooks.comment_id = Uuid::new_v4().to_string();
        Self { plan, hooks, id: AgentSessionId::from(session.as_str()), secret: &kept.linear_webhook_secret }
    }

    async fn converse(
        &self,
        ready: &Ready,
        linear: &testkit::linear::LinearHandle,
        begun: Instant,
    ) -> Result<()> {
        tokio::time::sleep_until(begun + Duration::from_millis(self.plan.at)).await;
        self.send(ready, &self.hooks.created_by_delegation(now_ms())).await?;
        let deadline = Instant::now() + PATIENCE;
        while linear.agent_session(self.id.as_str()).activities.is_empty() {
            anyhow::ensure!(Instant::now() < deadline, "no first thought");
            sleep(Duration::from_millis(20)).await;
        }
        let follow_up = async {
            let Some((after, message)) = &self.plan.in_run else { return Ok(()) };
            sleep(Duration::from_millis(*after)).await;
            self.send(ready, &self.hooks.prompted(&Uuid::new_v4().to_string(), &message.text, now_ms())).await
        };
        let stop = async {
            let Some(after) = self.plan.stop else { return Ok(()) };
            sleep(Duration::from_millis(after)).await;
            self.send(ready, &self.hooks.stop(&Uuid::new_v4().to_string(), now_ms())).await
        };
        let (follow_up, stop) = tokio::join!(follow_up, stop);
        follow_up?;
        stop?;
        self.quiet(ready).await?;
        if let Some(message) = &self.plan.after {
            self.send(ready, &self.hooks.prompted(&Uuid::new_v4().to_string(), &message.text, now_ms()))
                .await?;
            self.quiet(ready).await?;
        }
        Ok(())
    }

    /// Sends as Linear does: under the same delivery id until it is taken.
    async fn send(&self, ready: &Ready, body: &Value) -> Result<()> {
        let (delivery, deadline) = (Uuid::new_v4().to_string(), Instant::now() + PATIENCE);
        loop {
            let mut body = body.clone();
            body["webhookTimestamp"] = now_ms().into();
            let body = body.to_string().into_bytes();
            let headers = webhook::headers(self.secret, &body, &delivery, now_ms());
            match ready.panel.send_webhook(headers, body).await {
                Ok(()) => return Ok(()),
                // An answer was lost on its way.
                Err(error) if error.to_string().contains("`duplicate`") => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => sleep(Duration::from_millis(300)).await,
            }
        }
    }

    /// Waits until the hub has nothing open of this session.
    async fn quiet(&self, ready: &Ready) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let all = seen::deliveries(&ready.panel, &ready.worker_key, self.id.as_str()).await?;
            let over = |state: EventState| {
                matches!(state, EventState::Done | EventState::Cancelled | EventState::Dead)
            };
            let open: Vec<_> = all.iter().filter(|delivery| !over(delivery.state)).collect();
            if open.is_empty() && !all.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let told: Vec<String> = open
                    .iter()
                    .map(|delivery| format!("{} {} {:?}", delivery.seq, delivery.kind, delivery.state))
                    .collect();
                anyhow::bail!("open after {PATIENCE:?}: {}", told.join(", "));
            }
            sleep(Duration::from_millis(150)).await;
        }
    }
}

async fn judge_all(
    people: &[Person<'_>],
    ready: &Ready,
    linear: &testkit::linear::LinearHandle,
    edge: &Path,
    repository: &Path,
    before: &BTreeSet<String>,
) -> Result<Table> {
    let (panel, owner) = (&ready.panel, &ready.set_up.owner_api_key);
    let mut runs = run_file::all(edge)?;
    runs.retain(|run| !before.contains(&run.id));
    let remote = repository.with_file_name("remote.git");
    let pushes = remote.join("refs/cyrus/wip").is_dir();
    let looks = people.iter().map(async |person| {
        let id = person.id.as_str();
        let deliveries = seen::deliveries(panel, &ready.worker_key, id).await?;
        let records = seen::records(panel, owner, id).await?;
        let record = records.first();
        let worktree = record.and_then(|record| record.worktree_path.as_deref()).map(PathBuf::from);
        let branch = record.and_then(|record| record.branch.as_deref());
        let ours: Vec<_> = runs
            .iter()
            .filter(|run| {
                let named = record
                    .is_some_and(|record| record.runs.iter().any(|other| other.id.to_string() == run.id));
                named || (worktree.is_some() && run.cwd == worktree)
            })
            .collect();
        let expected = ours.iter().map(|run| run.events.len()).sum();
        let lines = match record {
            Some(record) => seen::lines(panel, owner, &record.id.to_string(), expected).await?,
            None => Vec::new(),
        };
        let work = match (&worktree, branch) {
            (Some(worktree), Some(branch)) => seen::work(repository, worktree, branch, "main", &remote, id),
            // Nothing was ever started.
            _ => seen::Work::default(),
        };
        let activities = linear.agent_session(id).activities;
        let seen = Seen { deliveries, activities, records, lines, work };
        let table = judge::session(person.plan, &person.id, &seen, &ours, pushes);
        let claimed: Vec<String> = ours.iter().map(|run| run.id.clone()).collect();
        anyhow::Ok((table, claimed))
    });
    let (mut all, mut known) = (Table::default(), BTreeSet::new());
    for look in futures(looks).await {
        let (table, claimed) = look?;
        all.add(table);
        known.extend(claimed);
    }
    for run in runs.iter().filter(|run| !known.contains(&run.id) && !run.events.is_empty()) {
        all.lost.push(format!("the panel knows nothing of run {} with {} events", run.id, run.events.len()));
    }
    Ok(all)
}

/// Waits for all of them at once, in their order.
async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures_util::future::join_all(all).await
}

/// A bare remote that logs every change of every ref, and a clone of it, whose path is given back.
fn remote_and_clone(folder: &Path) -> Result<PathBuf> {
    let (remote, seed, clone) = (folder.join("remote.git"), folder.join("seed"), folder.join("clone"));
    let path = |path: &Path| path.display().to_string();
    seen::git(folder, &["init", "--quiet", "--bare", "--initial-branch=main", &path(&remote)])?;
    seen::git(&remote, &["config", "core.logAllRefUpdates", "always"])?;
    seen::git(folder, &["init", "--quiet", "--initial-branch=main", &path(&seed)])?;
    std::fs::write(seed.join("README.md"), "# A repository for chaos\n")?;
    let identity = ["-c", "user.name=Chaos", "-c", "user.email=chaos@example.invalid"];
    seen::git(&seed, &["add", "--all"])?;
    seen::git(&seed, &[&identity[..], &["commit", "--quiet", "-m", "Begin"]].concat())?;
    seen::git(&seed, &["push", "--quiet", &path(&remote), "main"])?;
    seen::git(folder, &["clone", "--quiet", &path(&remote), &path(&clone)])?;
    for (key, value) in
        [("user.name", "Chaos"), ("user.email", "chaos@example.invalid"), ("commit.gpgsign", "false")]
    {
        seen::git(&clone, &["config", key, value])?;
    }
    Ok(clone)
}

/// One edge; nothing is slowed by a limit, and what a kill cut off is offered again soon.
fn cast(repository: PathBuf) -> Result<Cast> {
    let settings = [
        "offerMs=1500",
        "backoffMs=100",
        "backoffMaxMs=2000",
        "heartbeatLineMs=2000",
        "webhooksPerMinute=1000000",
        "linearRequestsPerHour=1000000",
    ];
    let settings = setting::parse(&settings.map(str::to_owned))?;
    Ok(Cast { weights: vec![1], settings, repositories: vec![repository], ..Cast::default() })
}
