//! The workers of one organization as the rules see them: who is on line, who has room, who serves what.
//!
//! The shell keeps it current; the rules read it and count leases in it. What a session wants of a worker is
//! [`Wants`], as far as a webhook tells: labels and projects are the worker's own to look up.

use serde::{Deserialize, Serialize};

use crate::event::{Event, EventBody};
use crate::id::{Seq, WorkerId};
use crate::settings::Settings;
use crate::time::Timestamp;

/// Strikes after which a worker comes behind all others and no session sticks to it.
pub const STRIKES: u32 = 3;

/// One worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// Who.
    pub id: WorkerId,
    /// How many sessions it runs at once.
    pub slots: u32,
    /// How many leases it holds, as the hub counts.
    pub leases: u32,
    /// How many runs it says it has; one that lies low changes nothing.
    pub reported: u32,
    /// Its share against others; 0 counts as 1.
    pub weight: u32,
    /// The protocol that it speaks.
    pub protocol: u32,
    /// It has an open stream.
    pub connected: bool,
    /// It is leaving: no new work, open work goes on.
    pub draining: bool,
    /// Its key was revoked.
    pub revoked: bool,
    /// Offers in a row that it did not accept in time, and events that it gave back.
    pub strikes: u32,
    /// When it was last heard of.
    pub last_seen_at: Timestamp,
    /// Its last heartbeat.
    pub beat_at: Timestamp,
    /// The repositories it serves, lower case; none means all.
    pub repositories: Vec<String>,
    /// The teams it serves by id or key, lower case; none means all.
    pub teams: Vec<String>,
}

impl Worker {
    /// Whether it may be given a new session at all.
    pub fn takes_new(&self) -> bool {
        self.connected && !self.draining && !self.revoked
    }

    /// How many sessions it is busy with: the larger of what the hub counts and what it says.
    pub fn used(&self) -> u32 {
        // Without leases it sends no heartbeats, so what it said last is old.
        if self.leases == 0 { 0 } else { self.leases.max(self.reported) }
    }

    /// Whether it has room for one more session.
    pub fn has_room(&self) -> bool {
        self.used() < self.slots
    }

    /// Whether it said at registration that it serves this.
    pub fn serves(&self, wants: &Wants) -> bool {
        let team = self.teams.is_empty()
            || (wants.team_id.is_none() && wants.team_key.is_none())
            || [&wants.team_id, &wants.team_key]
                .into_iter()
                .flatten()
                .any(|team| self.teams.contains(&team.to_lowercase()));
        let repository = self.repositories.is_empty()
            || wants
                .repository
                .as_ref()
                .is_none_or(|wanted| self.repositories.iter().any(|served| names_the_same(served, wanted)));
        team && repository
    }

    /// Whether it was seen so lately that what belongs to it still waits for it.
    pub fn is_expected(&self, now: Timestamp, settings: &Settings) -> bool {
        if self.revoked || self.draining {
            return false;
        }
        self.connected || settings.takeover_never || now < self.expected_until(settings)
    }

    /// Until when a session without a lease waits for it.
    pub fn expected_until(&self, settings: &Settings) -> Timestamp {
        let wait = settings.lease_ms.saturating_add(settings.takeover_after_ms);
        self.last_seen_at.plus_millis(i64::try_from(wait).unwrap_or(i64::MAX))
    }
}

/// Whether two names may mean one repository: `app`, `acme/app` and `github.com/acme/app` do. What is sure is the
/// worker's own to find out, and to reject.
fn names_the_same(one: &str, other: &str) -> bool {
    let (long, short) = if one.len() >= other.len() { (one, other) } else { (other, one) };
    long == short || long.strip_suffix(short).is_some_and(|owner| owner.ends_with('/'))
}

/// All workers of an organization.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    /// In the order of their ids.
    pub workers: Vec<Worker>,
    /// Where the next look at the queue begins, when the last one found nothing to do in the part it saw.
    pub cursor: Seq,
    /// What the events want that wait for room at workers that are full while others have room; read at first use.
    pub crowded: Option<Vec<Wants>>,
}

impl Fleet {
    /// One of them.
    pub fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.iter().find(|worker| worker.id == id)
    }

    /// One of them, to change it.
    pub fn get_mut(&mut self, id: WorkerId) -> Option<&mut Worker> {
        self.workers.iter_mut().find(|worker| worker.id == id)
    }

    /// Whether anybody could take a new session now.
    pub fn has_room(&self) -> bool {
        self.workers.iter().any(|worker| worker.takes_new() && worker.has_room())
    }
}

