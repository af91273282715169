//! Reads what a `claude` run left in its files after `cyrus` was killed.
//! Neighbours: `stream` and `session` do the work, as for a live run; `tail` reads the files.
//! It must never take an end that somebody cut off for one of the agent's own.

use std::path::Path;
use std::time::Duration;

use super::process::stderr_path;
use super::session::Session;
use super::stream;
use crate::executor::event::{Output, Place, Reading, RunEventKind};
use crate::executor::left::{LeftBehind, LeftFiles};
use crate::executor::lines::Line;
use crate::executor::outcome::{Exit, RunEnd};
use crate::executor::tail::Tail;

/// Reads the files from their beginnings, since the rules need all of it; what was told before is not told again. A
/// file that is not there is empty.
pub(super) async fn read(left: LeftFiles) -> std::io::Result<LeftBehind> {
    let mut session = Session::new(left.prior_cost_micro_usd);
    for id in &left.sent {
        session.sent(*id);
    }
    let mut readings = Vec::new();
    for_each_line(&left.run_file, |line, end| {
        let mut events = stream::read(line);
        session.observe_line(&events);
        for event in &mut events {
            // Its asker is gone: whoever goes on with the conversation asks anew.
            if let RunEventKind::Question(question) = &event.kind {
                event.kind = RunEventKind::Withdrawn { id: question.id.clone() };
            }
        }
        if end > left.out_at {
            readings.push(Reading { events, place: Some(Place { output: Output::Out, end }) });
        }
    })
    .await?;
    for_each_line(&stderr_path(&left.run_file), |line, end| {
        if end > left.err_at {
            let events = vec![RunEventKind::Stderr(line.text()).into()];
            readings.push(Reading { events, place: Some(Place { output: Output::Err, end }) });
        }
    })
    .await?;
    let ended = session.has_result() && session.is_idle();
    let exit = Exit::Code(i32::from(!session.last_was_good()));
    let outcome = session.finish(Some(exit), "", Duration::ZERO);
    let cost_micro_usd = outcome.cost_micro_usd;
    // Nobody is known to have stopped it, so an interrupted end is that of the `cyrus` that ended then.
    let outcome = (ended && outcome.end != RunEnd::Stopped).then_some(outcome);
    Ok(LeftBehind { readings, outcome, cost_micro_usd })
}

async fn for_each_line(path: &Path, mut take: impl FnMut(&Line, u64)) -> std::io::Result<()> {
    let mut tail = match Tail::open(path, 0).await {
        Ok(tail) => tail,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    while tail.read().await? > 0 {
        while let Some(line) = tail.next_line() {
            take(&line, tail.position());
        }
    }
    if let Some(line) = tail.last_line() {
        take(&line, tail.position());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const GIVEN: Uuid = Uuid::from_u128(1);
    const LATER: Uuid = Uuid::from_u128(2);

    fn input(id: Uuid, state: &str) -> String {
        format!("{{\"type\":\"command_lifecycle\",\"command_uuid\":\"{id}\",\"state\":\"{state}\"}}\n")
    }

    fn text(words: &str) -> String {
        format!(
            "{{\"type\":\"assistant\",\"message\":{{\"content\":[{{\"type\":\"text\",\"text\":\"{words}\"}}]}}}}\n"
        )
    }

    fn result(reason: &str, is_error: bool) -> String {
        format!(
            "{{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":{is_error},\"terminal_reason\":\"{reason}\",\"result\":\"done\",\"num_turns\":1,\"total_cost_usd\":0.5}}\n"
        )
    }

    async fn read_from(out: &str, out_at: usize, sent: Vec<Uuid>) -> LeftBehind {
        let folder = tempfile::tempdir().unwrap();
        let run_file = folder.path().join("run.ndjson");
        std::fs::write(&run_file, out).unwrap();
        let left = LeftFiles { run_file, out_at: out_at as u64, err_at: 0, prior_cost_micro_usd: 0, sent };
        read(left).await.unwrap()
    }

    #[tokio::test]
    async fn a_run_that_ended_by_itself_has_its_verdict_and_only_the_rest_is_told() {
        let before = text("told");
        let all = format!("{before}{}{}", text("not told"), result("completed", false));
        let left = read_from(&all, before.len(), vec![]).await;
        assert_eq!(left.readings.len(), 2);
        assert_eq!(left.readings[1].place.unwrap().end, all.len() as u64);
        let outcome = left.outcome.unwrap();
        assert_eq!(outcome.end, RunEnd::Completed);
        assert_eq!(left.cost_micro_usd, Some(500_000));
    }

    #[tokio::test]
    async fn a_run_that_was_cut_off_or_interrupted_has_none() {
        assert_eq!(read_from(&text("working"), 0, vec![]).await.outcome, None);
        assert_eq!(read_from("", 0, vec![]).await, LeftBehind::default());
        let interrupted = result("aborted_tools", true);
        assert_eq!(read_from(&interrupted, 0, vec![]).await.outcome, None);
        let half = result("completed", false).replace("}\n", "");
        assert_eq!(read_from(&half, 0, vec![]).await.outcome, None);
    }

    #[tokio::test]
    async fn a_message_that_was_given_and_not_worked_on_leaves_no_verdict() {
        let all = format!("{}{}", input(GIVEN, "completed"), result("completed", false));
        assert!(read_from(&all, 0, vec![GIVEN]).await.outcome.is_some());
        assert_eq!(read_from(&all, 0, vec![GIVEN, LATER]).await.outcome, None);
    }

    #[tokio::test]
    async fn files_that_are_not_there_are_empty() {
        let folder = tempfile::tempdir().unwrap();
        let run_file = folder.path().join("none.ndjson");
        let left = LeftFiles { run_file, out_at: 7, err_at: 0, prior_cost_micro_usd: 0, sent: vec![] };
        assert_eq!(read(left).await.unwrap(), LeftBehind::default());
    }
}
