//! The loss table, counted from the files that the edges' executors append to, and from nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use shared::time::Timestamp;

use super::plan::delivery::Delivery;

/// One thing that an edge did.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Line {
    /// Under which delivery the hub stored the event.
    pub delivery: String,
    /// The hub's number.
    pub seq: u64,
    /// The session's key.
    pub session: String,
    /// The fencing token that it was done under.
    pub token: u64,
    /// Who did it.
    pub worker: String,
    /// When.
    pub at: Timestamp,
}

/// What became of the deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Handled at least once.
    pub done: usize,
    /// Never handled.
    pub lost: Vec<String>,
    /// Handled more than once.
    pub doubled: Vec<String>,
    /// Handled after a later one of its session.
    pub reordered: Vec<String>,
    /// Handled under a token after a newer one was in use.
    pub stale: Vec<String>,
    /// Handled, but never sent.
    pub foreign: Vec<String>,
    /// A session went from one worker to another.
    pub moves: Vec<Move>,
}

/// One take-over, as it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// When the new worker did its first thing.
    pub at: Timestamp,
    /// That, and the last thing that the one before did.
    pub told: String,
}

/// All whole lines of all ledgers. One that cannot be read is an error.
pub fn read(folder: &Path) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "ndjson") {
            continue;
        }
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            lines.push(serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display()))?);
        }
    }
    Ok(lines)
}

impl Table {
    /// Counts.
    pub fn of(lines: &[Line], deliveries: &[Delivery]) -> Self {
        let ids: BTreeMap<&str, usize> = deliveries
            .iter()
            .enumerate()
            .flat_map(|(number, delivery)| delivery.sends.iter().map(move |send| (send.id.as_str(), number)))
            .collect();
        let mut table = Self::default();
        let mut times = vec![0_usize; deliveries.len()];
        let mut sessions: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
        for line in lines {
            match ids.get(line.delivery.as_str()) {
                Some(number) => times[*number] += 1,
                None => table.foreign.push(told(line)),
            }
            sessions.entry(&line.session).or_default().push(line);
        }
        for (delivery, times) in deliveries.iter().zip(times) {
            match times {
                0 => table.lost.push(format!("{} of {}", delivery.sends[0].id, delivery.hooks.issue_id)),
                1 => table.done += 1,
                _ => {
                    table.done += 1;
                    let all = lines
                        .iter()
                        .filter(|line| delivery.sends.iter().any(|send| send.id == line.delivery));
                    table.doubled.push(all.map(told).collect::<Vec<_>>().join(" and "));
                }
            }
        }
        for session in sessions.values_mut() {
            session.sort_by_key(|line| (line.at, line.token, line.seq));
            table.session(session, &ids);
        }
        table
    }

    /// What moved from `from` until `to`, in ms since 1970.
    pub fn moves_within(&self, from: i64, to: i64) -> impl Iterator<Item = &Move> {
        self.moves.iter().filter(move |one| (from..to).contains(&one.at.as_millis()))
    }

    fn session(&mut self, lines: &[&Line], ids: &BTreeMap<&str, usize>) {
        let (mut seq, mut token) = (0, 0);
        let mut before: Option<&Line> = None;
        let mut seen = BTreeSet::new();
        for line in lines {
            if line.token < token {
                self.stale.push(told(line));
            }
            // What is done a second time is doubled, not reordered.
            if seen.insert(ids.get(line.delivery.as_str())) {
                if line.seq < seq {
                    self.reordered.push(told(line));
                }
                seq = seq.max(line.seq);
            }
            if let Some(before) = before.filter(|before| before.worker != line.worker) {
                self.moves
                    .push(Move { at: line.at, told: format!("{}, after {}", told(line), told(before)) });
            }
            before = Some(line);
            token = token.max(line.token);
        }
    }
}

