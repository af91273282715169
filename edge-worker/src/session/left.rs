//! A run that was live when `cyrus` was killed: what is left of it is ended, and what it wrote that nobody told is told.
//!
//! Neighbours: [`super::turn`] goes on with its turn, [`super::closing`] ends it in silence; the executor reads the files.
//! Nothing is told twice: the journal knows how far each file was read.

use shared::activity_id::{Step, activity_id};
use shared::id::{AgentSessionId, RunId, Seq};
use shared::money::MicroUsd;
use shared::run::RunRecord;
use shared::session::SessionState;
use shared::turn::Turn;
use tracing::info;
use uuid::Uuid;

use super::Means;
use super::plan::Plan;
use super::teller::{TOLD_AT_ONCE, Teller};
use super::telling::Speaker;
use crate::executor::{LeftFiles, RunOutcome, process_tree};
use crate::outbox::Outbox;
use crate::worker::now;

/// Ends what is left of a run that was live when `cyrus` was killed, tells what it wrote that nobody told, and judges it.
/// Without an outcome it was cut off.
pub async fn tell_the_rest(
    means: &Means,
    speaker: Speaker,
    state: &Turn,
    run: RunId,
    outbox: &mut Outbox,
) -> anyhow::Result<(Teller, Option<RunOutcome>)> {
    let file = run_file(&means.config.now().state_dir, run);
    anyhow::ensure!(
        process_tree::settle(&file, &run.to_string()).await,
        "processes of the run {run} are still alive and do not end; end them by hand"
    );
    let left = means.journal.left_run(run).await?;
    let conversation = left.as_ref().map(|left| left.conversation.clone()).unwrap_or_default();
    let started_at = left.as_ref().map_or_else(now, |left| left.begun_at);
    let record = RunRecord { started_at, ..record(means, run, conversation) };
    let held = left.as_ref().and_then(|left| left.held.clone());
    let mut teller = Teller { speaker, run, record, held, plan: Plan::default() };
    let Some(left) = left else { return Ok((teller, None)) };
    let files = LeftFiles {
        run_file: file,
        out_at: left.out_at,
        err_at: left.err_at,
        prior_cost_micro_usd: u64::try_from(left.prior.0).unwrap_or(0),
        sent: state.members.iter().map(|seq| message_id(run, *seq)).collect(),
    };
    let behind = means.executor.read_left(files).await?;
    let (lines, ended) = (behind.readings.len(), behind.outcome.is_some());
    info!(%run, lines, ended, "a run is taken up that was left");
    for readings in behind.readings.chunks(TOLD_AT_ONCE) {
        teller.tell(outbox, readings.to_vec()).await?;
    }
    if let Some(cost) = behind.cost_micro_usd {
        means.journal.run_spent(run, micro(cost)).await?;
    }
    Ok((teller, behind.outcome))
}

/// The id under which a run is given an event, the same whenever it is asked for.
pub fn message_id(run: RunId, seq: Seq) -> Uuid {
    activity_id(&AgentSessionId(run.to_string()), seq, Step::FirstThought)
}

/// Where a run writes.
pub fn run_file(state_dir: &std::path::Path, run: RunId) -> std::path::PathBuf {
    state_dir.join("runs").join(format!("{run}.ndjson"))
}

/// A cost in millionths of a US dollar.
pub fn micro(cost: u64) -> MicroUsd {
    MicroUsd(i64::try_from(cost).unwrap_or(i64::MAX))
}

/// What the panel's record says of a run that begins.
pub fn record(means: &Means, run: RunId, conversation: String) -> RunRecord {
    RunRecord {
        id: run,
        executor: means.executor.name().to_owned(),
        executor_version: means.executor_version.clone(),
        executor_session_id: Some(conversation),
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
    }
}
