//! Which repositories an event is for: a pure choice among the configured ones, by the keys that upstream's users know.
//!
//! The order: where a session of the issue works already, a `[repo=…]` tag in the text, labels, project, team, the
//! issue's prefix, at last a repository without any keys. A tag that names nothing here means that nobody here serves
//! it: another worker may. Bringing the facts, and what to do when nobody serves an event, is the caller's business.

pub mod assignment;
pub mod choice;
pub mod tag;

use std::fmt;

/// A configured repository, as far as it matters here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rule<'a> {
    /// What people call it.
    pub name: &'a str,
    /// The id that older configurations have.
    pub id: Option<&'a str>,
    /// Its normalised remote, `host/owner/name`, where that is known.
    pub remote: Option<&'a str>,
    /// The Linear workspace that it is for; absent: all.
    pub workspace: Option<&'a str>,
    /// Labels by name.
    pub labels: &'a [String],
    /// Projects by name or id.
    pub projects: &'a [String],
    /// Teams by key, name or id.
    pub teams: &'a [String],
    /// Switched off by its owner: it serves nothing.
    pub off: bool,
}

/// What is known of an event's issue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The Linear workspace; empty: none of Linear's, so every repository may serve it.
    pub workspace: String,
    /// What people wrote, the nearest to the request first: message, comment, description.
    pub texts: Vec<String>,
    /// Names of the issue's labels; of one in a group also the group's name.
    pub labels: Vec<String>,
    /// The project's name and id.
    pub project: Vec<String>,
    /// The team's key, name and id.
    pub team: Vec<String>,
    /// The issue's identifier, as `ENG-774`.
    pub identifier: Option<String>,
    /// Every worker has refused the event, and this one is to ask the person.
    pub ask: bool,
}

/// Why a repository was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A session of this issue works there.
    Active,
    /// A tag in the text names it.
    Tag,
    /// The issue has this label.
    Label(String),
    /// The issue is in this project.
    Project(String),
    /// The issue is this team's.
    Team(String),
    /// The issue's identifier begins so.
    Prefix(String),
    /// Nothing else fits, and it takes whatever is left.
    CatchAll,
}

impl fmt::Display for Reason {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => to.write_str("work on this issue goes on there"),
            Self::Tag => to.write_str("it is named in the text"),
            Self::Label(label) => write!(to, "by the label {label}"),
            Self::Project(project) => write!(to, "by the project {project}"),
            Self::Team(team) => write!(to, "by the team {team}"),
            Self::Prefix(prefix) => write!(to, "by the issue's prefix {prefix}"),
            Self::CatchAll => to.write_str("it takes what no rule decides"),
        }
    }
}

/// A repository that serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Its place among the rules.
    pub place: usize,
    /// The branch to start from, as a tag says; any text, not looked at yet.
    pub base: Option<String>,
}

/// Who serves an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routed {
    /// These do, the first one first.
    Here {
        /// Why.
        by: Reason,
        /// At least one.
        repositories: Vec<Chosen>,
    },
    /// The person must say: these may be meant.
    Ask(Vec<usize>),
    /// Nobody here does.
    NotServed,
}

