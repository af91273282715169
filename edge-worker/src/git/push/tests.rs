//! Pushes to bare remotes that keep a log of every reference.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;

use super::*;
use crate::git::worktree::tests::{Scene, commit, git};

const WIP: &str = "refs/cyrus/wip/s1";

async fn open(scene: &Scene) -> Repository {
    Repository::open(&scene.path("repo")).await.unwrap()
}

#[tokio::test]
async fn the_same_commit_is_pushed_once_however_often_it_is_asked_for() {
    let scene = Scene::with_remote();
    let repository = open(&scene).await;
    let first = commit(&scene.path("repo"), "a", "a");
    assert_eq!(push(&repository, &first, WIP).await.unwrap(), Pushed::Pushed);
    for _ in 0..3 {
        assert_eq!(push(&repository, &first, WIP).await.unwrap(), Pushed::UpToDate);
    }
    assert_eq!(scene.log_of(WIP), [first]);
}

#[tokio::test]
async fn work_in_progress_may_go_anywhere_and_a_branch_only_forward() {
    let scene = Scene::with_remote();
    let repository = open(&scene).await;
    let repo = scene.path("repo");
    let old = git(&repo, &["rev-parse", "HEAD"]);
    let new = commit(&repo, "a", "a");
    for (commit, name, expected) in [
        (&new, WIP, true),
        (&old, WIP, true),
        (&new, "refs/heads/eng-1-recovered-1-2", true),
        (&old, "refs/heads/eng-1-recovered-1-2", false),
    ] {
        let pushed = push(&repository, commit, name).await.unwrap();
        assert_eq!(matches!(pushed, Pushed::Pushed), expected, "{pushed:?}");
        assert!(expected || matches!(&pushed, Pushed::Rejected(words) if words.contains("fast-forward")));
    }
    assert_eq!(scene.log_of(WIP).len(), 2);
}

#[tokio::test]
async fn a_hook_that_says_no_is_told_in_its_own_words_and_our_own_hooks_do_not_run() {
    let scene = Scene::with_remote();
    let repository = open(&scene).await;
    let head = commit(&scene.path("repo"), "a", "a");
    let hook = |path: std::path::PathBuf, text: &str| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let flag = scene.path("ran");
    hook(scene.path("repo/.git/hooks/pre-push"), &format!("#!/bin/sh\ntouch '{}'\n", flag.display()));
    hook(scene.path("remote/hooks/pre-receive"), "#!/bin/sh\necho only people push here >&2\nexit 1\n");
    let Pushed::Rejected(words) = push(&repository, &head, WIP).await.unwrap() else { panic!() };
    assert!(words.contains("(pre-receive hook declined): only people push here"), "{words}");
    assert!(!flag.exists());
}

#[tokio::test]
async fn a_remote_that_cannot_be_reached_is_tried_again_and_one_that_is_not_there_is_not() {
    let scene = Scene::with_remote();
    let repository = open(&scene).await;
    let head = commit(&scene.path("repo"), "a", "a");
    for (url, may_pass) in [("https://user:secret@127.0.0.1:9/x.git", true), ("/nowhere/at/all", false)] {
        git(&scene.path("repo"), &["remote", "set-url", "origin", url]);
        let error = push(&repository, &head, WIP).await.unwrap_err();
        assert_eq!(error.may_pass(), may_pass, "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    git(&scene.path("repo"), &["remote", "remove", "origin"]);
    assert_eq!(push(&repository, &head, WIP).await.unwrap(), Pushed::NoRemote);
}

#[tokio::test]
async fn nobody_is_asked_for_a_password() {
    let scene = Scene::with_remote();
    let repo = scene.path("repo");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(
                b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
    });
    let asked = scene.path("asked");
    let ask = scene.path("ask");
    std::fs::write(&ask, format!("#!/bin/sh\ntouch '{}'\necho x\n", asked.display())).unwrap();
    std::fs::set_permissions(&ask, std::fs::Permissions::from_mode(0o755)).unwrap();
    git(&repo, &["config", "core.askPass", ask.to_str().unwrap()]);
    git(&repo, &["remote", "set-url", "origin", &format!("http://{address}/x.git")]);
    let head = commit(&repo, "a", "a");
    let error = push(&open(&scene).await, &head, WIP).await.unwrap_err();
    assert!(matches!(&error, PushError::NotLetIn(_)), "{error}");
    assert!(!asked.exists());
}

#[tokio::test]
async fn only_commits_and_whole_references_are_pushed() {
    let scene = Scene::with_remote();
    let repository = open(&scene).await;
    let head = commit(&scene.path("repo"), "a", "a");
    for (commit, name) in [
        (head.as_str(), "main"),
        (&head, "--all"),
        (&head, "refs/heads/a:refs/heads/b"),
        (&head, "refs/heads/*"),
        (&head, "refs/heads/../x"),
        (&head, "HEAD"),
        ("HEAD", WIP),
        ("", "refs/heads/main"),
        ("--mirror", WIP),
    ] {
        let pushed = push(&repository, commit, name).await.unwrap();
        assert!(matches!(pushed, Pushed::Rejected(_)), "{commit} {name}");
    }
    let missing = push(&repository, &"ab".repeat(20), WIP).await;
    assert!(!matches!(missing, Ok(Pushed::Pushed | Pushed::UpToDate)), "{missing:?}");
    assert_eq!(git(&scene.path("remote"), &["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
}

#[test]
fn gits_answers_are_told_apart() {
    let judged = |code: i32, stdout: &str, stderr: &str| {
        let status = std::process::ExitStatus::from_raw(code << 8);
        match judge(&Answer { status, stdout: stdout.into(), stderr: stderr.into() }) {
            Ok(pushed) => format!("{pushed:?}"),
            Err(error) => format!("{}", error.may_pass()),
        }
    };
    for (code, stdout, stderr, expected) in [
        (0, "To x\n*\ta:b\t[new reference]\nDone\n", "", "Pushed"),
        (0, "To x\n=\ta:b\t[up to date]\nDone\n", "", "UpToDate"),
        (
            1,
            "To x\n!\ta:b\t[rejected] (non-fast-forward)\nDone\n",
            "",
            "Rejected(\"[rejected] (non-fast-forward)\")",
        ),
        (1, "To x\n!\ta:b\t[remote rejected] (cannot lock ref 'b': is at 1 but expected 2)\n", "", "true"),
        (1, "To x\n!\ta:b\t[remote failure] (remote failed to report status)\n", "", "true"),
        (128, "", "fatal: unable to access 'https://x/': Could not resolve host: x", "true"),
        (128, "", "fatal: unable to access 'https://x/': The requested URL returned error: 503", "true"),
        (128, "", "fatal: unable to access 'https://x/': The requested URL returned error: 403", "false"),
        (128, "", "remote: Repository not found.\nfatal: repository 'https://x/' not found", "false"),
        (
            128,
            "",
            "git@x: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            "false",
        ),
        (
            128,
            "",
            "ssh: connect to host x port 22: Connection timed out\nfatal: Could not read from remote repository.",
            "true",
        ),
        (0, "", "", "true"),
    ] {
        assert_eq!(judged(code, stdout, stderr), expected, "{stdout}{stderr}");
    }
}
