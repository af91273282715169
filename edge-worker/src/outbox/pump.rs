//! One lane: the oldest effect first, again and again until it has happened or is refused for good.

use std::sync::Arc;
use std::time::Duration;

use shared::id::{AgentSessionId, FencingToken};
use shared::linear::activity::NewActivity;
use shared::linear::answer::Retry;
use shared::problem::ProblemCode;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tracing::{debug, warn};

use super::Outside;
use crate::http::HttpError;
use crate::journal::Journal;
use crate::journal::effect::{Effect, Lane};

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What the pumps of one session share.
#[derive(Clone)]
pub(super) struct Pump {
    pub journal: Journal,
    pub outside: Outside,
    pub session: AgentSessionId,
    pub token: FencingToken,
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
        let (settled, wait) = match pump.happen(&effect).await {
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
    async fn happen(&self, effect: &Effect) -> Tried {
        match effect {
            Effect::Activity { id, content, ephemeral } => {
                let mut activity = NewActivity::new(*id, self.session.clone(), content.clone());
                activity.ephemeral = *ephemeral;
                let now = crate::worker::now().as_millis();
                match self.outside.linear.post(&activity).await {
                    Ok(()) => Tried::Happened,
                    Err(error) => match error.retry(now) {
                        Retry::Done => Tried::Happened,
                        Retry::Never => Tried::Refused(error.to_string()),
                        Retry::AfterMs(ms) => {
                            Tried::Later(error.to_string(), Some(Duration::from_millis(ms)))
                        }
                        Retry::Reauthenticate | Retry::BackOff => Tried::Later(error.to_string(), None),
                    },
                }
            }
            Effect::OpenSession { session_key, token, session } => {
                let Some(panel) = &self.outside.panel else { return Tried::Happened };
                if let Err(error) = panel.show_lease(session_key, *token).await {
                    return tried(error);
                }
                match panel.create_session(session).await {
                    Ok(record) => {
                        match self.journal.set_panel_id(&self.session, record.id, record.next_seq).await {
                            Ok(()) => {
                                // Lines wait for the panel's id.
                                self.wake.notify_waiters();
                                Tried::Happened
                            }
                            Err(error) => Tried::Later(error.to_string(), None),
                        }
                    }
                    Err(error) => tried(error),
                }
            }
            Effect::UpdateSession(update) => {
                let Some(panel) = &self.outside.panel else { return Tried::Happened };
                match self.journal.panel_id(&self.session).await {
                    Ok(Some(id)) => {
                        panel.update_session(id, update).await.map_or_else(tried, |_| Tried::Happened)
                    }
                    Ok(None) => Tried::Refused("the panel has no record of this session".to_owned()),
                    Err(error) => Tried::Later(error.to_string(), None),
                }
            }
        }
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