/// What an event wants of the worker that takes it, as far as the webhook tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wants {
    /// The team's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<String>,
    /// The team's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_key: Option<String>,
    /// The repository of a `[repo=…]` tag, or of a run that names one; lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The protocol that it must speak; to one that does not, the event is not offered, and it is done.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub protocol: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Wants {
    /// Reads them from an event: a tag in what the person wrote comes before one in the issue.
    pub fn of(event: &Event) -> Self {
        let session = event.body.agent_session();
        let issue = session.issue.as_ref();
        let written = match &event.body {
            EventBody::SessionPrompted { text, .. } => Some(text.as_str()),
            _ => None,
        };
        let named = match &event.body {
            EventBody::RunRequested { repository, .. } => repository.clone(),
            _ => None,
        };
        let comment = session.comment.as_ref().map(|comment| comment.body.as_str());
        let description = issue.and_then(|issue| issue.description.as_deref());
        let tagged = [written, comment, description].into_iter().flatten().find_map(repository_tag);
        Self {
            team_id: issue.and_then(|issue| issue.team_id.clone()),
            team_key: issue.and_then(|issue| issue.team_key.clone()),
            repository: named.or(tagged).map(|name| name.to_lowercase()),
            protocol: event.body.protocol(),
        }
    }
}

/// The repository that a `[repo=owner/name]` tag in a text names; a branch after `#` is left out. Linear escapes
/// the bracket in some texts.
pub fn repository_tag(text: &str) -> Option<String> {
    let after = text.split("[repo=").nth(1)?;
    let inside = after.split([']', '\n']).next()?;
    let name = inside.trim_end_matches('\\').split('#').next()?.trim();
    let sound = !name.is_empty()
        && name.len() <= 200
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:".contains(c));
    sound.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(repositories: &[&str], teams: &[&str]) -> Worker {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Worker {
            id: WorkerId::from_uuid(crate::id::new_uuid(Timestamp::from_millis(1), [1; 10])),
            slots: 2,
            leases: 0,
            reported: 0,
            weight: 1,
            protocol: crate::stream::PROTOCOL,
            connected: true,
            draining: false,
            revoked: false,
            strikes: 0,
            last_seen_at: Timestamp::from_millis(0),
            beat_at: Timestamp::from_millis(0),
            repositories: own(repositories),
            teams: own(teams),
        }
    }

    #[test]
    fn a_tag_is_read_wherever_it_stands_and_nonsense_is_no_tag() {
        assert_eq!(repository_tag("please [repo=acme/app#dev] now").as_deref(), Some("acme/app"));
        assert_eq!(repository_tag("\\[repo=app\\]").as_deref(), Some("app"));
        for nasty in ["", "[repo=", "[repo=]", "[repo=a b]", "[repo=$(x)]", "[repo=\u{0}]", "[repo=;rm]"] {
            assert_eq!(repository_tag(nasty), None, "{nasty}");
        }
    }

    #[test]
    fn a_worker_serves_its_teams_and_its_repositories_by_name_or_remote() {
        let wants = |team: Option<&str>, repository: Option<&str>| Wants {
            team_id: None,
            team_key: team.map(str::to_owned),
            repository: repository.map(str::to_owned),
            protocol: 0,
        };
        assert!(worker(&[], &[]).serves(&wants(Some("ENG"), Some("app"))));
        assert!(worker(&["github.com/acme/app"], &["eng"]).serves(&wants(Some("ENG"), Some("app"))));
        assert!(worker(&["github.com/acme/app"], &[]).serves(&wants(None, Some("acme/app"))));
        assert!(!worker(&["github.com/acme/app"], &[]).serves(&wants(None, Some("other"))));
        assert!(worker(&["app"], &[]).serves(&wants(None, Some("acme/app"))), "it said only the name");
        assert!(!worker(&["pp"], &[]).serves(&wants(None, Some("acme/app"))));
        assert!(!worker(&[], &["ops"]).serves(&wants(Some("ENG"), None)));
        assert!(worker(&[], &["ops"]).serves(&wants(None, None)));
    }

    #[test]
    fn a_worker_that_says_it_is_idle_is_still_as_busy_as_its_leases() {
        let lying = Worker { leases: 2, reported: 0, ..worker(&[], &[]) };
        assert!(!lying.has_room());
        let honest = Worker { leases: 1, reported: 2, ..worker(&[], &[]) };
        assert!(!honest.has_room());
        let done = Worker { leases: 0, reported: 2, ..worker(&[], &[]) };
        assert!(done.has_room());
    }
}