/// Decides. `active`: the repositories, by name, where the session or another one of the issue works already.
pub fn route(rules: &[Rule<'_>], facts: &Facts, active: &[String]) -> Routed {
    let mine: Vec<(usize, &Rule<'_>)> =
        rules.iter().enumerate().filter(|(_, rule)| serves(rule, &facts.workspace)).collect();
    let known = active.iter().filter_map(|name| mine.iter().find(|(_, rule)| rule.name == name));
    let known = chosen(known.map(|(place, _)| *place));
    if !known.is_empty() {
        return Routed::Here { by: Reason::Active, repositories: known };
    }
    let found = match by_tag(&mine, facts) {
        Some(repositories) => Some((Reason::Tag, repositories)),
        None => by_keys(&mine, facts),
    };
    match found {
        Some((by, repositories)) if !repositories.is_empty() => Routed::Here { by, repositories },
        _ if facts.ask && !mine.is_empty() => Routed::Ask(mine.iter().map(|(place, _)| *place).collect()),
        _ => Routed::NotServed,
    }
}

/// Whether any choice needs more than the webhook tells.
pub fn needs_the_issue(rules: &[Rule<'_>], facts: &Facts, active: &[String]) -> bool {
    let mine: Vec<(usize, &Rule<'_>)> =
        rules.iter().enumerate().filter(|(_, rule)| serves(rule, &facts.workspace)).collect();
    let decided = mine.iter().any(|(_, rule)| active.iter().any(|name| name == rule.name))
        || by_tag(&mine, facts).is_some();
    let keyed = mine.iter().any(|(_, rule)| {
        !rule.labels.is_empty()
            || !rule.projects.is_empty()
            || (!rule.teams.is_empty() && facts.team.is_empty())
    });
    keyed && !decided
}

/// Whether a rule may serve a workspace's events at all.
fn serves(rule: &Rule<'_>, workspace: &str) -> bool {
    !rule.off && (workspace.is_empty() || rule.workspace.is_none_or(|theirs| theirs == workspace))
}

fn chosen(places: impl Iterator<Item = usize>) -> Vec<Chosen> {
    let mut all: Vec<Chosen> = Vec::new();
    for place in places {
        if all.iter().all(|one| one.place != place) {
            all.push(Chosen { place, base: None });
        }
    }
    all
}

/// The nearest text whose tags decide: they name something here, or, in brackets, something elsewhere, which leaves
/// nobody here. A bare `repo=x` that names nothing may be any text, so it decides nothing.
fn by_tag(mine: &[(usize, &Rule<'_>)], facts: &Facts) -> Option<Vec<Chosen>> {
    facts.texts.iter().find_map(|text| {
        let tags = tag::tags(text);
        let repositories = tagged(mine, &tags);
        (!repositories.is_empty() || tags.iter().any(|tag| tag.in_brackets)).then_some(repositories)
    })
}

/// All that the tags name, in their order. One that names nothing here is passed over if another one does.
fn tagged(mine: &[(usize, &Rule<'_>)], tags: &[tag::Tag]) -> Vec<Chosen> {
    let mut all: Vec<Chosen> = Vec::new();
    for tag in tags {
        if let Some(place) = choice::named(mine, &tag.name)
            && all.iter().all(|one| one.place != place)
        {
            all.push(Chosen { place, base: tag.base.clone() });
        }
    }
    all
}

fn by_keys(mine: &[(usize, &Rule<'_>)], facts: &Facts) -> Option<(Reason, Vec<Chosen>)> {
    let labelled: Vec<(usize, String)> =
        mine.iter().filter_map(|(place, rule)| Some((*place, common(rule.labels, &facts.labels)?))).collect();
    if let Some((_, label)) = labelled.first() {
        return Some((Reason::Label(label.clone()), chosen(labelled.iter().map(|(place, _)| *place))));
    }
    // Of one project, team or prefix there is one repository: the first that has it.
    let first = |keys: fn(&Rule<'_>) -> Vec<String>, known: &[String]| {
        mine.iter().find_map(|(place, rule)| Some((*place, common(&keys(rule), known)?)))
    };
    let one = |place: usize| chosen(std::iter::once(place));
    if let Some((place, project)) = first(|rule| rule.projects.to_vec(), &facts.project) {
        return Some((Reason::Project(project), one(place)));
    }
    if let Some((place, team)) = first(|rule| rule.teams.to_vec(), &facts.team) {
        return Some((Reason::Team(team), one(place)));
    }
    let prefix = facts.identifier.as_deref().and_then(|identifier| identifier.split_once('-'));
    let prefix: Vec<String> = prefix.into_iter().map(|(prefix, _)| prefix.to_owned()).collect();
    if let Some((place, prefix)) = first(|rule| rule.teams.to_vec(), &prefix) {
        return Some((Reason::Prefix(prefix), one(place)));
    }
    catch_all(mine).map(|place| (Reason::CatchAll, one(place)))
}

/// The first key that is known, in the words of the configuration.
fn common(keys: &[String], known: &[String]) -> Option<String> {
    keys.iter()
        .find(|key| !key.trim().is_empty() && known.iter().any(|known| same(key, known)))
        .map(|key| key.trim().to_owned())
}

/// A repository without any keys serves what no key decides; one of this very workspace comes first.
fn catch_all(mine: &[(usize, &Rule<'_>)]) -> Option<usize> {
    let keyless =
        |rule: &Rule<'_>| rule.teams.is_empty() && rule.labels.is_empty() && rule.projects.is_empty();
    let mut open = mine.iter().filter(|(_, rule)| keyless(rule));
    open.clone().find(|(_, rule)| rule.workspace.is_some()).or_else(|| open.next()).map(|(place, _)| *place)
}

/// Names are compared without regard to case and outer blanks.
fn same(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}
