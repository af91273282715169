//! Preparing a session's workplace before its first run: told as it goes, and ended by a stop.
//!
//! Neighbours: [`super::super::workplace`] does the work. What else comes waits for the turn, as it does at the slot.

use serde_json::json;
use shared::activity_id::{Step, activity_id};
use shared::event::AgentSession;
use shared::linear::activity::ActivityContent;
use shared::log_line::{LogLevel, LogLine};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::setup::Progress;
use super::super::workplace::{self, Furnished};
use super::{Next, Task, Told, told_to_end};
use crate::config::RepositoryConfig;
use crate::git::Worktree;
use crate::journal::JournalError;
use crate::journal::effect::Effect;
use crate::journal::event::Taken;
use crate::worker::now;

/// How the preparation ended.
pub(super) enum Prepared {
    /// A run can begin there.
    Ready(Box<Worktree>),
    /// A stop came first.
    Stopped(Box<Taken>),
    /// Nothing is to run any more.
    Over(Next),
}

/// Why it is cut short.
enum Cut {
    Stop(Box<Taken>),
    LeaseLost,
    Ends,
    Away(Told),
}

impl Task {
    /// Makes the worktree and gives a new one what it needs. A failure of the worktree is an error; one of the set-up is told.
    pub(super) async fn prepare(
        &mut self,
        taken: &Taken,
        session: &AgentSession,
        repository: &RepositoryConfig,
        inbox: &mut mpsc::Receiver<Told>,
    ) -> anyhow::Result<Prepared> {
        let means = self.means.clone();
        let mut ending = self.means.ending.clone();
        let stop = CancellationToken::new();
        let (sender, mut told) = mpsc::unbounded_channel();
        let work = async {
            let made = tokio::select! {
                biased;
                made = workplace::prepare(&means, session, repository) => made?,
                () = stop.cancelled() => return Ok(None),
            };
            if taken.takeover {
                // Before the set-up, which is to see the files as they are. Once begun it is not cut short.
                let at = taken.event.received_at.as_millis() / 1000;
                workplace::adopt(repository, &made, session, at).await;
            }
            let tell = |script: &str, progress| {
                // The receiver lives as long as this.
                let _ = sender.send((script.to_owned(), progress));
            };
            let furnished =
                workplace::furnish(&means, session, repository, &made, stop.cancelled(), tell).await?;
            Ok::<_, anyhow::Error>(Some((made, furnished)))
        };
        let mut work = std::pin::pin!(work);
        let mut cut = None;
        let outcome = loop {
            tokio::select! {
                biased;
                () = told_to_end(&mut ending), if cut.is_none() => cut = Some(Cut::Ends),
                Some(next) = inbox.recv(), if cut.is_none() => match next {
                    Told::LeaseLost => cut = Some(Cut::LeaseLost),
                    Told::Event(next) if super::is_stop_of(&next, session) => cut = Some(Cut::Stop(next)),
                    away @ Told::StoppedAway { .. } => cut = Some(Cut::Away(away)),
                    next => self.backlog.push_back(next),
                },
                Some((script, progress)) = told.recv(), if cut.is_none() => {
                    self.say_progress(taken, session, &script, progress).await?;
                }
                outcome = &mut work => break outcome,
            }
            if cut.is_some() {
                stop.cancel();
            }
        };
        while let Ok((script, progress)) = told.try_recv() {
            if cut.is_none() {
                self.say_progress(taken, session, &script, progress).await?;
            }
        }
        match cut {
            Some(Cut::Stop(stop)) => return Ok(Prepared::Stopped(stop)),
            Some(Cut::LeaseLost | Cut::Ends) => return Ok(Prepared::Over(Next::End)),
            Some(Cut::Away(Told::StoppedAway { token, seqs })) => {
                return Ok(Prepared::Over(self.close(token, seqs).await?));
            }
            Some(Cut::Away(_)) | None => {}
        }
        let Some((worktree, Furnished { troubles, .. })) = outcome? else {
            return Ok(Prepared::Over(Next::End));
        };
        for trouble in troubles {
            self.say_prepared(taken, session, LogLevel::Warning, trouble, Some(false)).await?;
        }
        Ok(Prepared::Ready(Box::new(worktree)))
    }

    async fn say_progress(
        &mut self,
        taken: &Taken,
        session: &AgentSession,
        script: &str,
        progress: Progress,
    ) -> Result<(), JournalError> {
        match progress {
            Progress::Line(line) => {
                self.say_prepared(taken, session, LogLevel::Info, format!("{script}: {line}"), None).await
            }
            Progress::Still { elapsed, last } => {
                let last = last.map(|line| format!(": {line}")).unwrap_or_default();
                let words =
                    format!("`{script}` prepares the worktree, for {} s now{last}", elapsed.as_secs());
                self.say_prepared(taken, session, LogLevel::Info, words, Some(true)).await
            }
        }
    }

    /// Writes a line to the log; with `thought` it is said in Linear too, passing by or to stay.
    async fn say_prepared(
        &mut self,
        taken: &Taken,
        session: &AgentSession,
        level: LogLevel,
        words: String,
        thought: Option<bool>,
    ) -> Result<(), JournalError> {
        let line = LogLine {
            seq: 0,
            level,
            message: words.clone(),
            metadata: json!({"kind": "setup"}),
            timestamp: now(),
            run_id: None,
        };
        let outbox = self.outbox(session, taken.token);
        let line = outbox.add_lines(vec![line]).await?;
        let Some(ephemeral) = thought else { return Ok(()) };
        let step = Step::Streaming { token: taken.token, line };
        outbox
            .add(Effect::Activity {
                id: activity_id(&session.id, taken.seq, step),
                content: ActivityContent::Thought { body: words },
                ephemeral,
            })
            .await
    }
}
