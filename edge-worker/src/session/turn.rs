//! One go of the executor for a turn: begun, told to the outbox as it goes, ended with an answer; or taken up again
//! after a crash from what it left in its files.
//!
//! Every state of the turn ([`shared::turn`]) is in the journal before it is acted on. Neighbours: [`super::telling`]
//! says what people read of a run, [`super::prompt`] what the agent is told, [`super::answer`] the last words.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use shared::activity_id::{Step, activity_id};
use shared::event::{AgentSession, EventBody};
use shared::id::{AgentSessionId, FencingToken, RunId, Seq};
use shared::linear::activity::ActivityContent;
use shared::linear::weight::Weight;
use shared::money::MicroUsd;
use shared::session::{SessionState, SessionUpdate};
use shared::time::Timestamp;
use shared::turn::{Fact, Turn};
use tracing::{info, warn};
use uuid::Uuid;

use super::asking::Asking;
use super::left::{message_id, micro, record, run_file};
use super::teller::Teller;
use super::telling::Speaker;
use super::{Means, answer, asking, files, left, prompt, workplace};
use crate::config::layers::MODEL_ACCESS;
use crate::config::{PermissionMode, RepositoryConfig, Secret};
use crate::executor::{
    Ask, Conversation, Environment, Limits, McpServers, Permissions, Reading, Run, RunControl, RunEnd,
    RunOutcome, RunSpec, process_tree,
};
use crate::git::{self, Author, Worktree, wip};
use crate::journal::JournalError;
use crate::journal::effect::Effect;
use crate::journal::event::Taken;
use crate::journal::run::NewRun;
use crate::journal::session::Remembered;
use crate::outbox::Outbox;
use crate::worker::{fresh_uuid, now};

/// The number of a line that no log has: signs of life count on from it.
const FIRST_SIGN: u64 = 1 << 62;
/// The most signs of life of one run.
const SIGNS_OF_A_RUN: u64 = 1 << 32;

/// A turn that has a run, or had one when `cyrus` was killed.
pub struct LiveTurn {
    state: Turn,
    session: AgentSessionId,
    run: RunId,
    teller: Teller,
    worktree: Worktree,
    repository: PathBuf,
    title: String,
    /// Why it was told to end, where that was not a person's stop.
    ended_by: Option<String>,
    /// When the turn's first event came: the date of its work in progress, so that the same state gives the same commit.
    began_at: i64,
    /// Something was told of the run since the work in progress was kept last.
    moved: bool,
    /// What the agent waits for people to say.
    asking: Asking,
    /// An answer was taken in, and the panel was not told.
    answered: bool,
}

/// What a turn begins with, beside its event.
pub struct Plan<'a> {
    /// Where it works.
    pub repository: &'a RepositoryConfig,
    /// Its worktree.
    pub worktree: Worktree,
    /// What the person asked for before they were asked which repository is meant.
    pub wanted: Option<String>,
    /// What was said to and by a worker that had the session before.
    pub account: Option<String>,
    /// What the journal remembers of the session.
    pub remembered: &'a Remembered,
    /// The events that the turn took in, when a run of it was cut off; empty when none was.
    pub cut_off: &'a [Taken],
}

/// How a turn ended, in the words of everybody who is told.
pub struct Ending {
    /// What its last run cost at list price; `None`: nobody can tell.
    pub cost: Option<MicroUsd>,
    /// For the panel.
    pub update: SessionUpdate,
    /// For Linear.
    pub content: ActivityContent,
}

