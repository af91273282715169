//! One go of the executor: started from an event, told to the outbox as it goes, ended with an answer.

use anyhow::Context;
use shared::activity_id::{Step, activity_id};
use shared::event::{AgentSession, EventBody};
use shared::id::{FencingToken, RunId, Seq};
use shared::linear::activity::ActivityContent;
use shared::money::MicroUsd;
use shared::run::RunRecord;
use shared::session::{SessionState, SessionUpdate};
use tracing::{info, warn};
use uuid::Uuid;

use super::{Means, answer, prompt, workplace};
use crate::config::RepositoryConfig;
use crate::executor::{
    Conversation, Environment, Limits, Run, RunControl, RunEnd, RunEvent, RunEventKind, RunOutcome, RunSpec,
    process_tree,
};
use crate::git::{self, Author, Worktree};
use crate::journal::effect::Effect;
use crate::journal::event::Taken;
use crate::journal::session::Remembered;
use crate::outbox::Outbox;
use crate::worker::{fresh_uuid, now};

/// Variables that an agent gets of this process's environment, beyond the plain ones: the model's access.
const MODEL_ACCESS: &[&str] = &["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "CLAUDE_CODE_OAUTH_TOKEN"];

/// A go of the executor.
pub struct Turn {
    seqs: Vec<Seq>,
    token: FencingToken,
    run_id: RunId,
    record: RunRecord,
    worktree: Worktree,
    title: String,
    /// The agent's newest words, held back: the last ones are the answer, not a thought.
    held: Option<(String, u64)>,
}

/// What a turn begins with, beside its event.
pub struct Plan<'a> {
    /// Where it works.
    pub repository: &'a RepositoryConfig,
    /// What the person asked for before they were asked which repository is meant.
    pub wanted: Option<String>,
    /// What was said to and by a worker that had the session before.
    pub account: Option<String>,
    /// What the journal remembers of the session.
    pub remembered: &'a Remembered,
}

/// How a turn ended, in the words of everybody who is told.
pub struct Ending {
    /// What it cost at list price.
    pub cost: MicroUsd,
    /// For the panel.
    pub update: SessionUpdate,
    /// For Linear.
    pub content: ActivityContent,
}

