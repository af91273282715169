//! The way back from a lost lease, with a stand-in agent and a real remote.

use std::process::Command;

use shared::id::{RunId, Seq, SessionKey};
use shared::turn::{Fact, Turn};

use super::*;
use crate::session::Told;
use crate::session::stage::{KEY, Stage, TOKEN, created, new_run, session};

fn pump(stage: &Stage) -> tokio::task::JoinHandle<()> {
    let recoveries = Recoveries {
        journal: stage.means.journal.clone(),
        config: stage.means.config.clone(),
        panel: stage.means.outside.panel.clone(),
    };
    tokio::spawn(recoveries.run())
}

fn branches(remote: &Path) -> Vec<String> {
    let done = Command::new("git")
        .arg("-C")
        .arg(remote)
        .args(["for-each-ref", "--format=%(refname)", "refs/heads"])
        .output()
        .unwrap();
    String::from_utf8(done.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn shown(remote: &Path, what: &str) -> String {
    let done = Command::new("git").arg("-C").arg(remote).args(["show", what]).output().unwrap();
    String::from_utf8(done.stdout).unwrap()
}

fn told_panel(stage: &Stage) -> Vec<serde_json::Value> {
    stage.panel.lock().unwrap().bodies("POST", "/workers/me/recoveries")
}

#[tokio::test]
async fn work_of_a_run_whose_lease_is_lost_is_pushed_aside_and_told_and_nothing_is_posted() {
    let stage = Stage::new("works").await;
    let remote = stage.remote("app");
    let pump = pump(&stage);
    let task = stage.begin(created(1)).await;
    stage.until("the run", |stage| stage.prompt().is_some()).await;
    stage.until("the first thought", |stage| stage.told().len() == 1).await;
    let (worktree, _) = stage.prompt().unwrap();
    std::fs::write(worktree.join("half.txt"), "half of it").unwrap();
    stage.means.leases.lose(&SessionKey::from(KEY), TOKEN);
    stage.means.journal.lose(vec![Seq(1)]).await.unwrap();
    task.send(Told::LeaseLost).await.unwrap();
    task.closed().await;
    stage.until("the panel is told", |stage| !told_panel(stage).is_empty()).await;
    let recovery = told_panel(&stage).remove(0);
    let branch = recovery["branch"].as_str().unwrap();
    assert!(branch.contains("-recovered-"), "{branch}");
    assert_eq!(recovery["token"], TOKEN.0);
    assert!(branches(&remote).contains(&format!("refs/heads/{branch}")), "{:?}", branches(&remote));
    assert_eq!(shown(&remote, &format!("{branch}:half.txt")), "half of it");
    assert_eq!(std::fs::read_to_string(worktree.join("half.txt")).unwrap(), "half of it", "left as it is");
    assert_eq!(stage.told().len(), 1, "nothing was posted: {:?}", stage.told());
    stage
        .until_async("no work is left", async |stage| {
            stage.means.journal.lost_work().await.unwrap().is_empty()
        })
        .await;
    pump.abort();
}

#[tokio::test]
async fn a_lease_that_was_lost_while_cyrus_was_dead_has_its_work_put_aside_at_the_start() {
    let stage = Stage::new("good").await;
    let remote = stage.remote("app");
    // A turn that ended made the worktree; the next one was cut off in the middle.
    let mut stage = stage;
    let _task = stage.begin(created(1)).await;
    stage.until_done(&[1]).await;
    let (worktree, _) = stage.prompt().unwrap();
    let journal = stage.means.journal.clone();
    stage.take(&created(2)).await;
    let run = crate::journal::run::NewRun {
        worktree: worktree.display().to_string(),
        branch: "agent/eng-1".into(),
        ..new_run("c")
    };
    let id: RunId = run.id;
    let turn = Turn::of(Seq(2)).after(Fact::Begins { run: id }).unwrap();
    journal.run_begins(&session().id, turn, run).await.unwrap();
    std::fs::write(worktree.join("half.txt"), "half of it").unwrap();
    journal.lose(vec![Seq(2)]).await.unwrap();
    journal.lose(vec![Seq(2)]).await.unwrap();
    let before = stage.told().len();
    let pump = pump(&stage);
    stage.until("the panel is told", |stage| !told_panel(stage).is_empty()).await;
    assert_eq!(told_panel(&stage).len(), 1);
    let branch = told_panel(&stage).remove(0)["branch"].as_str().unwrap().to_owned();
    assert_eq!(shown(&remote, &format!("{branch}:half.txt")), "half of it");
    assert_eq!(stage.told().len(), before);
    pump.abort();
}

#[tokio::test]
async fn what_waited_to_be_said_under_a_lost_lease_is_never_said() {
    let stage = Stage::new("good").await;
    let journal = &stage.means.journal;
    journal.session(&session().id, &SessionKey::from(KEY)).await.unwrap();
    stage.take(&created(1)).await;
    let effect = crate::journal::effect::Effect::Activity {
        id: uuid::Uuid::new_v4(),
        content: shared::linear::activity::ActivityContent::Thought { body: "late".into() },
        ephemeral: false,
    };
    journal.add_effect(&session().id, effect).await.unwrap();
    journal.lose(vec![Seq(1)]).await.unwrap();
    for lane in crate::journal::effect::Lane::ALL {
        assert!(journal.next_effect(&session().id, lane).await.unwrap().is_none());
    }
    assert!(journal.lost_work().await.unwrap().is_empty(), "no run had begun");
}

#[tokio::test]
async fn the_work_of_a_turn_is_at_the_remote_when_it_is_done() {
    let mut stage = Stage::new("good").await;
    let remote = stage.remote("app");
    let _task = stage.begin(created(1)).await;
    stage.until_done(&[1]).await;
    let reference = format!("refs/cyrus/wip/{}", session().id);
    assert!(shown(&remote, &format!("{reference}:prompt.json")).contains("Show totals"));
}

#[tokio::test]
async fn a_remote_that_is_away_holds_up_neither_the_end_of_a_turn_nor_what_comes_next() {
    let mut stage = Stage::new("good").await;
    let remote = stage.remote("app");
    let here = stage.means.config.now().repositories[0].repository_path.clone();
    let point = |to: &str| {
        let done = Command::new("git")
            .arg("-C")
            .arg(&here)
            .args(["remote", "set-url", "origin", to])
            .status()
            .unwrap();
        assert!(done.success());
    };
    // Nobody listens on the first port.
    point("http://127.0.0.1:1/away.git");
    let task = stage.begin(created(1)).await;
    stage.until_done(&[1]).await;
    point(remote.to_str().unwrap());
    stage.go_on(&task, crate::session::stage::prompted(2, "and round it")).await;
    stage.until_done(&[2]).await;
    let reference = format!("refs/cyrus/wip/{}", session().id);
    let pushed = |_: &Stage| shown(&remote, &format!("{reference}:prompt.json")).contains("round it");
    stage.until("the work is at the remote", pushed).await;
}
