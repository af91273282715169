//! Keeps agents from giving work to agents without an end: brings the facts for `shared::lineage`.
//!
//! A Linear that is away refuses nothing.

use std::time::Duration;

use shared::event::EventBody;
use shared::id::IssueId;
use shared::lineage::{LONGEST_CHAIN, Lineage, Refusal, admit};
use tokio::time::timeout;
use tracing::{info, warn};

use super::Means;
use crate::journal::event::Taken;

/// How long Linear may take to tell of the issues above.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why an event begins no work; `None`: it does.
pub async fn refusal(means: &Means, taken: &Taken) -> Option<Refusal> {
    let EventBody::SessionCreated { agent_session, .. } = &taken.event.body else { return None };
    let (issue, linear) = (agent_session.issue.as_ref()?, means.outside.linear.as_ref()?);
    if agent_session.creator_name.is_some() {
        return None;
    }
    let mut chain = vec![issue.id.clone()];
    let read = async {
        let mut at = issue.id.clone();
        while chain.len() < LONGEST_CHAIN {
            let found = linear.issue_lately(at.as_str()).await?.issue.issue_parts;
            let Some(parent) = found.parent else { break };
            at = IssueId(parent.id);
            chain.push(at.clone());
        }
        Ok::<_, crate::linear::CallError>(())
    };
    match timeout(PATIENCE, read).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => info!("Linear did not tell what stands above {}: {error}", issue.id),
        Err(_) => info!("Linear does not tell in time what stands above {}", issue.id),
    }
    let within_an_hour = match means.journal.begun_by_nobody(taken.seq).await {
        Ok(count) => count,
        Err(error) => {
            warn!("the journal cannot tell what came within an hour: {error}");
            0
        }
    };
    admit(&Lineage { by_person: false, chain, within_an_hour }).err()
}
