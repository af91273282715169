//! One lane: the oldest effect first, again and again until it has happened or is refused for good.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use shared::id::{AgentSessionId, SessionId};
use shared::linear::activity::{ActivityContent, AgentSignal, NewActivity};
use shared::linear::answer::Retry;
use shared::problem::ProblemCode;
use shared::session::SessionUpdate;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tracing::{debug, warn};

use super::{Holding, Outside};
use crate::git::Repository;
use crate::git::push::{Pushed, push};
use crate::http::HttpError;
use crate::journal::effect::{Effect, Lane};
use crate::journal::{Journal, JournalError};
use crate::linear::{CallError, side};
use crate::worker::linear_budget::Permit;

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);

/// What the pumps of one session share.
#[derive(Clone)]
pub(super) struct Pump {
    pub journal: Journal,
    pub outside: Outside,
    pub session: AgentSessionId,
    /// Linear knows of the session.
    pub in_linear: bool,
    pub holding: Holding,
    pub wake: Arc<Notify>,
    pub lost: Arc<watch::Sender<bool>>,
}

pub(super) enum Tried {
    Happened,
    Refused(String),
    LeaseLost,
    Later(String, Option<Duration>),
}

/// The growing pauses between tries.
pub(super) struct Pace(Duration);

impl Default for Pace {
    fn default() -> Self {
        Self(SHORTEST_PAUSE)
    }
}

/// Pumps a lane until the outbox is dropped or the lease is lost.
pub(super) async fn run_lane(pump: Pump, lane: Lane, idle: watch::Sender<bool>) {
    let mut pace = Pace::default();
    loop {
        let woken = pump.wake.notified();
        let next = match pump.journal.next_effect(&pump.session, lane).await {
            Ok(next) => next,
            Err(error) => {
                pump.journal_fails(error).await;
                continue;
            }
        };
        if next.is_none() {
            idle.send_replace(true);
            woken.await;
            continue;
        }
        if !pump.may_act().await {
            return pump.lose();
        }
        // The wait may have been long, and something newer may have taken the place of what was read.
        let Ok(Some((id, effect))) = pump.journal.next_effect(&pump.session, lane).await else { continue };
        let tried = pump.happen(&effect).await;
        if !pump.settle(id, tried, &mut pace).await {
            return;
        }
    }
}

impl Pump {
    /// Waits until nobody else can hold the lease; `false`: it is lost.
    pub(super) async fn may_act(&self) -> bool {
        self.holding.leases.until_exclusive(&self.holding.key, self.holding.token).await
    }

    /// Nothing more is posted.
    pub(super) fn lose(&self) {
        warn!(session = %self.session, "the lease is lost; nothing more is posted");
        self.lost.send_replace(true);
    }

    /// Waits until the journal may work again.
    pub(super) async fn journal_fails(&self, error: JournalError) {
        warn!("the outbox's rows cannot be read or written: {error}");
        sleep(LONGEST_PAUSE).await;
    }

    /// Writes down what became of an effect, or waits until it is to be tried again. `false`: the lease is lost.
    pub(super) async fn settle(&self, id: i64, tried: Tried, pace: &mut Pace) -> bool {
        let settled = match tried {
            Tried::Happened => self.journal.effect_done(id).await,
            Tried::Refused(reason) => {
                warn!(session = %self.session, "an effect was refused for good: {reason}");
                self.journal.effect_failed(id).await
            }
            Tried::LeaseLost => {
                self.lose();
                return false;
            }
            Tried::Later(reason, after) => {
                debug!(session = %self.session, "an effect waits: {reason}");
                sleep(after.unwrap_or(pace.0)).await;
                pace.0 = (pace.0 * 2).min(LONGEST_PAUSE);
                return true;
            }
        };
        match settled {
            Ok(()) => *pace = Pace::default(),
            Err(error) => self.journal_fails(error).await,
        }
        true
    }

    /// Says something in Linear by a permit that was given for it.
    pub(super) async fn say(&self, effect: &Effect, permit: Permit) -> Tried {
        let Some(linear) = &self.outside.linear else { return Tried::Happened };
        let new = |id, content| NewActivity::new(id, self.session.clone(), content);
        let activity = match effect {
            Effect::Activity { id, content, ephemeral } => {
                NewActivity { ephemeral: *ephemeral, ..new(*id, content.clone()) }
            }
            Effect::Words { id, body, .. } => new(*id, ActivityContent::Thought { body: body.clone() }),
            Effect::Question { id, body, options } => {
                let options = options.iter().map(|option| (None, option.clone())).collect();
                let content = ActivityContent::Elicitation { body: body.clone() };
                NewActivity { signal: Some(AgentSignal::Select { options }), ..new(*id, content) }
            }
            _ => return Tried::Refused("this is nothing to say".to_owned()),
        };
        linear.post(permit, &activity).await.map_or_else(of_linear, |()| Tried::Happened)
    }

