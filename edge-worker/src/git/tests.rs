//! One table of nasty words, tried wherever words from outside reach git or the disk: no command runs, no path leaves its
//! folder, and each is a valid branch in the end or refused in words.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use super::worktree::tests::{Scene, author, git};
use super::*;
use crate::git::branch::slug;

/// Every word comes with the place of a canary that must never be there.
fn nasty(canary: &Path) -> Vec<String> {
    let c = canary.display();
    let mut words: Vec<String> = [
        "",
        " ",
        ".",
        "..",
        "../..",
        "../../etc/passwd",
        "/etc/passwd",
        "~",
        "~root",
        "-",
        "--",
        "-rf",
        "-b",
        "--upload-pack=id",
        "--help",
        "HEAD",
        "@",
        "@{-1}",
        "a@{u}",
        "a.lock",
        "a/b.lock/c",
        "FETCH_HEAD",
        "refs/heads/main",
        "a//b",
        "/a",
        "a/",
        "a.",
        ".a",
        "a\\b",
        "a\\..\\b",
        "a:b",
        "+a:b",
        "a*",
        "a?",
        "a[b]",
        "^a",
        "a~1",
        "a b",
        "\t",
        "a\nb",
        "a\r\nb",
        "\0",
        "a\0b",
        "\u{7f}",
        "\u{1b}[31mred",
        "'",
        "\"",
        "a'b\"c",
        "\u{202e}gnp.exe",
        "שלום/עולם",
        "مرحبا",
        "👩‍👩‍👧/🎉",
        "é",
        "e\u{301}",
        "日本語",
        "\u{feff}a",
        "a\u{200b}b",
        "CON",
        "con.txt",
        "PRN",
        "aux",
        "NUL",
        "COM1",
        "LPT9.txt",
        "a<b>c|d",
        "%00",
        "%s%n",
        "${IFS}",
        "*",
        "!!",
        "main",
        "#1",
        "[repo=x]",
        ":(exclude)*",
        ":/",
        "--end-of-options",
        "\u{fffd}",
    ]
    .map(str::to_owned)
    .to_vec();
    for end in ["", ".lock", "/x"] {
        words.push(format!("$(touch${{IFS}}{c}){end}"));
        words.push(format!("`touch {c}`{end}"));
        words.push(format!(";touch {c};{end}"));
        words.push(format!("'; touch {c} #{end}"));
        words.push(format!("\" && touch {c} && \"{end}"));
        words.push(format!("\n touch {c}\n{end}"));
        words.push(format!("| touch {c}{end}"));
        words.push(format!("--upload-pack=touch {c};{end}"));
        words.push(format!("ext::sh -c touch% {c}{end}"));
    }
    words.extend(["a", "é", "🎉", "../", "$(", "a/", "-"].map(|part| part.repeat(300)));
    words
}

/// Git's own word on a branch name; it takes no NUL, and `@{-1}` would mean another branch.
fn git_accepts(name: &str) -> bool {
    !name.contains('\0')
        && Command::new("git")
            .args(["check-ref-format", &format!("refs/heads/{name}")])
            .status()
            .unwrap()
            .success()
}

#[test]
fn each_word_is_a_branch_as_git_sees_it_or_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    for word in nasty(&dir.path().join("canary")) {
        match BranchName::parse(&word) {
            Ok(name) => assert!(git_accepts(name.as_str()) && !word.starts_with('-'), "{word:?}"),
            Err(error) => {
                let words = error.to_string();
                assert!(words.ends_with("rename the branch") && words.len() < 1000, "{words}");
                assert!(!words.contains(char::is_control), "{words:?}");
            }
        }
        let given = BranchName::or_from_issue(Some(&word), "ENG-1");
        for name in [
            BranchName::from_issue(&word),
            given.recovered("wrk_01", "run_01"),
            given.recovered(&word, &word),
            given,
        ] {
            assert!(git_accepts(name.as_str()) && name.as_str().len() <= branch::LONGEST, "{word:?}: {name}");
            assert_eq!(BranchName::parse(name.as_str()).as_ref(), Ok(&name));
        }
        assert!(git_accepts(&wip::reference(&word)), "{word:?}");
    }
    assert!(!dir.path().join("canary").exists());
}

#[tokio::test]
async fn each_word_in_a_repository_tag_names_nothing_but_a_branch_that_git_takes() {
    let scene = Scene::new();
    let canary = scene.path("canary");
    let repository = Repository::open(&scene.path("repo")).await.unwrap();
    for word in nasty(&canary) {
        for text in
            [format!("[repo=app#{word}]"), format!("[repo={word}#{word}]"), format!("repo={word}#{word}")]
        {
            for base in shared::route::tag::tags(&text).into_iter().filter_map(|tag| tag.base) {
                assert!(!BranchName::parse(&base).is_ok_and(|name| !git_accepts(name.as_str())), "{base:?}");
                let wishes = base::Wishes { named: Some(&base), ..base::Wishes::default() };
                match base::choose(&repository, &wishes).await {
                    Ok(chosen) => assert_eq!((chosen.as_deref(), word.as_str()), (Some("main"), "main")),
                    Err(error) => {
                        assert!(matches!(error, GitError::Branch(_) | GitError::NoBase { .. }), "{error}")
                    }
                }
            }
        }
    }
    assert!(!canary.exists());
}

