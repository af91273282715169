//! Nasty words in an issue, through a whole session: no command runs, nothing leaves its folder, the work lands on a branch.

use shared::event::EventBody;
use testkit::linear::SeedIssue;

use super::super::stage::{KEY, Stage, session, taken};
use super::states;

fn git(path: &std::path::Path, args: &[&str]) -> String {
    let done = std::process::Command::new("git").arg("-C").arg(path).args(args).output().unwrap();
    assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

#[tokio::test]
async fn an_issue_of_nasty_words_ends_as_a_commit_on_a_valid_branch() {
    let place = tempfile::tempdir().unwrap();
    let canary = place.path().join("canary");
    let touch = format!("touch {}", canary.display());
    let all = [
        format!("$({touch});`{touch}`;'\"; {touch} #"),
        format!("--upload-pack={touch};"),
        format!("../../..\n\0{touch}\n@{{-1}}.lock"),
        "x".repeat(300),
        format!("\u{202e}שלום/{}🎉", "é".repeat(300)),
        format!("$(touch${{IFS}}{})", canary.display()),
    ];
    let sessions = all.into_iter().map(|nasty| async move {
        let mut stage = Stage::new("good").await;
        let config = stage.means.config.now();
        let repository = config.repositories[0].repository_path.clone();
        let script = "printf '%s' \"$LINEAR_ISSUE_TITLE\" > title";
        std::fs::write(repository.join("cyrus-setup.sh"), script).unwrap();
        git(&repository, &["add", "--all"]);
        git(&repository, &["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "x"]);
        stage.linear.seed_issue(SeedIssue {
            id: Some(KEY.into()),
            identifier: Some("ENG-1".into()),
            branch_name: Some(nasty.clone()),
            title: Some(nasty.clone()),
            ..SeedIssue::default()
        });
        let mut agent_session = session();
        if let Some(issue) = &mut agent_session.issue {
            issue.identifier = Some(nasty.clone());
            issue.title.clone_from(&nasty);
        }
        let body = EventBody::SessionCreated { agent_session, prompt_context: None, guidance: Vec::new() };
        let _task = stage.begin(taken(1, body)).await;
        stage.until_done(&[1]).await;
        assert_eq!(states(&stage), ["completed"], "{nasty:?}");
        let branches = git(&repository, &["for-each-ref", "--format=%(refname)", "refs/heads"]);
        let branch = branches.lines().find(|name| *name != "refs/heads/main").unwrap();
        git(&repository, &["check-ref-format", branch]);
        assert_eq!(git(&repository, &["show", &format!("{branch}:title")]), nasty.replace('\0', "").trim());
        let (tree, _) = stage.prompt().unwrap();
        assert_eq!(tree.parent().unwrap(), config.state_dir.join("worktrees/app"));
        let words = git(&repository, &["log", "-1", "--format=%B", branch]);
        assert!(!words.is_empty() && words.lines().count() == 1, "{words:?}");
    });
    futures_util::future::join_all(sessions).await;
    assert!(!canary.exists());
}
