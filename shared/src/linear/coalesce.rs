//! Which of the activities that wait are told as they are, joined, or left out when Linear's limits are near.
//!
//! With enough to spend nothing is changed. Else adjacent thoughts become one, under the id of the last, and of a
//! tool's steps only the newest stays; when it is scarce only what is heavier than a step is told, and steps wait
//! for better times or give way. What may have been tried already is never touched, since it may have arrived.

use super::activity::ActivityContent;
use super::governor::Level;
use super::weight::Weight;

/// The longest thought that is made by joining, in bytes.
pub const LONGEST_JOINED: usize = 8 * 1024;
const BETWEEN: &str = "\n\n";

/// An activity that waits, as its row in the outbox says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting<'a> {
    /// The row.
    pub id: i64,
    /// How much it matters.
    pub weight: Weight,
    /// It may have been sent already.
    pub tried: bool,
    /// What it says; `None`: no activity that could be joined, such as a question.
    pub content: Option<&'a ActivityContent>,
}

/// What becomes of rows that are not told as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The thoughts of the rows `from` are told in the row `into`, whose text becomes `body`.
    Join {
        /// The last of them, which keeps its id.
        into: i64,
        /// The others.
        from: Vec<i64>,
        /// All their texts, in order.
        body: String,
    },
    /// The row is not told: `by` is what it gave way to.
    Drop {
        /// The row.
        id: i64,
        /// A later row.
        by: i64,
    },
}

impl Change {
    /// How many activities this saves.
    pub fn saved(&self) -> usize {
        match self {
            Self::Join { from, .. } => from.len(),
            Self::Drop { .. } => 1,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Thought,
    Action,
    Fixed,
}

fn kind(row: &Waiting<'_>) -> Kind {
    match row.content {
        _ if row.tried || row.weight != Weight::Step => Kind::Fixed,
        Some(ActivityContent::Thought { .. }) => Kind::Thought,
        Some(ActivityContent::Action { .. }) => Kind::Action,
        _ => Kind::Fixed,
    }
}

/// What to do about the rows that wait in one session, oldest first.
pub fn plan(rows: &[Waiting<'_>], level: Level) -> Vec<Change> {
    if level == Level::Free {
        return Vec::new();
    }
    let mut changes = Vec::new();
    // When it is scarce, no step holds up what is heavier.
    let heavy = match level {
        Level::Scarce => rows.iter().rposition(|row| kind(row) == Kind::Fixed && !row.tried),
        _ => None,
    };
    let (before, after) = rows.split_at(heavy.map_or(0, |place| place + 1));
    if let Some(by) = before.last() {
        let steps = before.iter().filter(|row| kind(row) != Kind::Fixed);
        changes.extend(steps.map(|row| Change::Drop { id: row.id, by: by.id }));
    }
    thin_out(after, &mut changes);
    changes
}

/// Of actions only the newest stays, and thoughts between which nothing stays become one.
fn thin_out(rows: &[Waiting<'_>], changes: &mut Vec<Change>) {
    let mut thoughts: Vec<(i64, &str)> = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        match (kind(row), row.content) {
            (Kind::Action, _) => {
                // The next activity takes the place of a step, so one with anything behind it is seen by nobody.
                if let Some(last) = rows.last().filter(|_| place + 1 < rows.len()) {
                    changes.push(Change::Drop { id: row.id, by: last.id });
                }
            }
            (Kind::Thought, Some(ActivityContent::Thought { body })) => {
                let length: usize = thoughts.iter().map(|(_, text)| text.len() + BETWEEN.len()).sum();
                if length + body.len() > LONGEST_JOINED {
                    join(&mut thoughts, changes);
                }
                thoughts.push((row.id, body));
            }
            _ => join(&mut thoughts, changes),
        }
    }
    join(&mut thoughts, changes);
}

fn join(thoughts: &mut Vec<(i64, &str)>, changes: &mut Vec<Change>) {
    let all = std::mem::take(thoughts);
    if let [from @ .., (into, _)] = all.as_slice()
        && !from.is_empty()
    {
        let texts: Vec<&str> = all.iter().map(|(_, text)| *text).collect();
        changes.push(Change::Join {
            into: *into,
            from: from.iter().map(|(id, _)| *id).collect(),
            body: texts.join(BETWEEN),
        });
    }
}

#[cfg(test)]
mod tests;