#[tokio::test]
async fn each_word_as_branch_identifier_title_and_file_name_gives_a_commit_in_its_folder() {
    let scene = Scene::with_remote();
    let canary = scene.path("canary");
    let repository = Repository::open(&scene.path("repo")).await.unwrap();
    let folder = scene.path("trees").join("a b'\n$(id);ü");
    let mut trees = std::collections::BTreeSet::new();
    // One in four makes a worktree: what is tried in each is the same.
    for (number, word) in nasty(&canary).into_iter().enumerate() {
        let branch = BranchName::or_from_issue(Some(&word), &format!("N-{number}"));
        if number % 4 != 0 {
            continue;
        }
        let issue = format!("{word}-{number}");
        let request = WorktreeRequest { folder: &folder, issue: &issue, branch: &branch, base: None };
        let tree = match Worktree::ensure(&repository, &request).await {
            Ok(tree) => tree,
            Err(error) => {
                assert!(["main", "refs/heads/main"].contains(&word.as_str()), "{word:?}: {error}");
                continue;
            }
        };
        assert_eq!(tree.path.parent().unwrap(), folder.canonicalize().unwrap(), "{word:?}");
        assert!(trees.insert(tree.path.clone()), "{word:?} shares a folder");
        let name: String = word.chars().filter(|c| !['/', '\0'].contains(c)).take(60).collect();
        if !name.is_empty() && !name.chars().all(|c| c == '.') {
            std::fs::write(tree.path.join(&name), "x").unwrap();
        }
        std::fs::write(tree.path.join("file"), "x").unwrap();
        let id = tree.commit_all(&word, &Author { name: word.clone(), email: word.clone() }).await.unwrap();
        assert_eq!(id, Some(tree.head().await.unwrap()), "{word:?}");
        assert_eq!(git(&tree.path, &["branch", "--show-current"]), branch.as_str());
        let name = wip::recovered(&branch, &word, &word);
        let pushed = push::push(&repository, &id.unwrap(), &name).await.unwrap();
        assert_eq!(pushed, push::Pushed::Pushed, "{name}");
    }
    assert!(!canary.exists() && trees.len() > 20);
    // Nothing stands beside what was asked for.
    let all: Vec<_> =
        std::fs::read_dir(scene.dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(all.len(), ["repo", "remote", "other", "trees"].len(), "{all:?}");
}

#[tokio::test]
async fn each_word_as_a_repositorys_path_or_base_branch_is_used_as_it_is_or_refused() {
    let scene = Scene::new();
    let canary = scene.path("canary");
    let inside = scene.path("inside");
    std::fs::create_dir(&inside).unwrap();
    for word in nasty(&canary) {
        let opened = Repository::open(&inside.join(word.trim_start_matches('/'))).await;
        assert!(matches!(opened, Err(GitError::NotARepository(_))), "{word:?}");
    }
    for (number, word) in nasty(&canary).into_iter().enumerate() {
        // A base branch that is not there is told, never made.
        if number % 5 == 0 {
            let made = scene.ensure_in("repo", "ENG-1", &format!("eng-{number}"), Some(&word)).await;
            match made {
                Ok(tree) => assert!(word == "main" && tree.base == "main", "{word:?}"),
                Err(error) => assert!(
                    matches!(error, GitError::Branch(_) | GitError::NoBase { .. }),
                    "{word:?}: {error}"
                ),
            }
        }
        let name: String = word.chars().filter(|c| !['/', '\0'].contains(c)).take(60).collect();
        if number % 5 != 0 || name.is_empty() || name.chars().all(|c| c == '.') {
            continue;
        }
        let path = inside.join(&name);
        std::fs::create_dir(&path).unwrap();
        git(&path, &["init", "--quiet", "-b", "main"]);
        super::worktree::tests::commit(&path, "a", "a");
        let repository = Repository::open(&path).await.unwrap();
        assert_eq!(
            repository.path().as_os_str().as_bytes(),
            path.canonicalize().unwrap().as_os_str().as_bytes()
        );
        let branch = BranchName::from_issue("ENG-1");
        let folder = scene.path("trees").join(slug(&name));
        let request = WorktreeRequest { folder: &folder, issue: "ENG-1", branch: &branch, base: None };
        let tree = Worktree::ensure(&repository, &request).await.unwrap();
        std::fs::write(tree.path.join("b"), "b").unwrap();
        assert!(tree.commit_all("b", &author()).await.unwrap().is_some());
        assert!(wip::snapshot(&tree, &word, 0).await.is_ok(), "{word:?}");
    }
    assert!(!canary.exists());
}
