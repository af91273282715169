//! Who serves what, as one table: each row is an issue and the decision about it.

#![expect(clippy::indexing_slicing, reason = "a test says by a panic what does not hold")]

use shared::route::assignment::Assignment;
use shared::route::tag::{normalise, tags};
use shared::route::{Facts, Routed, Rule, choice, needs_the_issue, route};

/// A repository of the table.
struct Repository {
    name: &'static str,
    id: Option<&'static str>,
    remote: Option<&'static str>,
    workspace: Option<&'static str>,
    labels: Vec<String>,
    projects: Vec<String>,
    teams: Vec<String>,
    off: bool,
}

fn own(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn repository(name: &'static str) -> Repository {
    Repository {
        name,
        id: None,
        remote: None,
        workspace: None,
        labels: Vec::new(),
        projects: Vec::new(),
        teams: Vec::new(),
        off: false,
    }
}

/// One repository for each kind of key, one without any, one of another workspace, one that is switched off.
fn repositories() -> Vec<Repository> {
    vec![
        repository("all"),
        Repository {
            teams: own(&["ENG"]),
            remote: Some("github.com/acme/totals"),
            id: Some("repo-7"),
            ..repository("by-team")
        },
        Repository {
            projects: own(&["Launch Pad", "p-1"]),
            remote: Some("gitlab.example.com/a/b/launch"),
            ..repository("by-project")
        },
        Repository { labels: own(&["backend", "api"]), ..repository("by-label") },
        Repository { labels: own(&["Frontend"]), teams: own(&["WEB"]), ..repository("web") },
        Repository {
            workspace: Some("other"),
            teams: own(&["ENG"]),
            labels: own(&["backend"]),
            ..repository("elsewhere")
        },
        Repository {
            teams: own(&["OFF"]),
            labels: own(&["off"]),
            projects: own(&["Off"]),
            off: true,
            ..repository("off")
        },
    ]
}

fn rules(repositories: &[Repository]) -> Vec<Rule<'_>> {
    repositories
        .iter()
        .map(|one| Rule {
            name: one.name,
            id: one.id,
            remote: one.remote,
            workspace: one.workspace,
            labels: &one.labels,
            projects: &one.projects,
            teams: &one.teams,
            off: one.off,
        })
        .collect()
}

/// An issue of the table.
#[derive(Clone, Default)]
struct Issue {
    facts: Facts,
    active: Vec<String>,
}

fn issue() -> Issue {
    Issue { facts: Facts { workspace: "w".into(), ..Facts::default() }, active: Vec::new() }
}

impl Issue {
    fn says(mut self, text: &str) -> Self {
        self.facts.texts.push(text.to_owned());
        self
    }
    fn labels(mut self, labels: &[&str]) -> Self {
        self.facts.labels = own(labels);
        self
    }
    fn project(mut self, project: &str) -> Self {
        self.facts.project = own(&[project, "p-id"]);
        self
    }
    fn team(mut self, team: &str) -> Self {
        self.facts.team = own(&[team, "Team name", "t-id"]);
        self
    }
    fn named(mut self, identifier: &str) -> Self {
        self.facts.identifier = Some(identifier.to_owned());
        self
    }
    fn workspace(mut self, workspace: &str) -> Self {
        self.facts.workspace = workspace.to_owned();
        self
    }
    fn active(mut self, names: &[&str]) -> Self {
        self.active = own(names);
        self
    }
    fn ask(mut self) -> Self {
        self.facts.ask = true;
        self
    }
}

/// The decision in short: `name#base, name | why`, `ask name, name`, or `nobody`.
fn decided(repositories: &[Repository], issue: &Issue) -> String {
    let rules = rules(repositories);
    match route(&rules, &issue.facts, &issue.active) {
        Routed::NotServed => "nobody".to_owned(),
        Routed::Ask(places) => {
            let names: Vec<&str> = places.iter().map(|place| rules[*place].name).collect();
            format!("ask {}", names.join(", "))
        }
        Routed::Here { by, repositories } => {
            let names: Vec<String> = repositories
                .iter()
                .map(|one| match &one.base {
                    Some(base) => format!("{}#{base}", rules[one.place].name),
                    None => rules[one.place].name.to_owned(),
                })
                .collect();
            format!("{} | {by}", names.join(", "))
        }
    }
}

