//! Heartbeats, which keep leases; and the panel's question whether a token is current.

use shared::hub::call::{LeaseCheck, LeaseVerdict};
use shared::hub::ledger::Ledger;
use shared::worker::{Heartbeat, HeartbeatAnswer};
use worker::{Request, Response};
use worker_shell::failure::Answer;
use worker_shell::{body, clock, reply};

use super::Hub;

impl Hub {
    /// `POST /heartbeats`: renews what the worker still holds and names what it does not. One row, however many leases.
    pub(super) async fn heartbeat(&self, mut request: Request) -> Answer<Response> {
        let worker = self.worker_of(&request)?;
        let heartbeat: Heartbeat = body::read_json(&mut request, 1024 * 1024).await?;
        let now = clock::now();
        let said = (heartbeat.slots, heartbeat.used, heartbeat.linear_used);
        let claims = heartbeat.leases;
        let lost = self.apply(now, |rules| {
            let lost = rules.heartbeat(worker, claims)?;
            if let Some(known) = rules.fleet.get_mut(worker) {
                known.slots = said.0.max(1);
                known.reported = said.1;
            }
            rules.fill()?;
            Ok(lost)
        })?;
        self.beat(worker, now, Some(said))?;
        reply::json(&HeartbeatAnswer {
            lost,
            exclusive_ms: self.settings.exclusive_ms(),
            linear_slice: Some(self.linear_slice()?),
            config_etag: self.config_etag()?,
        })
    }

    /// `POST /leases/check`: the panel asks before it lets a worker write.
    pub(super) async fn check_lease(&self, mut request: Request) -> Answer<Response> {
        let check: LeaseCheck = body::read_json(&mut request, 64 * 1024).await?;
        let newest = self.tables(clock::now())?.session(&check.session_key)?.map(|session| session.newest);
        let current = newest == Some(check.token) || cfg!(feature = "chaos-no-fencing");
        reply::json(&LeaseVerdict { current })
    }
}
