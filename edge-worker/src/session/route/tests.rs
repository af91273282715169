//! Who serves what: the keys in their order, and what people write into tags.

use serde_json::json;

use super::tag::{names, normalise};
use super::{Candidate, Facts, chosen, needs_the_issue, route};
use crate::config::RepositoryConfig;

fn repository(keys: serde_json::Value) -> RepositoryConfig {
    let mut all = json!({"repositoryPath": "/r"});
    all.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

/// One repository for each kind of key, and one without any.
fn repositories() -> Vec<RepositoryConfig> {
    vec![
        repository(json!({"name": "all"})),
        repository(json!({"name": "by-team", "teamKeys": ["ENG"]})),
        repository(json!({"name": "by-project", "projectKeys": ["Launch Pad"]})),
        repository(json!({"name": "by-label", "routingLabels": ["backend"]})),
        repository(
            json!({"name": "elsewhere", "linearWorkspaceId": "other", "teamKeys": ["ENG"], "routingLabels": ["backend"]}),
        ),
    ]
}

fn remotes() -> Vec<Option<&'static str>> {
    vec![None, Some("github.com/acme/totals"), Some("gitlab.example.com/a/b/launch"), None, None]
}

fn with_remotes<'a>(repositories: &'a [RepositoryConfig], remotes: &[Option<&'a str>]) -> Vec<Candidate<'a>> {
    repositories
        .iter()
        .zip(remotes.iter().copied().chain(std::iter::repeat(None)))
        .map(|(config, remote)| Candidate { config, remote })
        .collect()
}

fn served(facts: &Facts) -> Option<String> {
    let repositories = repositories();
    let remotes = remotes();
    let candidates = with_remotes(&repositories, &remotes);
    route(&candidates, facts).map(|place| repositories[place].name.clone())
}

fn facts(texts: &[&str], labels: &[&str], project: &[&str], team: &[&str]) -> Facts {
    let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Facts {
        workspace: "w".into(),
        texts: own(texts),
        labels: own(labels),
        project: own(project),
        team: own(team),
    }
}

#[test]
fn a_tag_comes_before_labels_labels_before_the_project_the_project_before_the_team() {
    let cases = [
        (facts(&["x [repo=by-team] y"], &["backend"], &["Launch Pad"], &["OPS"]), Some("by-team")),
        (facts(&[], &["frontend", "Backend"], &["Launch Pad"], &["ENG"]), Some("by-label")),
        (facts(&[], &["frontend"], &["launch pad "], &["ENG"]), Some("by-project")),
        (facts(&[], &[], &["Another"], &["eng"]), Some("by-team")),
        (facts(&[], &[], &[], &["OPS"]), Some("all")),
        (facts(&[], &[], &[], &[]), Some("all")),
    ];
    for (facts, expected) in cases {
        assert_eq!(served(&facts).as_deref(), expected, "{facts:?}");
    }
}

#[test]
fn a_repository_of_another_workspace_never_serves_and_a_local_run_may_use_any() {
    let mut known = facts(&[], &["backend"], &[], &[]);
    known.workspace = "other".into();
    assert_eq!(served(&known).as_deref(), Some("by-label"));
    let tagged = facts(&["[repo=elsewhere]"], &[], &[], &[]);
    assert_eq!(served(&tagged), None);
    let local = Facts { workspace: String::new(), ..tagged };
    assert_eq!(served(&local).as_deref(), Some("elsewhere"));
}

#[test]
fn a_tag_that_names_nothing_here_is_served_by_nobody_whatever_else_fits() {
    for tag in
        ["[repo=unknown]", "[repo=acme/other]", "[repo=../../etc]", "[repo=totals.git.evil]", "[repo=als]"]
    {
        assert_eq!(served(&facts(&[tag], &["backend"], &["Launch Pad"], &["ENG"])), None, "{tag}");
    }
}

#[test]
fn a_tag_names_a_repository_by_its_name_or_by_the_end_of_its_remote() {
    let cases = [
        ("[repo=by-team]", "by-team"),
        ("[repo=BY-TEAM#fix/x]", "by-team"),
        (r"\[repo=acme/totals\]", "by-team"),
        ("[repo=totals]", "by-team"),
        ("[repo=github.com/acme/totals]", "by-team"),
        ("[repo=https://github.com/acme/totals.git]", "by-team"),
        ("[repo=a/b/launch]", "by-project"),
        ("[repos=unknown,launch]", "by-project"),
        ("[repo= all ]", "all"),
    ];
    for (tag, expected) in cases {
        assert_eq!(served(&facts(&[tag], &[], &[], &[])).as_deref(), Some(expected), "{tag}");
    }
}

#[test]
fn the_nearest_text_with_a_tag_decides() {
    let known = facts(&["no tag", "[repo=by-team]", "[repo=by-label]"], &[], &[], &[]);
    assert_eq!(served(&known).as_deref(), Some("by-team"));
}

#[test]
fn texts_that_only_look_like_a_tag_are_none() {
    let long = format!("[repo={}]", "x".repeat(10_000));
    for text in [
        "",
        "[",
        "[repo",
        "[repo=",
        "[repo=]",
        "[repo= , #x]",
        "[repository=all]",
        "repo=all",
        "[repo=a\nb]",
        "[repo all]",
        &long,
    ] {
        assert_eq!(names(text), Vec::<String>::new(), "{text:?}");
    }
    assert_eq!(names("\u{1f980}[REPO=é#b]"), ["é"]);
    assert_eq!(names("[repo=] then [repo=a,b#c, d]"), ["a", "b", "d"]);
}

#[test]
fn a_catch_all_of_this_workspace_comes_before_one_for_all() {
    let repositories =
        [repository(json!({"name": "any"})), repository(json!({"name": "own", "linearWorkspaceId": "w"}))];
    let candidates = with_remotes(&repositories, &[]);
    assert_eq!(route(&candidates, &facts(&[], &[], &[], &[])), Some(1));
    let keyed = [repository(json!({"name": "keyed", "teamKeys": ["ENG"]}))];
    assert_eq!(route(&with_remotes(&keyed, &[]), &facts(&[], &[], &[], &["OPS"])), None);
    assert_eq!(route(&[], &facts(&[], &[], &[], &[])), None);
}

#[test]
fn linear_is_asked_only_where_its_answer_matters() {
    let plain = [repository(json!({"name": "a"})), repository(json!({"name": "b"}))];
    let team = [repository(json!({"name": "a", "teamKeys": ["ENG"]}))];
    let label = [repository(json!({"name": "a", "routingLabels": ["x"]}))];
    let none = facts(&[], &[], &[], &[]);
    let known = facts(&[], &[], &[], &["ENG"]);
    let tagged = facts(&["[repo=a]"], &[], &[], &[]);
    for (repositories, facts, expected) in [
        (&plain[..], &none, false),
        (&team[..], &none, true),
        (&team[..], &known, false),
        (&label[..], &known, true),
        (&label[..], &tagged, false),
    ] {
        assert_eq!(needs_the_issue(&with_remotes(repositories, &[]), facts), expected, "{facts:?}");
    }
}

#[test]
fn an_answer_in_free_words_chooses_only_what_it_names_alone() {
    let repositories = repositories();
    let remotes = remotes();
    let all = with_remotes(&repositories, &remotes);
    let only = with_remotes(&repositories[1..2], &remotes[1..2]);
    let cases = [
        (&all, "by-team", Some(1)),
        (&all, "  https://github.com/acme/totals  ", Some(1)),
        (&all, "Please use `acme/totals`.", Some(1)),
        (&all, "[repo=by-label] of course", Some(3)),
        (&all, "by-team or by-label?", None),
        (&all, "the one with the totals page", Some(1)),
        (&all, "yes", None),
        (&all, "", None),
        (&all, "\u{0}\u{1f980}", None),
        (&only, "Yes, that one", Some(0)),
        (&only, "no", None),
    ];
    for (candidates, words, expected) in cases {
        assert_eq!(chosen(candidates, words), expected, "{words:?}");
    }
}

#[test]
fn remotes_in_all_their_spellings_are_one() {
    for remote in [
        "https://github.com/acme/Totals.git",
        "https://GitHub.com/acme/Totals/",
        "https://user:secret@github.com/acme/Totals",
        "ssh://git@github.com:22/acme/Totals.git",
        "git@github.com:acme/Totals.git",
        "github.com:acme/Totals",
    ] {
        assert_eq!(normalise(remote).as_deref(), Some("github.com/acme/Totals"), "{remote}");
    }
    for nasty in [
        "",
        "/srv/git/totals.git",
        "../totals",
        "file:///srv/totals",
        "https://",
        "https:///x",
        "totals",
        "a/b:c",
    ] {
        assert_eq!(normalise(nasty), None, "{nasty}");
    }
}