const TAG: &str = "it is named in the text";
const LEFT: &str = "it takes what no rule decides";
const GOES_ON: &str = "work on this issue goes on there";

fn rows() -> Vec<(Issue, String)> {
    let everything = || issue().labels(&["backend"]).project("Launch Pad").team("ENG").named("ENG-774");
    let by = |names: &str, why: &str| format!("{names} | {why}");
    let nobody = || "nobody".to_owned();
    let long = format!("[repo={}]", "x".repeat(10_000));
    vec![
        // The order of the keys.
        (everything().says("x [repo=web] y").active(&["by-project"]), by("by-project", GOES_ON)),
        (everything().says("x [repo=web] y"), by("web", TAG)),
        (everything(), by("by-label", "by the label backend")),
        (everything().labels(&[]), by("by-project", "by the project Launch Pad")),
        (everything().labels(&["other"]), by("by-project", "by the project Launch Pad")),
        (issue().team("ENG").named("WEB-1"), by("by-team", "by the team ENG")),
        (issue().team("OPS").named("ENG-774"), by("by-team", "by the issue's prefix ENG")),
        (issue().named("ENG-774"), by("by-team", "by the issue's prefix ENG")),
        (issue().team("OPS").named("OPS-1"), by("all", LEFT)),
        (issue(), by("all", LEFT)),
        // Where a session works already.
        (issue().active(&["by-team"]), by("by-team", GOES_ON)),
        (issue().active(&["web", "by-label"]), by("web, by-label", GOES_ON)),
        (issue().active(&["web", "web"]), by("web", GOES_ON)),
        (issue().active(&["gone", "web"]), by("web", GOES_ON)),
        (issue().active(&["gone"]).team("ENG"), by("by-team", "by the team ENG")),
        (issue().active(&["off"]).team("ENG"), by("by-team", "by the team ENG")),
        (issue().active(&["elsewhere"]), by("all", LEFT)),
        (issue().active(&["by-team"]).says("[repo=unknown]"), by("by-team", GOES_ON)),
        // Tags by name, id and remote.
        (issue().says("[repo=by-team]"), by("by-team", TAG)),
        (issue().says("[repo=BY-TEAM]"), by("by-team", TAG)),
        (issue().says("[REPO=by-team]"), by("by-team", TAG)),
        (issue().says("[repo=repo-7]"), by("by-team", TAG)),
        (issue().says("[repo=acme/totals]"), by("by-team", TAG)),
        (issue().says("[repo=totals]"), by("by-team", TAG)),
        (issue().says("[repo=Totals.git]"), by("by-team", TAG)),
        (issue().says("[repo=github.com/acme/totals]"), by("by-team", TAG)),
        (issue().says("[repo=https://github.com/acme/totals.git]"), by("by-team", TAG)),
        (issue().says("[repo=git@github.com:acme/totals.git]"), by("by-team", TAG)),
        (issue().says("[repo=a/b/launch]"), by("by-project", TAG)),
        (issue().says("[repo= all ]"), by("all", TAG)),
        (issue().says(r"\[repo=acme/totals\]"), by("by-team", TAG)),
        (issue().says(r"see \[repo=web\], please"), by("web", TAG)),
        (issue().says("repo=web"), by("web", TAG)),
        (issue().says("please\nrepo=web, now"), by("web", TAG)),
        (issue().says("in repo=web."), by("web", TAG)),
        (issue().says("\u{1f980} repos=web,by-label"), by("web, by-label", TAG)),
        // Branches.
        (issue().says("[repo=web#fix/x]"), by("web#fix/x", TAG)),
        (issue().says("[repo=acme/totals#release-1.2]"), by("by-team#release-1.2", TAG)),
        (issue().says("[repo=web#]"), by("web", TAG)),
        (issue().says("repos=web,by-label#next"), by("web#next, by-label#next", TAG)),
        (issue().says("[repos=web#one,by-label#two]"), by("web#one, by-label#two", TAG)),
        (issue().says("[repos=web#one,by-label]"), by("web#one, by-label", TAG)),
        (issue().says("[repo=web#--upload-pack=x]"), by("web#--upload-pack=x", TAG)),
        (issue().says("[repo=web#a#b]"), by("web#a#b", TAG)),
        // Several.
        (issue().says("[repo=web] and [repo=by-team#dev]"), by("web, by-team#dev", TAG)),
        (issue().says("[repo=by-team] and [repo=acme/totals]"), by("by-team", TAG)),
        (issue().says("[repo=web] [repo=web#later]"), by("web", TAG)),
        (issue().says("[repos=unknown,launch]"), by("by-project", TAG)),
        (issue().says("[repo=unknown] [repo=web]"), by("web", TAG)),
        (issue().says("[repos= , ,web, ]"), by("web", TAG)),
        // The nearest text decides.
        (issue().says("no tag").says("[repo=by-team]").says("[repo=by-label]"), by("by-team", TAG)),
        (issue().says("[repo=unknown]").says("[repo=by-label]"), nobody()),
        (issue().says("repo=unknown").says("[repo=by-label]"), by("by-label", TAG)),
        // A tag that names nothing here.
        (everything().says("[repo=unknown]"), nobody()),
        (everything().says("[repo=acme/other]"), nobody()),
        (everything().says("[repo=../../etc]"), nobody()),
        (everything().says("[repo=totals.git.evil]"), nobody()),
        (everything().says("[repo=otals]"), nobody()),
        (everything().says("[repo=/]"), nobody()),
        (everything().says("[repo=off]"), nobody()),
        (everything().says("[repo=elsewhere]"), nobody()),
        (everything().says("set repo=origin first"), by("by-label", "by the label backend")),
        // What only looks like a tag.
        (everything().says("[repo=]"), by("by-label", "by the label backend")),
        (everything().says("[repo"), by("by-label", "by the label backend")),
        (everything().says("[repo=web"), by("by-label", "by the label backend")),
        (everything().says("[repo=we\nb]"), by("by-label", "by the label backend")),
        (everything().says("[repository=web]"), by("by-label", "by the label backend")),
        (everything().says("[repo web]"), by("by-label", "by the label backend")),
        (everything().says("git clone --repo=web"), by("by-label", "by the label backend")),
        (everything().says("https://x.example/?repo=web"), by("by-label", "by the label backend")),
        (everything().says(&long), by("by-label", "by the label backend")),
        // Labels.
        (issue().labels(&["BACKEND "]), by("by-label", "by the label backend")),
        (issue().labels(&["x", "api"]), by("by-label", "by the label api")),
        (issue().labels(&["frontend"]), by("web", "by the label Frontend")),
        (issue().labels(&["frontend", "backend"]), by("by-label, web", "by the label backend")),
        (issue().labels(&["backends", "back"]), by("all", LEFT)),
        (issue().labels(&["off"]), by("all", LEFT)),
        // Projects, teams, prefixes.
        (issue().project(" launch pad"), by("by-project", "by the project Launch Pad")),
        (issue().project("p-1"), by("by-project", "by the project p-1")),
        (issue().project("Off"), by("all", LEFT)),
        (issue().project("Launch"), by("all", LEFT)),
        (issue().team("eng"), by("by-team", "by the team ENG")),
        (issue().team("WEB"), by("web", "by the team WEB")),
        (issue().team("OFF").named("OFF-1"), by("all", LEFT)),
        (issue().named("web-9"), by("web", "by the issue's prefix WEB")),
        (issue().named("ENG"), by("all", LEFT)),
        (issue().named("ENG_774"), by("all", LEFT)),
        (issue().named("-774"), by("all", LEFT)),
        // Workspaces.
        (issue().labels(&["backend"]).workspace("other"), by("by-label, elsewhere", "by the label backend")),
        (issue().team("ENG").workspace("other"), by("by-team", "by the team ENG")),
        (issue().says("[repo=elsewhere]").workspace("other"), by("elsewhere", TAG)),
        (issue().says("[repo=elsewhere]").workspace(""), by("elsewhere", TAG)),
        // Asked for, because nobody serves it.
        (everything().says("[repo=unknown]").ask(), "ask all, by-team, by-project, by-label, web".to_owned()),
        (everything().ask(), by("by-label", "by the label backend")),
    ]
}

