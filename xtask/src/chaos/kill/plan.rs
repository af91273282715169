//! What happens in a round, drawn from its seed: sessions and what is said in them, and when the process is killed.

use serde_json::{Value, json};

/// Sessions of a round.
const SESSIONS: usize = 3;
/// Kills of a round.
const KILLS: usize = 4;

/// A round.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// Its seed.
    pub seed: u64,
    /// The sessions, which run at once.
    pub sessions: Vec<Session>,
    /// The kills, one after the other.
    pub kills: Vec<Kill>,
}

/// One session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// When its issue is delegated, ms after the round's begin.
    pub at: u64,
    /// The issue.
    pub created: Message,
    /// A follow-up, so many ms after the first sign of life.
    pub in_run: Option<(u64, Message)>,
    /// A stop, so many ms after the first sign of life.
    pub stop: Option<u64>,
    /// A follow-up when all is over.
    pub after: Option<Message>,
}

/// Something that a person says.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Ids of its tasks, which are found again in everything that comes of them.
    pub tasks: Vec<String>,
    /// Its words.
    pub text: String,
}

/// One kill of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    /// When.
    pub when: When,
    /// How long it stays away, ms.
    pub away: u64,
}

/// When a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So many ms after its begin.
    After(u64),
    /// At so many commits of its journal: before the commit, or after it.
    Commit(u32, bool),
}

impl Round {
    /// Draws it.
    pub fn of(seed: u64) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut sessions = dice.fork();
        let mut kills = dice.fork();
        Self {
            seed,
            sessions: (0..SESSIONS).map(|number| session(&mut sessions, number)).collect(),
            kills: (0..KILLS).map(|_| kill(&mut kills)).collect(),
        }
    }
}

fn session(dice: &mut fastrand::Rng, number: usize) -> Session {
    let stops = dice.u32(0..5) == 0;
    let in_run = dice.u32(0..10) < 7;
    let after = dice.u32(0..10) < 6;
    Session {
        at: dice.u64(0..1_500),
        created: message(dice, number, 'a'),
        in_run: in_run.then(|| (dice.u64(200..6_000), message(dice, number, 'f'))),
        stop: stops.then(|| dice.u64(500..7_000)),
        after: after.then(|| message(dice, number, 'g')),
    }
}

fn message(dice: &mut fastrand::Rng, session: usize, which: char) -> Message {
    let count = if which == 'a' { dice.usize(3..=5) } else { dice.usize(1..=2) };
    let tasks: Vec<String> = (1..=count).map(|task| format!("s{session}{which}{task}")).collect();
    let steps: Vec<Value> = tasks.iter().map(|id| step(dice, id)).collect();
    let text = format!("Please do this in order. <<TASKS {} TASKS>>", Value::from(steps));
    Message { tasks, text }
}

/// A task: it writes a file of its own, and may take its time, commit, or have a second tool.
fn step(dice: &mut fastrand::Rng, id: &str) -> Value {
    let write = format!("mkdir -p work && echo {id} >> work/{id}");
    let commit = format!("git add -A && (git diff --cached --quiet || git commit -qm {id})");
    let pause = format!("0.{}", dice.u32(0..7));
    let command = match dice.u32(0..4) {
        0 => format!("{write} && {commit}"),
        1 => format!("sleep {pause} && {write}"),
        2 => format!("{write} && sleep {pause}"),
        _ => write,
    };
    let tool = |command: &str| json!({"name": "Bash", "input": {"command": command, "description": id}});
    let mut tools = vec![tool(&command)];
    if dice.u32(0..4) == 0 {
        tools.push(tool(&format!("echo and {id}")));
    }
    json!({"id": id, "text": format!("I do {id}."), "tools": tools, "delay_ms": dice.u64(50..700)})
}

fn kill(dice: &mut fastrand::Rng) -> Kill {
    let when = if dice.bool() {
        When::After(dice.u64(100..7_000))
    } else {
        // Early steps are rare ones: a start, an acceptance, the begin of a run.
        let most = [8, 40, 160][dice.usize(0..3)];
        When::Commit(dice.u32(1..=most), dice.bool())
    };
    Kill { when, away: if dice.bool() { dice.u64(0..300) } else { dice.u64(1_200..2_500) } }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_round_and_another_one_another() {
        assert_eq!(Round::of(5), Round::of(5));
        assert_ne!(Round::of(5), Round::of(6));
    }

    #[test]
    fn every_task_of_a_round_has_an_id_of_its_own_and_all_kinds_of_message_occur() {
        let (mut in_run, mut after, mut stops, mut commits) = (0, 0, 0, 0);
        for seed in 0..30 {
            let round = Round::of(seed);
            let messages = round.sessions.iter().flat_map(|session| {
                [
                    Some(&session.created),
                    session.in_run.as_ref().map(|(_, message)| message),
                    session.after.as_ref(),
                ]
            });
            let ids: Vec<&String> = messages.flatten().flat_map(|message| &message.tasks).collect();
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
            in_run += round.sessions.iter().filter(|session| session.in_run.is_some()).count();
            after += round.sessions.iter().filter(|session| session.after.is_some()).count();
            stops += round.sessions.iter().filter(|session| session.stop.is_some()).count();
            commits += round.kills.iter().filter(|kill| matches!(kill.when, When::Commit(..))).count();
        }
        assert!(in_run > 30 && after > 30 && stops > 5 && commits > 30, "{in_run} {after} {stops} {commits}");
    }
}