    async fn happen(&self, effect: &Effect) -> Tried {
        if let Some(screen) = &self.outside.screen {
            // Whoever watched may have gone; the work goes on.
            let _ = screen.send(effect.clone());
            return Tried::Happened;
        }
        match effect {
            // Without Linear there is nobody to tell.
            Effect::Activity { .. } | Effect::Question { .. } | Effect::Words { .. } => Tried::Happened,
            Effect::Plan { .. } | Effect::Link { .. } | Effect::IssueStarted { .. } => {
                let Some(linear) = &self.outside.linear else { return Tried::Happened };
                side::happen(linear, &self.session, effect).await.map_or_else(of_linear, |()| Tried::Happened)
            }
            Effect::OpenSession { session_key, token, session } => {
                let Some(panel) = &self.outside.panel else { return Tried::Happened };
                if let Err(error) = panel.show_lease(session_key, *token).await {
                    return tried(error);
                }
                match panel.create_session(session).await {
                    Ok(record) => self.attach(record.id, record.next_seq).await,
                    Err(error) => tried(error),
                }
            }
            Effect::Push { repository, commit, reference } => pushed(repository, commit, reference).await,
            Effect::UpdateSession(update) => self.update(update, false).await,
            Effect::SettleSession(update) => self.update(update, true).await,
        }
    }

    /// The panel's id of the session is known now, and with it where its lines go.
    async fn attach(&self, id: SessionId, next_seq: u64) -> Tried {
        let mut attached = self.journal.set_panel_id(&self.session, id, next_seq).await;
        if let (Ok(()), Some(panel), true) = (&attached, &self.outside.panel, self.in_linear) {
            let link = Effect::Link { label: "Cyrus".to_owned(), url: panel.page_of(id) };
            attached = self.journal.add_effect(&self.session, link).await;
        }
        match attached {
            Ok(()) => {
                self.wake.notify_waiters();
                Tried::Happened
            }
            Err(error) => Tried::Later(error.to_string(), None),
        }
    }

    /// Changes the record; with `unless_over` only one that is not over yet.
    async fn update(&self, update: &SessionUpdate, unless_over: bool) -> Tried {
        let Some(panel) = &self.outside.panel else { return Tried::Happened };
        let id = match self.journal.panel_id(&self.session).await {
            Ok(Some(id)) => id,
            Ok(None) => return Tried::Refused("the panel has no record of this session".to_owned()),
            Err(error) => return Tried::Later(error.to_string(), None),
        };
        if unless_over {
            // An update of nothing answers the record as it is.
            let nothing = SessionUpdate { token: update.token, ..SessionUpdate::default() };
            match panel.update_session(id, &nothing).await {
                Ok(record) if record.status.is_over() => return Tried::Happened,
                Ok(_) => {}
                Err(error) => return tried(error),
            }
        }
        panel.update_session(id, update).await.map_or_else(tried, |_| Tried::Happened)
    }
}

fn of_linear(error: CallError) -> Tried {
    match error.retry(crate::worker::now().as_millis()) {
        Retry::Done => Tried::Happened,
        Retry::Never => Tried::Refused(error.to_string()),
        // How long nothing may be sent is kept by what may be spent; this only stands in line again.
        Retry::AfterMs(_) => Tried::Later(error.to_string(), Some(SHORTEST_PAUSE)),
        Retry::Reauthenticate | Retry::BackOff => Tried::Later(error.to_string(), None),
    }
}

async fn pushed(repository: &Path, commit: &str, reference: &str) -> Tried {
    let repository = match Repository::open(repository).await {
        Ok(repository) => repository,
        Err(error) => return Tried::Refused(error.to_string()),
    };
    match push(&repository, commit, reference).await {
        Ok(Pushed::Pushed | Pushed::UpToDate | Pushed::NoRemote) => Tried::Happened,
        Ok(Pushed::Rejected(words)) => {
            Tried::Refused(format!("the remote does not take {reference}: {words}"))
        }
        Err(error) if error.may_pass() => Tried::Later(error.to_string(), None),
        Err(error) => Tried::Refused(error.to_string()),
    }
}

fn tried(error: HttpError) -> Tried {
    if error.is(ProblemCode::TokenStale) {
        Tried::LeaseLost
    } else if error.is_passing() {
        Tried::Later(error.to_string(), None)
    } else {
        Tried::Refused(error.to_string())
    }
}