impl Turn {
    /// Prepares the workplace and starts the executor. What fails here is told to the person by the caller.
    pub async fn start(
        means: &Means,
        taken: &Taken,
        session: &AgentSession,
        plan: Plan<'_>,
    ) -> anyhow::Result<(Self, Run)> {
        let remembered = plan.remembered;
        let settings = means.config.now();
        let worktree = workplace::prepare(means, session, plan.repository).await?;
        if let Some(before) = remembered.open_run {
            // What a killed process left running must not work beside the new run.
            process_tree::sweep(&before.to_string()).await;
        }
        let run_id = RunId::from_uuid(fresh_uuid());
        let config_dir = settings.state_dir.join("claude");
        let known = remembered.conversation.as_ref().filter(|id| means.executor.knows(&config_dir, id));
        let interrupted = remembered.open_run.is_some() && known.is_some();
        let conversation = match known {
            Some(known) => Conversation::Resume(known.clone()),
            None => Conversation::New(Uuid::new_v4()),
        };
        let conversation_id = match &conversation {
            Conversation::New(id) => id.to_string(),
            Conversation::Resume(id) => id.clone(),
        };
        let body = &taken.event.body;
        let is_new = known.is_none();
        let prompt = match (plan.wanted, plan.account) {
            _ if interrupted => prompt::after_interruption(body),
            (Some(wanted), _) => prompt::after_choice(&wanted, body),
            (None, Some(account)) if is_new => prompt::after_takeover(body, &account),
            _ => prompt::begin(body, is_new),
        };
        let guide = workplace::guide(&worktree).await;
        let spec = RunSpec {
            run_id: run_id.to_string(),
            cwd: worktree.path.clone(),
            prompt,
            prompt_id: Uuid::new_v4(),
            conversation,
            model: settings.model.clone(),
            append_system_prompt: Some(prompt::system(worktree.branch.as_str(), guide.as_deref())),
            max_turns: None,
            max_cost_micro_usd: None,
            prior_cost_micro_usd: if is_new { 0 } else { u64::try_from(remembered.spent.0).unwrap_or(0) },
            env: environment(),
            config_dir,
            run_file: settings.state_dir.join("runs").join(format!("{run_id}.ndjson")),
            limits: Limits::default(),
        };
        for folder in [Some(spec.config_dir.as_path()), spec.run_file.parent()].into_iter().flatten() {
            tokio::fs::create_dir_all(folder)
                .await
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        means
            .journal
            .run_begins(
                &session.id,
                run_id,
                conversation_id.clone(),
                worktree.path.display().to_string(),
                worktree.branch.as_str().to_owned(),
            )
            .await?;
        let run = means.executor.start(spec).await?;
        let record = RunRecord {
            id: run_id,
            executor: means.executor.name().to_owned(),
            executor_version: means.executor_version.clone(),
            executor_session_id: Some(conversation_id),
            model: None,
            status: SessionState::Running,
            started_at: now(),
            completed_at: None,
            turns: None,
            input_tokens: None,
            output_tokens: None,
            list_cost_micro_usd: MicroUsd::ZERO,
            billed_cost_micro_usd: None,
            error_message: None,
        };
        let title = title_of(body);
        let turn =
            Self { seqs: vec![taken.seq], token: taken.token, run_id, record, worktree, title, held: None };
        Ok((turn, run))
    }

    /// The events that this turn took in.
    pub fn seqs(&self) -> &[Seq] {
        &self.seqs
    }

    /// An event that needs no run any more ends with this turn.
    pub fn absorb(&mut self, seq: Seq) {
        self.seqs.push(seq);
    }

    /// The lease's token.
    pub fn token(&self) -> FencingToken {
        self.token
    }

    /// What the panel is told at the start.
    pub fn begun(&self) -> SessionUpdate {
        SessionUpdate {
            token: self.token,
            status: Some(SessionState::Running),
            executor: Some(self.record.executor.clone()),
            executor_version: self.record.executor_version.clone(),
            branch: Some(self.worktree.branch.as_str().to_owned()),
            worktree_path: Some(self.worktree.path.display().to_string()),
            started_at: Some(self.record.started_at),
            run: Some(self.record.clone()),
            ..SessionUpdate::default()
        }
    }

    /// Takes a later event into the running turn. `false`: the turn was over already, and the next one must take it.
    pub async fn take_in(&mut self, control: &RunControl, taken: &Taken) -> bool {
        match &taken.event.body {
            EventBody::SessionStopped { .. } => control.stop().await,
            EventBody::SessionPrompted { .. }
            | EventBody::SessionCreated { .. }
            | EventBody::RunRequested { .. }
            | EventBody::CheckRequested { .. } => {
                if let Err(error) = control.send(prompt::of(&taken.event.body)).await {
                    info!("a follow-up came just after the turn; the next turn takes it ({error})");
                    return false;
                }
            }
        }
        self.seqs.push(taken.seq);
        true
    }

    /// Tells one event of the run: to the log, and what people want to see to Linear.
    pub async fn tell(
        &mut self,
        outbox: &mut Outbox,
        session: &AgentSession,
        event: &RunEvent,
    ) -> anyhow::Result<()> {
        let line = event.log_line(now(), Some(self.run_id));
        let number = outbox.add_lines(vec![line]).await?;
        if event.parent_tool_use_id.is_some() {
            return Ok(());
        }
        match &event.kind {
            RunEventKind::Started { executor_session_id, model, version, .. } => {
                self.record.executor_session_id =
                    executor_session_id.clone().or(self.record.executor_session_id.take());
                self.record.model = model.clone();
                self.record.executor_version = version.clone().or(self.record.executor_version.take());
                let update = SessionUpdate {
                    token: self.token,
                    model: model.clone(),
                    executor_version: version.clone(),
                    run: Some(self.record.clone()),
                    ..SessionUpdate::default()
                };
                outbox.add(Effect::UpdateSession(Box::new(update))).await?;
            }
            RunEventKind::Text(text) if !text.trim().is_empty() => {
                self.release_held(outbox, session).await?;
                self.held = Some((text.clone(), number));
            }
            RunEventKind::ToolUse { name, input, .. } => {
                self.release_held(outbox, session).await?;
                let content = ActivityContent::Action {
                    action: name.clone(),
                    parameter: parameter(input),
                    result: None,
                };
                outbox.add(self.activity(session, number, content, true)).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Keeps the work and finds the words that end the turn.
    pub async fn conclude(&mut self, outcome: RunOutcome) -> Ending {
        let commit = self.keep_work().await;
        let cost = outcome.cost_micro_usd.map(|cost| MicroUsd(i64::try_from(cost).unwrap_or(i64::MAX)));
        let status = answer::state(outcome.end);
        let count = |tokens: u64| Some(i64::try_from(tokens).unwrap_or(i64::MAX));
        self.record.status = status;
        self.record.completed_at = Some(now());
        self.record.turns = Some(u32::try_from(outcome.turns).unwrap_or(u32::MAX));
        self.record.input_tokens =
            count(outcome.tokens.input + outcome.tokens.cache_read + outcome.tokens.cache_write);
        self.record.output_tokens = count(outcome.tokens.output);
        self.record.list_cost_micro_usd = cost.unwrap_or_default();
        self.record.error_message = outcome.error.as_ref().map(|error| error.message.clone());
        let update = SessionUpdate {
            head_commit: commit.clone(),
            run: Some(self.record.clone()),
            ..answer::over(self.token, status, self.record.error_message.clone())
        };
        let place = answer::Place { branch: self.worktree.branch.as_str(), commit: commit.as_deref(), cost };
        let body = answer::last_words(&outcome, &place);
        let content = match outcome.end {
            RunEnd::Completed | RunEnd::Stopped => ActivityContent::Response { body },
            RunEnd::Failed => ActivityContent::Error { body },
        };
        Ending { cost: cost.unwrap_or_default(), update, content }
    }

    /// Writes the end down: as one, so that no crash leaves an ended turn without its answer.
    pub async fn end(
        &self,
        outbox: &mut Outbox,
        session: &AgentSession,
        ending: Ending,
    ) -> anyhow::Result<()> {
        // Linear wants one answer a turn; its id is that of the turn's first event.
        let id = activity_id(&session.id, self.seqs.first().copied().unwrap_or(Seq(0)), Step::Final);
        let effects = vec![
            Effect::UpdateSession(Box::new(ending.update)),
            Effect::Activity { id, content: ending.content, ephemeral: false },
        ];
        outbox.end_turn(ending.cost, self.seqs.clone(), effects).await?;
        Ok(())
    }

    /// Commits what the agent left uncommitted, so that no work is only in a folder. The branch's newest commit, if it has any of its own.
    async fn keep_work(&self) -> Option<String> {
        match self.worktree.repair() {
            Ok(true) => warn!("git's own files of the worktree were changed in the run; they are as before"),
            Ok(false) => {}
            Err(error) => warn!("git's own files of the worktree cannot be mended: {error}"),
        }
        if let Err(error) = self.worktree.commit_all(&self.title, &author()).await {
            warn!("what the agent left could not be committed: {error}");
        }
        let head = self.worktree.head().await.ok()?;
        (head != self.worktree.base_commit).then_some(head)
    }

    async fn release_held(&mut self, outbox: &mut Outbox, session: &AgentSession) -> anyhow::Result<()> {
        if let Some((text, number)) = self.held.take() {
            let effect = self.activity(session, number, ActivityContent::Thought { body: text }, false);
            outbox.add(effect).await?;
        }
        Ok(())
    }

    fn activity(
        &self,
        session: &AgentSession,
        line: u64,
        content: ActivityContent,
        ephemeral: bool,
    ) -> Effect {
        let seq = self.seqs.first().copied().unwrap_or(Seq(0));
        let id = activity_id(&session.id, seq, Step::Streaming { token: self.token, line });
        Effect::Activity { id, content, ephemeral }
    }
}

/// Whom commits are by.
fn author() -> Author {
    Author { name: "Cyrus".to_owned(), email: "cyrus@localhost".to_owned() }
}

/// What an agent may see of this process's environment.
fn environment() -> Environment {
    let home = std::env::home_dir().unwrap_or_else(|| std::path::PathBuf::from("/"));
    let plain = Environment::plain().with("HOME", home).inherit(MODEL_ACCESS);
    git::agent_environment(&author()).into_iter().fold(plain, |all, (name, value)| all.with(name, value))
}

/// The commit message for what the agent left uncommitted.
fn title_of(body: &EventBody) -> String {
    let text = match (&body.agent_session().issue, body) {
        (Some(issue), _) => match &issue.identifier {
            Some(identifier) => format!("{identifier}: {}", issue.title),
            None => issue.title.clone(),
        },
        (None, EventBody::RunRequested { prompt, .. }) if !prompt.trim().is_empty() => {
            prompt.trim().lines().next().unwrap_or_default().to_owned()
        }
        (None, _) => "Work in progress".to_owned(),
    };
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(100).collect();
    line.trim().to_owned()
}

/// The one thing of a tool's input that people want to see.
fn parameter(input: &serde_json::Value) -> String {
    let named = ["command", "file_path", "path", "pattern", "description", "url"]
        .into_iter()
        .find_map(|name| input.get(name).and_then(serde_json::Value::as_str));
    let text = named.map_or_else(|| input.to_string(), str::to_owned);
    let mut short: String = text.chars().take(300).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
