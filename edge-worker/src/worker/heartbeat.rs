//! The heartbeat that keeps leases: sent only while there are any, at once after `hello` and when an effect waits
//! for a confirmation, else at the hub's pace.

use std::time::Duration;

use shared::worker::{Heartbeat, HeartbeatAnswer, LeaseClaim};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::leases::Leases;
use super::linear_budget::LinearUse;
use super::news::News;
use super::slots::Slots;
use crate::proxy::client::ProxyClient;

/// Two heartbeats are never nearer to each other, whoever waits.
const LEAST_PAUSE: Duration = Duration::from_millis(500);
/// After one that failed.
const AGAIN: Duration = Duration::from_secs(2);

/// What a heartbeat tells.
pub struct Pulse {
    /// To whom.
    pub proxy: ProxyClient,
    /// What is claimed.
    pub leases: Leases,
    /// What was spent.
    pub linear_use: LinearUse,
    /// Sessions at once.
    pub slots: Slots,
}

impl Pulse {
    /// Renews what is held, for ever; what the hub says of them goes to `news`.
    pub async fn beat(self, news: mpsc::UnboundedSender<News>) {
        let mut pause = self.leases.pace();
        loop {
            // Whether the time is over or somebody asks for it, it is time.
            let _ = timeout(pause, self.leases.wanted()).await;
            let claims = self.leases.claims();
            pause = self.leases.pace();
            if claims.is_empty() {
                continue;
            }
            match self.tell(claims).await {
                Some((asked, answer)) => {
                    let lost = answer.lost.into_iter().map(|claim| News::Lost { claim, asked });
                    for found in lost.chain(answer.config_etag.map(News::Config)) {
                        if news.send(found).is_err() {
                            return;
                        }
                    }
                }
                None => pause = pause.min(AGAIN),
            }
            sleep(LEAST_PAUSE.min(pause)).await;
        }
    }

    /// One heartbeat: when it was sent, and its answer; `None`: there was none.
    async fn tell(&self, claims: Vec<LeaseClaim>) -> Option<(Duration, HeartbeatAnswer)> {
        let (slots, used) = self.slots.count();
        let linear_used = self.linear_use.take_used();
        let heartbeat = Heartbeat { leases: claims, slots, used, linear_used };
        let asked = self.leases.now();
        match self.proxy.heartbeat(&heartbeat).await {
            Ok(answer) => {
                let exclusive = Duration::from_millis(answer.exclusive_ms);
                self.leases.answered(asked, &heartbeat.leases, &answer.lost, exclusive);
                self.linear_use.grant(answer.linear_slice);
                Some((asked, answer))
            }
            Err(error) => {
                self.linear_use.give_back(linear_used);
                debug!("no heartbeat: {error}");
                None
            }
        }
    }
}