impl LiveTurn {
    /// Prepares the workplace and starts the executor. What fails here is told to the person by the caller.
    pub async fn begin(
        means: &Means,
        taken: &Taken,
        session: &AgentSession,
        plan: Plan<'_>,
        state: Turn,
    ) -> anyhow::Result<(Self, Run)> {
        let remembered = plan.remembered;
        let settings = means.config.now();
        let for_runs = settings.for_runs(plan.repository);
        let worktree = plan.worktree;
        if let Some(before) = remembered.open_run {
            // What a killed process left running must not work beside the new run.
            process_tree::settle(&run_file(&settings.state_dir, before), &before.to_string()).await;
        }
        let run = RunId::from_uuid(fresh_uuid());
        info!(session = %session.id, %run, "a run begins in {}", plan.repository.name);
        let config_dir = workplace::conversations(&settings.state_dir, &session.id);
        let known = remembered.conversation.as_ref().filter(|id| means.executor.knows(&config_dir, id));
        let conversation = match known {
            Some(known) => Conversation::Resume(known.clone()),
            None => Conversation::New(Uuid::new_v4()),
        };
        let conversation_id = match &conversation {
            Conversation::New(id) => id.to_string(),
            Conversation::Resume(id) => id.clone(),
        };
        let prior = match known {
            Some(known) => means.journal.conversation_cost(known).await?,
            None => MicroUsd::ZERO,
        };
        let body = &taken.event.body;
        let is_new = known.is_none();
        let bodies: Vec<&EventBody> = plan.cut_off.iter().map(|taken| &taken.event.body).collect();
        let prompt = match (plan.wanted, plan.account) {
            (wanted, _) if !bodies.is_empty() => {
                prompt::after_interruption(wanted.as_deref(), &bodies, is_new)
            }
            (Some(wanted), _) => prompt::after_choice(&wanted, body),
            (None, Some(account)) if is_new => prompt::after_takeover(body, &account),
            _ => prompt::begin(body, is_new),
        };
        let texts: Vec<&EventBody> = if bodies.is_empty() { vec![body] } else { bodies };
        let prompt = match files::attached(means, session, &texts).await {
            Some(told) => format!("{prompt}\n\n{told}"),
            None => prompt,
        };
        let guide = workplace::guide(&worktree).await;
        let mut instructions = prompt::system(worktree.branch.as_str(), guide.as_deref());
        if let Some(words) = &for_runs.append_instruction {
            instructions.push_str("\n\n");
            instructions.push_str(words);
        }
        let usual = Permissions::default();
        let permissions = Permissions {
            allow: for_runs.allowed_tools.unwrap_or(usual.allow),
            deny: for_runs.disallowed_tools,
            ask: match for_runs.permissions {
                PermissionMode::Ask => Ask::Everything,
                PermissionMode::Deny => usual.ask,
            },
        };
        let value_of = |name: &str| match settings.credentials.get(name) {
            Some(secret) => Some(secret.reveal().to_owned()),
            None => std::env::var(name).ok(),
        };
        let mcp = McpServers::load(&for_runs.mcp_config_path, value_of)?;
        let spec = RunSpec {
            run_id: run.to_string(),
            cwd: worktree.path.clone(),
            prompt,
            prompt_id: message_id(run, state.first),
            conversation,
            model: for_runs.model,
            fallback_model: for_runs.fallback_model,
            permissions,
            mcp,
            append_system_prompt: Some(instructions),
            max_turns: None,
            max_cost_micro_usd: None,
            prior_cost_micro_usd: u64::try_from(prior.0).unwrap_or(0),
            env: environment(&settings.credentials),
            config_dir,
            run_file: run_file(&settings.state_dir, run),
            limits: Limits::default(),
        };
        let mut spec = spec;
        spec.permissions.ask = asking::who(spec.permissions.ask, means.outside.linear.is_some());
        for folder in [Some(spec.config_dir.as_path()), spec.run_file.parent()].into_iter().flatten() {
            tokio::fs::create_dir_all(folder)
                .await
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let state = state.after(Fact::Begins { run })?;
        let new = NewRun {
            id: run,
            conversation: conversation_id.clone(),
            resumed: !is_new,
            prior,
            worktree: worktree.path.display().to_string(),
            branch: worktree.branch.as_str().to_owned(),
        };
        means.journal.run_begins(&session.id, state.clone(), new).await?;
        let started = means.executor.start(spec).await?;
        let teller = Teller {
            speaker: Speaker { session: session.id.clone(), first: state.first, token: taken.token },
            run,
            record: record(means, run, conversation_id),
            held: None,
            plan: super::plan::Plan::default(),
        };
        let repository = plan.repository.repository_path.clone();
        Ok((Self::of(taken, state, run, teller, worktree, repository), started))
    }

    /// Takes a run up that was live when `cyrus` was killed: ends what is left of it, tells what it wrote that nobody
    /// told, and judges it. Without an outcome it was cut off.
    pub async fn take_up(
        means: &Means,
        taken: &Taken,
        session: &AgentSession,
        repository: &RepositoryConfig,
        (state, run): (Turn, RunId),
        outbox: &mut Outbox,
    ) -> anyhow::Result<(Self, Option<RunOutcome>)> {
        let worktree = workplace::prepare(means, session, repository).await?;
        let speaker = Speaker { session: session.id.clone(), first: state.first, token: taken.token };
        let (teller, outcome) = left::tell_the_rest(means, speaker, &state, run, outbox).await?;
        let repository = repository.repository_path.clone();
        Ok((Self::of(taken, state, run, teller, worktree, repository), outcome))
    }

    fn of(
        taken: &Taken,
        state: Turn,
        run: RunId,
        teller: Teller,
        worktree: Worktree,
        repository: PathBuf,
    ) -> Self {
        let session = teller.speaker.session.clone();
        let began_at = taken.event.received_at.as_millis() / 1000;
        let title = title_of(&taken.event.body);
        Self {
            state,
            session,
            run,
            teller,
            worktree,
            repository,
            title,
            ended_by: None,
            began_at,
            moved: true,
            asking: Asking::default(),
            answered: false,
        }
    }

    /// Where the turn stands.
    pub fn state(&self) -> &Turn {
        &self.state
    }

    /// The events that this turn took in.
    pub fn seqs(&self) -> &[Seq] {
        &self.state.members
    }

    /// Something happens to the turn; it is in the journal when this returns.
    pub async fn note(&mut self, means: &Means, fact: Fact) -> anyhow::Result<()> {
        let state = self.state.after(fact)?;
        means.journal.save_turn(&self.session, state.clone()).await?;
        self.state = state;
        Ok(())
    }

    /// The run was cut off; the turn stands where another can begin.
    pub async fn breaks(mut self, outbox: &mut Outbox) -> anyhow::Result<Turn> {
        self.state = self.state.after(Fact::Breaks)?;
        let said = self.teller.released().into_iter().collect();
        outbox.break_run(self.state.clone(), self.run, said).await?;
        Ok(self.state)
    }

    /// Why it ends, for its last words; `None` leaves what is known.
    pub fn because(&mut self, why: Option<String>) {
        self.ended_by = why.or(self.ended_by.take());
    }

    /// The run ended at a usage limit, and the turn waits for its reset.
    pub async fn park(
        &mut self,
        means: &Means,
        outbox: &mut Outbox,
        until: Timestamp,
        outcome: &RunOutcome,
    ) -> anyhow::Result<()> {
        self.keep_work().await;
        if let Some(cost) = outcome.cost_micro_usd {
            means.journal.run_spent(self.run, micro(cost)).await?;
        }
        self.state = self.state.after(Fact::Parks { until })?;
        let step = Step::Streaming { token: self.token(), line: u64::MAX - u64::from(self.state.pauses) };
        let words = Effect::Words {
            id: activity_id(&self.session, self.state.first, step),
            body: answer::parked(until),
            weight: Weight::Milestone,
        };
        let update = SessionUpdate {
            token: self.token(),
            status: Some(SessionState::Parked),
            ..SessionUpdate::default()
        };
        let mut effects: Vec<Effect> = self.teller.released().into_iter().collect();
        effects.extend([words, Effect::UpdateSession(Box::new(update))]);
        outbox.break_run(self.state.clone(), self.run, effects).await?;
        Ok(())
    }

    /// The lease's token.
    pub fn token(&self) -> FencingToken {
        self.teller.speaker.token
    }

    /// What the panel is told at the start.
    pub fn begun(&self) -> SessionUpdate {
        SessionUpdate {
            token: self.teller.speaker.token,
            status: Some(SessionState::Running),
            executor: Some(self.teller.record.executor.clone()),
            executor_version: self.teller.record.executor_version.clone(),
            branch: Some(self.worktree.branch.as_str().to_owned()),
            worktree_path: Some(self.worktree.path.display().to_string()),
            started_at: Some(self.teller.record.started_at),
            run: Some(self.teller.record.clone()),
            ..SessionUpdate::default()
        }
    }

    /// Takes a later message into the running turn. `false`: the turn was over already, and the next one must take it.
    pub async fn take_in(
        &mut self,
        means: &Means,
        control: &RunControl,
        taken: &Taken,
    ) -> anyhow::Result<bool> {
        self.note(means, Fact::Takes { seq: taken.seq }).await?;
        if let EventBody::SessionPrompted { agent_session, text, .. } = &taken.event.body
            && agent_session.id == self.session
            && let Some((id, decision)) = self.asking.answer(text)
            && control.answer(id, decision).await.is_ok()
        {
            self.answered = true;
            return Ok(true);
        }
        let sent = control.send_as(message_id(self.run, taken.seq), prompt::of(&taken.event.body)).await;
        let Err(error) = sent else { return Ok(true) };
        info!("a follow-up came just after the turn; the next turn takes it ({error})");
        self.note(means, Fact::Returns { seq: taken.seq }).await?;
        Ok(false)
    }

    /// Ends the turn's run because a person says so. `with`: events that need no run any more and end with it.
    pub async fn stop(&mut self, means: &Means, control: &RunControl, with: Vec<Seq>) -> anyhow::Result<()> {
        let mut state = self.state.after(Fact::Stops)?;
        for seq in with {
            state = state.after(Fact::Takes { seq })?;
        }
        means.journal.save_turn(&self.session, state.clone()).await?;
        self.state = state;
        control.stop().await;
        Ok(())
    }

    /// Tells what was read of the run. `true`: people in Linear see something of it.
    pub async fn tell(&mut self, outbox: &mut Outbox, readings: Vec<Reading>) -> Result<bool, JournalError> {
        self.moved = true;
        self.asking.hear(&readings);
        self.teller.tell(outbox, readings).await
    }

    /// Says in Linear that a run goes on which has said nothing for long: Linear calls a session stale otherwise.
    /// `before`: how often that was said of this run.
    pub async fn say_it_lives(&mut self, outbox: &mut Outbox, before: u32) -> Result<(), JournalError> {
        let number = self.state.runs.len() as u64 * SIGNS_OF_A_RUN + u64::from(before);
        let step = Step::Streaming { token: self.token(), line: FIRST_SIGN.saturating_add(number) };
        let words = Effect::Words {
            id: activity_id(&self.session, self.state.first, step),
            body: "I am still at work; the last step takes long.".to_owned(),
            weight: Weight::Milestone,
        };
        outbox.add(words).await
    }

    /// Keeps the work as it is now where another worker finds it, if anything has happened since it was kept last.
    pub async fn keep_in_progress(&mut self, outbox: &mut Outbox) -> Result<(), JournalError> {
        if !std::mem::take(&mut self.moved) {
            return Ok(());
        }
        match self.in_progress().await {
            Some(effect) => outbox.add(effect).await,
            None => Ok(()),
        }
    }

    /// The push of what the worktree holds; `None` while there is nothing that the base does not hold.
    async fn in_progress(&self) -> Option<Effect> {
        let kept = wip::snapshot(&self.worktree, self.session.as_str(), self.began_at).await;
        let commit = match kept {
            Ok(wip) => wip.commit,
            Err(error) => {
                warn!("the work in progress could not be kept: {error}");
                return None;
            }
        };
        (commit != self.worktree.base_commit).then(|| Effect::Push {
            repository: self.repository.clone(),
            commit,
            reference: wip::reference(self.session.as_str()),
        })
    }

    /// Waits until a question of the agent was open too long; for ever while there is none.
    pub async fn is_asked_too_long(&self) {
        self.asking.overdue().await;
    }

    /// Whether an answer was taken in since this was asked.
    pub fn was_answered(&mut self) -> bool {
        std::mem::take(&mut self.answered)
    }

    /// Says to the panel that the session works again.
    pub fn goes_on(&self) -> Effect {
        self.teller.speaker.is_now(SessionState::Running)
    }

    /// Lets the agent go on without an answer.
    pub async fn go_on_unanswered(&mut self, control: &RunControl) {
        if let Some((id, decision)) = self.asking.give_up()
            && let Err(error) = control.answer(id, decision).await
        {
            info!("a question that nobody answered was over already ({error})");
        }
    }

    /// Where it works.
    pub fn worktree_path(&self) -> &std::path::Path {
        &self.worktree.path
    }

    /// Keeps the work and finds the words that end the turn.
    pub async fn conclude(&mut self, outcome: RunOutcome) -> Ending {
        let commit = self.keep_work().await;
        let cost = outcome.cost_micro_usd.map(micro);
        let status = answer::state(outcome.end);
        let count = |tokens: u64| Some(i64::try_from(tokens).unwrap_or(i64::MAX));
        self.teller.record.status = status;
        self.teller.record.completed_at = Some(now());
        self.teller.record.turns = Some(u32::try_from(outcome.turns).unwrap_or(u32::MAX));
        self.teller.record.input_tokens =
            count(outcome.tokens.input + outcome.tokens.cache_read + outcome.tokens.cache_write);
        self.teller.record.output_tokens = count(outcome.tokens.output);
        self.teller.record.list_cost_micro_usd = cost.unwrap_or_default();
        self.teller.record.error_message = outcome.error.as_ref().map(|error| error.message.clone());
        let update = SessionUpdate {
            head_commit: commit.clone(),
            run: Some(self.teller.record.clone()),
            ..answer::over(self.teller.speaker.token, status, self.teller.record.error_message.clone())
        };
        let place = answer::Place { branch: self.worktree.branch.as_str(), commit: commit.as_deref(), cost };
        let body = answer::last_words(&outcome, &place, self.ended_by.as_deref());
        let content = match outcome.end {
            RunEnd::Completed | RunEnd::Stopped => ActivityContent::Response { body },
            RunEnd::Failed => ActivityContent::Error { body },
        };
        Ending { cost, update, content }
    }

    /// Writes the end down: as one, so that no crash leaves an ended turn without its answer.
    pub async fn end(&mut self, outbox: &mut Outbox, ending: Ending) -> anyhow::Result<()> {
        // Linear wants one answer a turn; its id is that of the turn's first event.
        let id = activity_id(&self.session, self.state.first, Step::Final);
        let answered = match (&ending.content, &self.teller.held) {
            (ActivityContent::Response { body }, Some(held)) => body.starts_with(held.text.trim()),
            _ => false,
        };
        let unsaid = if answered { None } else { self.teller.released() };
        let mut effects: Vec<Effect> = unsaid.into_iter().collect();
        effects.extend(self.in_progress().await);
        effects.push(Effect::UpdateSession(Box::new(ending.update)));
        effects.push(Effect::Activity { id, content: ending.content, ephemeral: false });
        self.state = self.state.after(Fact::Ends)?;
        outbox.end_turn(self.state.clone(), Some((self.run, ending.cost)), effects).await?;
        Ok(())
    }

    /// Writes the end down without a word to Linear, which was told by somebody else.
    pub async fn end_unsaid(&mut self, means: &Means, ending: Ending) -> anyhow::Result<()> {
        let update = Effect::UpdateSession(Box::new(ending.update));
        let mut effects: Vec<Effect> = means.outside.panel.is_some().then_some(update).into_iter().collect();
        effects.extend(self.in_progress().await);
        self.state = self.state.after(Fact::Ends)?;
        let run = Some((self.run, ending.cost));
        means.journal.turn_ends(&self.session, self.state.clone(), run, effects).await?;
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
}

/// Whom commits are by.
fn author() -> Author {
    Author { name: "Cyrus".to_owned(), email: "cyrus@localhost".to_owned() }
}

/// What an agent may see of this process's environment, and its access to the model.
fn environment(credentials: &BTreeMap<String, Secret>) -> Environment {
    let home = std::env::home_dir().unwrap_or_else(|| std::path::PathBuf::from("/"));
    let access = MODEL_ACCESS.iter().filter_map(|name| credentials.get_key_value(*name));
    let plain = access
        .fold(Environment::plain().with("HOME", home), |env, (name, secret)| env.with(name, secret.reveal()));
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