#[test]
fn each_issue_goes_where_the_table_says() {
    let repositories = repositories();
    let rows = rows();
    assert!(rows.len() >= 80, "{}", rows.len());
    let mut wrong = Vec::new();
    for (place, (issue, expected)) in rows.iter().enumerate() {
        let decided = decided(&repositories, issue);
        if decided != *expected {
            wrong.push(format!(
                "row {place}: {decided}\n  instead of {expected}\n  for {:?} {:?}",
                issue.facts, issue.active
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn without_a_repository_for_the_rest_nobody_serves_it_and_then_the_person_is_asked() {
    let keyed = [Repository { teams: own(&["ENG"]), ..repository("keyed") }];
    assert_eq!(decided(&keyed, &issue().team("OPS")), "nobody");
    assert_eq!(decided(&keyed, &issue().team("OPS").ask()), "ask keyed");
    assert_eq!(decided(&[], &issue().ask()), "nobody");
    let off = [Repository { off: true, ..repository("off") }];
    assert_eq!(decided(&off, &issue()), "nobody");
    assert_eq!(decided(&off, &issue().ask()), "nobody");
}

#[test]
fn a_catch_all_of_this_workspace_comes_before_one_for_all() {
    let two = [repository("any"), Repository { workspace: Some("w"), ..repository("own") }];
    assert_eq!(decided(&two, &issue()), format!("own | {LEFT}"));
    assert_eq!(decided(&two, &issue().workspace("v")), format!("any | {LEFT}"));
}

#[test]
fn linear_is_asked_only_where_its_answer_matters() {
    let plain = [repository("a"), repository("b")];
    let team = [Repository { teams: own(&["ENG"]), ..repository("a") }];
    let label = [Repository { labels: own(&["x"]), ..repository("a") }];
    let off = [Repository { labels: own(&["x"]), off: true, ..repository("a") }];
    for (repositories, issue, expected) in [
        (&plain[..], issue(), false),
        (&team[..], issue(), true),
        (&team[..], issue().team("ENG"), false),
        (&label[..], issue().team("ENG"), true),
        (&label[..], issue().says("[repo=a]"), false),
        (&label[..], issue().says("[repo=unknown]"), false),
        (&label[..], issue().says("repo=unknown"), true),
        (&label[..], issue().active(&["a"]), false),
        (&off[..], issue(), false),
    ] {
        assert_eq!(
            needs_the_issue(&rules(repositories), &issue.facts, &issue.active),
            expected,
            "{:?}",
            issue.facts
        );
    }
}

#[test]
fn an_answer_in_free_words_chooses_only_what_it_names_alone() {
    let repositories = repositories();
    let all = rules(&repositories);
    let only = &all[1..2];
    let cases = [
        (&all[..], "by-team", Some(1)),
        (&all[..], "  https://github.com/acme/totals  ", Some(1)),
        (&all[..], "Please use `acme/totals`.", Some(1)),
        (&all[..], "[repo=by-label] of course", Some(3)),
        (&all[..], "by-team or by-label?", None),
        (&all[..], "the one with the totals page", Some(1)),
        (&all[..], "off", None),
        (&all[..], "yes", None),
        (&all[..], "", None),
        (&all[..], "\u{0}\u{1f980}", None),
        (only, "Yes, that one", Some(0)),
        (only, "no", None),
    ];
    for (rules, words, expected) in cases {
        assert_eq!(choice::chosen(rules, words), expected, "{words:?}");
    }
}

#[test]
fn a_decision_is_kept_and_read_again_and_so_is_a_plain_name_of_an_older_build() {
    let repositories = repositories();
    let rules = rules(&repositories);
    let routed = route(&rules, &issue().says("[repo=web#next] [repo=all]").facts, &[]);
    let assignment = Assignment::of(&routed, &rules).unwrap();
    assert_eq!(Assignment::read(&assignment.kept()), assignment);
    assert_eq!(assignment.words().unwrap(), "Repositories: web (from next), all, it is named in the text.");
    assert_eq!(Assignment::read("web"), Assignment::plain("web"));
    assert_eq!(Assignment::plain("web").words(), None);
    assert_eq!(Assignment::of(&Routed::NotServed, &rules), None);
}

#[test]
fn any_text_is_read_without_a_fault() {
    for text in [
        "[repo=",
        "repo=",
        "\u{1f980}repo=\u{1f980}",
        "[repo=é#b]",
        "repo=é",
        "]repo=a]",
        "repos=#",
        "[repos=,#]",
    ] {
        let _ = tags(text);
    }
    assert_eq!(tags("[repo=é#b]")[0].name, "é");
    let many = "[repo=a1] ".to_owned() + &(0..1_000).map(|n| format!("[repo=x{n}] ")).collect::<String>();
    assert_eq!(tags(&many).len(), 16);
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
