//! Many webhooks at once share calls to the hub: each gets an answer of its own, and none waits for a sender that left.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use e2e::delivery::now_ms;
use e2e::system::System;
use testkit::webhook::AgentSessionWebhooks;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The proxy waits so long for a call whose sender left, and a little more.
const SOON: Duration = Duration::from_secs(8);

pub async fn each_of_many_at_once_gets_its_own_answer(system: Arc<System>) -> Result<()> {
    let mut sent = JoinSet::new();
    for number in 0..40 {
        let hooks = system.new_session();
        for _ in 0..2 {
            let (system, body) = (Arc::clone(&system), hooks.created_by_delegation(now_ms()));
            sent.spawn(async move { Ok((number, system.send(&body).await?)) });
        }
        let (system, body) = (Arc::clone(&system), hooks.created_by_delegation(now_ms() - 3_600_000));
        sent.spawn(async move { anyhow::Ok((number, system.send(&body).await?)) });
    }
    let mut outcomes = vec![Vec::new(); 40];
    while let Some(answer) = sent.join_next().await {
        let (number, answer) = answer??;
        let outcome = if answer.status == 200 { answer.outcome() } else { answer.code() };
        outcomes[number].push(outcome.to_owned());
    }
    for mut of_one in outcomes {
        of_one.sort();
        assert_eq!(of_one, ["duplicate", "stamp_stale", "stored"]);
    }
    Ok(())
}

pub async fn webhooks_whose_senders_leave_do_not_hold_up_those_that_stay(system: Arc<System>) -> Result<()> {
    let (mut staying, mut leaving) = (JoinSet::new(), JoinSet::new());
    for number in 0..60_u64 {
        let hooks = system.new_session();
        let (system, body) = (Arc::clone(&system), hooks.created_by_delegation(now_ms()));
        if number % 3 == 0 {
            staying.spawn(async move { anyhow::Ok((hooks, timeout(SOON, system.send(&body)).await??)) });
        } else {
            // At any moment of its way: while it connects, sends, waits for its turn, or sends for others.
            let patience = Duration::from_micros(300 * (number % 23));
            leaving.spawn(async move {
                let _ = timeout(patience, system.send(&body)).await;
                hooks
            });
        }
    }
    while let Some(answer) = staying.join_next().await {
        let (hooks, answer) = answer??;
        answer.assert_outcome("one that stayed", "stored");
        again(&system, &hooks).await?.assert_outcome("it again", "duplicate");
    }
    while let Some(hooks) = leaving.join_next().await {
        let hooks = hooks?;
        let first = again(&system, &hooks).await?;
        assert!(first.status == 200 && ["stored", "duplicate"].contains(&first.outcome()), "{first:?}");
        again(&system, &hooks).await?.assert_outcome("one that left, twice again", "duplicate");
    }
    Ok(())
}

/// What a sender does that got no answer.
async fn again(system: &System, hooks: &AgentSessionWebhooks) -> Result<e2e::delivery::Answer> {
    timeout(SOON, system.send(&hooks.created_by_delegation(now_ms()))).await?
}
