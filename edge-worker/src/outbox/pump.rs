//! One lane: the oldest effect first, again and again until it has happened or is refused for good.

use std::sync::Arc;
use std::time::Duration;

use shared::id::{AgentSessionId, SessionId};
use shared::linear::activity::{ActivityContent, AgentSignal, NewActivity};
use shared::linear::answer::Retry;
use shared::linear::weight::Weight;
use shared::problem::ProblemCode;
use shared::session::SessionUpdate;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tracing::{debug, warn};

use super::{Holding, Outside};
use crate::http::HttpError;
use crate::journal::Journal;
use crate::journal::effect::{Effect, Lane};
use crate::linear::POINTS_OF_A_CHANGE;

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What the pumps of one session share.
#[derive(Clone)]
pub(super) struct Pump {
    pub journal: Journal,
    pub outside: Outside,
    pub session: AgentSessionId,
    pub holding: Holding,
    pub wake: Arc<Notify>,
    pub lost: Arc<watch::Sender<bool>>,
}

enum Tried {
    Happened,
    Refused(String),
    LeaseLost,
    Later(String, Option<Duration>),
}

/// Pumps a lane until the outbox is dropped or the lease is lost.
pub(super) async fn run_lane(pump: Pump, lane: Lane, idle: watch::Sender<bool>) {
    let mut pause = Duration::from_millis(250);
    loop {
        let woken = pump.wake.notified();
        let next = match pump.journal.next_effect(&pump.session, lane).await {
            Ok(next) => next,
            Err(error) => {
                warn!("the outbox cannot be read: {error}");
                sleep(LONGEST_PAUSE).await;
                continue;
            }
        };
        let Some((id, effect)) = next else {
            idle.send_replace(true);
            woken.await;
            continue;
        };
        let tried = match pump.may_act().await {
            true => pump.happen(&effect).await,
            false => Tried::LeaseLost,
        };
        let (settled, wait) = match tried {
            Tried::Happened => (pump.journal.effect_done(id).await, None),
            Tried::Refused(reason) => {
                warn!(session = %pump.session, "an effect was refused for good: {reason}");
                (pump.journal.effect_failed(id).await, None)
            }
            Tried::LeaseLost => {
                warn!(session = %pump.session, "the lease is lost; nothing more is posted");
                pump.lost.send_replace(true);
                return;
            }
            Tried::Later(reason, after) => {
                debug!(session = %pump.session, "an effect waits: {reason}");
                let wait = after.unwrap_or(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
                (Ok(()), Some(wait))
            }
        };
        match (settled, wait) {
            (Err(error), _) => {
                warn!("the outbox cannot be written: {error}");
                sleep(LONGEST_PAUSE).await;
            }
            (Ok(()), Some(wait)) => sleep(wait).await,
            (Ok(()), None) => pause = Duration::from_millis(250),
        }
    }
}

impl Pump {
    /// Waits until nobody else can hold the lease; `false`: it is lost.
    pub(super) async fn may_act(&self) -> bool {
        self.holding.leases.until_exclusive(&self.holding.key, self.holding.token).await
    }

    async fn post(&self, activity: &NewActivity) -> Tried {
        let Some(linear) = &self.outside.linear else { return Tried::Happened };
        let weight = match &activity.content {
            ActivityContent::Response { .. } | ActivityContent::Error { .. } => Weight::Final,
            ActivityContent::Elicitation { .. } => Weight::Question,
            ActivityContent::Thought { .. } => Weight::Milestone,
            ActivityContent::Action { .. } => Weight::Step,
        };
        let permit = linear.spending().turn(weight, POINTS_OF_A_CHANGE).await;
        let Err(error) = linear.post(permit, activity).await else { return Tried::Happened };
        match error.retry(crate::worker::now().as_millis()) {
            Retry::Done => Tried::Happened,
            Retry::Never => Tried::Refused(error.to_string()),
            Retry::AfterMs(ms) => Tried::Later(error.to_string(), Some(Duration::from_millis(ms))),
            Retry::Reauthenticate | Retry::BackOff => Tried::Later(error.to_string(), None),
        }
    }

    async fn happen(&self, effect: &Effect) -> Tried {
        if let Some(screen) = &self.outside.screen {
            // Whoever watched may have gone; the work goes on.
            let _ = screen.send(effect.clone());
            return Tried::Happened;
        }
        match effect {
            Effect::Activity { id, content, ephemeral } => {
                let mut activity = NewActivity::new(*id, self.session.clone(), content.clone());
                activity.ephemeral = *ephemeral;
                self.post(&activity).await
            }
            Effect::Question { id, body, options } => {
                let content = ActivityContent::Elicitation { body: body.clone() };
                let mut activity = NewActivity::new(*id, self.session.clone(), content);
                let options = options.iter().map(|option| (None, option.clone())).collect();
                activity.signal = Some(AgentSignal::Select { options });
                self.post(&activity).await
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
            Effect::UpdateSession(update) => self.update(update, false).await,
            Effect::SettleSession(update) => self.update(update, true).await,
        }
    }

    /// The panel's id of the session is known now, and with it where its lines go.
    async fn attach(&self, id: SessionId, next_seq: u64) -> Tried {
        match self.journal.set_panel_id(&self.session, id, next_seq).await {
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

fn tried(error: HttpError) -> Tried {
    if error.is(ProblemCode::TokenStale) {
        Tried::LeaseLost
    } else if error.is_passing() {
        Tried::Later(error.to_string(), None)
    } else {
        Tried::Refused(error.to_string())
    }
}