fn told(line: &Line) -> String {
    let Line { delivery, seq, session, token, worker, at } = line;
    format!("{delivery} (seq {seq}, session {session}, token {token}, by {worker}, at {at})")
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Plan, Scale};
    use super::*;

    /// Twenty deliveries of two sessions, each handled once, in order.
    fn good() -> (Vec<Delivery>, Vec<Line>) {
        let mut deliveries = Plan::of(1, Scale::of(20)).deliveries;
        deliveries.sort_by_key(|delivery| delivery.sends[0].at);
        let lines = deliveries.iter().enumerate().map(|(number, delivery)| Line {
            delivery: delivery.sends.last().unwrap().id.clone(),
            seq: number as u64 + 1,
            session: delivery.hooks.issue_id.clone(),
            token: 1,
            worker: "a".into(),
            at: Timestamp::from_millis(number as i64),
        });
        let lines = lines.collect();
        (deliveries, lines)
    }

    fn counts(lines: &[Line], deliveries: &[Delivery]) -> [usize; 7] {
        let table = Table::of(lines, deliveries);
        let Table { done, lost, doubled, reordered, stale, foreign, moves } = &table;
        [*done, lost.len(), doubled.len(), reordered.len(), stale.len(), foreign.len(), moves.len()]
    }

    #[test]
    fn everything_handled_once_and_in_order_is_a_clean_table() {
        let (deliveries, mut lines) = good();
        assert_eq!(counts(&lines, &deliveries), [20, 0, 0, 0, 0, 0, 0]);
        lines.reverse();
        assert_eq!(counts(&lines, &deliveries), [20, 0, 0, 0, 0, 0, 0], "files come in any order");
    }

    #[test]
    fn each_kind_of_damage_has_its_own_column() {
        let (deliveries, lines) = good();
        let with = |change: &dyn Fn(&mut Vec<Line>)| {
            let mut lines = lines.clone();
            change(&mut lines);
            counts(&lines, &deliveries)
        };
        let of_first = |line: &Line| line.session == lines[0].session;
        let last = lines.iter().rposition(of_first).unwrap();
        let others = lines.iter().filter(|line| of_first(line)).count() - 1;
        assert_eq!(with(&|lines| drop(lines.pop())), [19, 1, 0, 0, 0, 0, 0]);
        assert_eq!(with(&|lines| lines.push(lines[0].clone())), [20, 0, 1, 0, 0, 0, 0]);
        assert_eq!(with(&|lines| lines[last].at = Timestamp::from_millis(-1)), [20, 0, 0, others, 0, 0, 0]);
        assert_eq!(with(&|lines| lines[0].token = 2), [20, 0, 0, 0, others, 0, 0]);
        assert_eq!(with(&|lines| lines[0].delivery = "x".into()), [19, 1, 0, 0, 0, 1, 0]);
        assert_eq!(with(&|lines| lines[last].worker = "b".into()), [20, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_move_counts_for_the_time_in_which_the_new_worker_first_did_something() {
        let (deliveries, mut lines) = good();
        let of_first = |line: &Line| line.session == lines[0].session;
        let last = lines.iter().rposition(of_first).unwrap();
        lines[last].worker = "b".into();
        let at = lines[last].at.as_millis();
        let table = Table::of(&lines, &deliveries);
        let within = |from, to| table.moves_within(from, to).count();
        assert_eq!((within(at, at + 1), within(0, at), within(at + 1, i64::MAX)), (1, 0, 0));
        let told = &table.moves[0].told;
        assert!(
            told.contains("by b") && told.contains("by a") && told.contains(&lines[last].session),
            "{told}"
        );
    }

    #[test]
    fn a_repeat_under_another_delivery_id_is_the_same_delivery() {
        let (deliveries, mut lines) = good();
        let twice = deliveries
            .iter()
            .find(|delivery| delivery.sends.len() == 2 && delivery.sends[0].id != delivery.sends[1].id);
        let twice = twice.expect("the seed has one");
        let mut again = lines.iter().find(|line| line.delivery == twice.sends[1].id).unwrap().clone();
        again.delivery.clone_from(&twice.sends[0].id);
        again.seq += 100;
        lines.push(again);
        assert_eq!(counts(&lines, &deliveries)[..3], [20, 0, 1]);
    }
}
