//! Judges what is seen of a session against its run files and against what was said in it.
//!
//! Nothing here asks anyone: all of it is comparison, so that each rule can be tested with a session that breaks it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use shared::activity_id::{Step, activity_id};
use shared::hub::delivery::EventState;
use shared::id::{AgentSessionId, Seq};
use shared::log_line::LogLine;
use shared::session::SessionState;
use testkit::linear::ActivityView;

use super::plan::Session;
use super::run_file::RunFile;
use super::seen::Seen;

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// What should be there and is not.
    pub lost: Vec<String>,
    /// What is there more than once.
    pub doubled: Vec<String>,
    /// What is there, but not in its order.
    pub reordered: Vec<String>,
    /// What ended otherwise than it should.
    pub wrong: Vec<String>,
    /// Agents that outlived `cyrus`, or their session.
    pub left: Vec<String>,
    /// Times that the process was killed.
    pub kills: u64,
    /// Of these at a commit of its journal.
    pub at_commits: u64,
    /// Things that were looked at, by kind.
    pub counts: BTreeMap<&'static str, usize>,
}

impl Table {
    fn columns(&self) -> [(&'static str, &Vec<String>); 5] {
        [
            ("lost", &self.lost),
            ("doubled", &self.doubled),
            ("reordered", &self.reordered),
            ("wrong", &self.wrong),
            ("left", &self.left),
        ]
    }

    /// Whether nothing was found.
    pub fn is_good(&self) -> bool {
        self.columns().iter().all(|(_, column)| column.is_empty())
    }

    /// Whether something was lost or doubled, or an agent was left.
    pub fn is_damaged(&self) -> bool {
        !(self.lost.is_empty() && self.doubled.is_empty() && self.left.is_empty())
    }

    /// Takes in another one.
    pub fn add(&mut self, other: Self) {
        self.lost.extend(other.lost);
        self.doubled.extend(other.doubled);
        self.reordered.extend(other.reordered);
        self.wrong.extend(other.wrong);
        self.left.extend(other.left);
        self.kills += other.kills;
        self.at_commits += other.at_commits;
        for (name, count) in other.counts {
            *self.counts.entry(name).or_default() += count;
        }
    }

    /// The numbers, without an end.
    pub fn line(&self) -> String {
        let mut line = String::new();
        for (name, column) in self.columns() {
            // Writing to a text does not fail.
            let _ = write!(line, "{name}={} ", column.len());
        }
        for (name, count) in &self.counts {
            let _ = write!(line, "{name}={count} ");
        }
        let _ = write!(line, "kills={} at_commits={}", self.kills, self.at_commits);
        line
    }

    /// What is behind the numbers that should be 0.
    pub fn explanation(&self) -> String {
        let lines = self
            .columns()
            .into_iter()
            .flat_map(|(name, column)| column.iter().take(30).map(move |one| format!("  {name}: {one}\n")));
        lines.collect()
    }

    fn count(&mut self, name: &'static str, count: usize) {
        *self.counts.entry(name).or_default() += count;
    }
}

/// Judges one session; `runs` are its own, in order, and `pushes` says whether work in progress is pushed at all.
pub fn session(plan: &Session, id: &AgentSessionId, seen: &Seen, runs: &[&RunFile], pushes: bool) -> Table {
    let mut table = Table::default();
    let name = plan.created.tasks.first().map_or_else(String::new, |task| task.chars().take(2).collect());
    let case = Case { plan, id, seen, runs, name };
    case.ends(&mut table);
    case.activities(&mut table);
    case.lines(&mut table);
    case.work(&mut table, pushes);
    table.count("runs", runs.len());
    table
}

struct Case<'a> {
    plan: &'a Session,
    id: &'a AgentSessionId,
    seen: &'a Seen,
    runs: &'a [&'a RunFile],
    name: String,
}

impl Case<'_> {
    fn tell(&self, what: impl std::fmt::Display) -> String {
        format!("{} {}: {what}", self.name, self.id)
    }

    /// Every event is done, the record is over, and each turn has its one answer.
    fn ends(&self, table: &mut Table) {
        for delivery in &self.seen.deliveries {
            if !matches!(delivery.state, EventState::Done | EventState::Cancelled) {
                let told = format!("event {} ({}) is {:?}", delivery.seq, delivery.kind, delivery.state);
                table.wrong.push(self.tell(told));
            }
        }
        match self.seen.records.as_slice() {
            [record] => {
                let stopped = self.plan.stop.is_some();
                let fits = record.status == SessionState::Completed
                    || (stopped && record.status == SessionState::Stopped);
                if !fits {
                    table.wrong.push(
                        self.tell(format!("its record is {:?}: {:?}", record.status, record.error_message)),
                    );
                }
            }
            [] => table.lost.push(self.tell("the panel has no record")),
            records => table.doubled.push(self.tell(format!("the panel has {} records", records.len()))),
        }
        self.answers(table);
    }

    fn answers(&self, table: &mut Table) {
        let of = |kind: &str| {
            self.seen.activities.iter().filter(move |activity| activity.kind == kind).collect::<Vec<_>>()
        };
        for error in of("error") {
            table.wrong.push(self.tell(format!("an error was told: {}", short(&error.body))));
        }
        let answers = of("response");
        table.count("answers", answers.len());
        let of_event = |seq: Seq| {
            let id = activity_id(self.id, seq, Step::Final).to_string();
            answers.iter().find(|answer| answer.id == id).copied()
        };
        let events: Vec<(Seq, &str)> =
            self.seen.deliveries.iter().map(|delivery| (delivery.seq, delivery.kind.as_str())).collect();
        let known = |answer: &ActivityView| {
            events.iter().any(|(seq, _)| activity_id(self.id, *seq, Step::Final).to_string() == answer.id)
        };
        let stopped = self.plan.stop.is_some();
        if !stopped {
            // The hub's own closing words have an id of their own.
            for answer in answers.iter().filter(|answer| !known(answer)) {
                table.doubled.push(self.tell(format!("an answer to no event: {}", short(&answer.body))));
            }
        } else if answers.is_empty() {
            table.lost.push(self.tell("no answer to a stop"));
        }
        let mut messages = vec![&self.plan.created];
        messages.extend(self.plan.in_run.as_ref().map(|(_, message)| message));
        messages.extend(&self.plan.after);
        // A stop is an event too; it takes no message.
        let mut spoken = events.iter().filter(|(_, kind)| !kind.contains("stopped")).map(|(seq, _)| *seq);
        let mut before: Option<&ActivityView> = None;
        for message in messages {
            let Some(seq) = spoken.next() else {
                table.lost.push(self.tell(format!("the event of {:?}", message.tasks)));
                continue;
            };
            let has = |answer: &ActivityView| message.tasks.iter().all(|task| names(&answer.body, task));
            let own = of_event(seq);
            let taken_in = before.is_some_and(has);
            match own {
                Some(answer) if has(answer) && taken_in => {
                    table
                        .doubled
                        .push(self.tell(format!("event {seq} was answered within a turn and again")));
                }
                Some(answer) if !has(answer) && !stopped => {
                    table.wrong.push(self.tell(format!(
                        "the answer to {seq} lacks {:?}: {}",
                        message.tasks,
                        short(&answer.body)
                    )));
                }
                None if !taken_in && !stopped => {
                    table.lost.push(self.tell(format!("the answer to event {seq} ({:?})", message.tasks)));
                }
                _ => {}
            }
            before = own.or(before);
        }
    }

    /// Every text of every run was shown once and in order, as a thought or within an answer; no action was shown twice.
    fn activities(&self, table: &mut Table) {
        let all = &self.seen.activities;
        table.count("activities", all.len());
        let firsts: Vec<String> = self
            .seen
            .deliveries
            .iter()
            .map(|delivery| activity_id(self.id, delivery.seq, Step::FirstThought).to_string())
            .collect();
        if let Some(first) = all.first().filter(|first| !firsts.contains(&first.id)) {
            table.reordered.push(self.tell(format!(
                "the first activity is {} {}",
                first.kind,
                short(&first.body)
            )));
        }
        for (delivery, first) in self.seen.deliveries.iter().zip(&firsts) {
            let wants = delivery.state == EventState::Done && !delivery.kind.contains("stopped");
            // A stop takes what waits before anything was said about it.
            if wants && self.plan.stop.is_none() && !all.iter().any(|activity| activity.id == *first) {
                table.lost.push(self.tell(format!("the first thought of event {}", delivery.seq)));
            }
        }
        let texts: Vec<&str> = self.runs.iter().flat_map(|run| run.texts()).collect();
        let thoughts: Vec<&ActivityView> = all
            .iter()
            .filter(|activity| activity.kind == "thought" && !firsts.contains(&activity.id))
            .collect();
        let answers: Vec<&ActivityView> = all.iter().filter(|activity| activity.kind == "response").collect();
        for (text, count) in counted(texts.iter().copied()) {
            let body = |activity: &&&ActivityView| content(activity, "body").trim() == text.trim();
            let in_thoughts = thoughts.iter().filter(body).count();
            let in_answers =
                answers.iter().filter(|answer| content(answer, "body").starts_with(text.trim())).count();
            let shown = in_thoughts + in_answers;
            // What was cut off by a stop was held back as its last words and is not told.
            let may_be_held = self.plan.stop.is_some();
            if shown < count && !may_be_held {
                table.lost.push(self.tell(format!("{} of {count} times told: {}", shown, short(text))));
            }
            if shown > count {
                table.doubled.push(self.tell(format!("told {shown} times for {count}: {}", short(text))));
            }
        }
        let told: Vec<&str> = thoughts.iter().map(|thought| content(thought, "body").trim()).collect();
        let told: Vec<&str> =
            told.into_iter().filter(|told| texts.iter().any(|text| text.trim() == *told)).collect();
        let mut rest = texts.iter();
        if let Some(early) = told.iter().find(|told| !rest.any(|text| text.trim() == **told)) {
            table.reordered.push(self.tell(format!("not in its order: {}", short(early))));
        }
        let calls = counted(self.runs.iter().flat_map(|run| run.tool_calls()));
        let actions = all.iter().filter(|activity| activity.kind == "action");
        for (call, shown) in
            counted(actions.map(|action| (content(action, "action"), content(action, "parameter"))))
        {
            let made = calls.get(&call).copied().unwrap_or_default();
            if shown > made {
                table.doubled.push(self.tell(format!(
                    "shown {shown} times for {made}: {} {}",
                    call.0,
                    short(call.1)
                )));
            }
        }
    }

    /// The panel's lines are the run files' lines: none missing, none twice, in order, numbered without a hole.
    fn lines(&self, table: &mut Table) {
        table.count("lines", self.seen.lines.len());
        for (index, line) in self.seen.lines.iter().enumerate() {
            if line.seq != index as u64 + 1 {
                table.wrong.push(self.tell(format!(
                    "line {} stands where line {} should",
                    line.seq,
                    index + 1
                )));
                break;
            }
        }
        for run in self.runs {
            let stored: Vec<&LogLine> = self
                .seen
                .lines
                .iter()
                .filter(|line| line.run_id.is_some_and(|id| id.to_string() == run.id) && is_the_agents(line))
                .collect();
            let expected: Vec<(u64, LogLine)> = run.log_lines().collect();
            let have = counted(stored.iter().map(|line| key(line)));
            let want = counted(expected.iter().map(|(_, line)| key(line)));
            for (line, count) in &want {
                let found = have.get(line).copied().unwrap_or_default();
                if found < *count {
                    table.lost.push(self.tell(format!(
                        "run {}: {} of {count} lines {}",
                        run.id,
                        found,
                        told(line)
                    )));
                }
            }
            for (line, count) in &have {
                let wanted = want.get(line).copied().unwrap_or_default();
                if *count > wanted {
                    table.doubled.push(self.tell(format!(
                        "run {}: {count} lines for {wanted} {}",
                        run.id,
                        told(line)
                    )));
                }
            }
            let mut rest = expected.iter();
            if let Some(line) = stored.iter().find(|line| !rest.any(|(_, other)| key(other) == key(line))) {
                table.reordered.push(self.tell(format!(
                    "run {}: line {} {}",
                    run.id,
                    line.seq,
                    told(&key(line))
                )));
            }
            self.errors(run, table);
            for line in stored {
                let Some(end) = line.metadata["at"]["end"].as_u64() else { continue };
                if !expected.iter().any(|(place, other)| *place == end && key(other) == key(line)) {
                    table.wrong.push(self.tell(format!("run {}: line {} is not at {end}", run.id, line.seq)));
                }
            }
        }
        let known = |line: &&LogLine| {
            line.run_id.is_some_and(|id| self.runs.iter().any(|run| run.id == id.to_string()))
        };
        for line in self.seen.lines.iter().filter(|line| line.run_id.is_some() && !known(line)) {
            table.wrong.push(self.tell(format!("line {} is of a run without a file", line.seq)));
        }
    }

    fn errors(&self, run: &RunFile, table: &mut Table) {
        let of_run = |line: &&LogLine| line.run_id.is_some_and(|id| id.to_string() == run.id);
        let stored = self.seen.lines.iter().filter(of_run).filter(|line| line.metadata["kind"] == "stderr");
        let have = counted(stored.map(|line| line.message.trim()));
        for (line, count) in counted(run.errors.iter().map(|(_, line)| line.trim())) {
            let found = have.get(line).copied().unwrap_or_default();
            if found < count {
                table.lost.push(self.tell(format!(
                    "run {}: {found} of {count} error lines {}",
                    run.id,
                    short(line)
                )));
            }
            if found > count {
                table.doubled.push(self.tell(format!(
                    "run {}: {found} error lines for {count} {}",
                    run.id,
                    short(line)
                )));
            }
        }
    }

    /// What the agent's tools did is on the branch, nothing is committed twice or left uncommitted, and all is pushed.
    fn work(&self, table: &mut Table, pushes: bool) {
        let work = &self.seen.work;
        if let Some(trouble) = &work.trouble {
            table.wrong.push(self.tell(trouble));
            return;
        }
        if !work.dirty.is_empty() {
            table.wrong.push(self.tell(format!("left uncommitted: {:?}", work.dirty)));
        }
        let mut tasks: Vec<&String> = self.plan.created.tasks.iter().collect();
        tasks.extend(self.plan.in_run.iter().flat_map(|(_, message)| &message.tasks));
        tasks.extend(self.plan.after.iter().flat_map(|message| &message.tasks));
        for task in tasks {
            let prefix = format!("toolu_{task}x");
            let done = self.runs.iter().any(|run| run.done().any(|id| id.starts_with(&prefix)));
            let kept = work.files.contains(&format!("work/{task}"));
            if done && !kept {
                table.lost.push(self.tell(format!("the work of {task}")));
            }
            let commits = work.subjects.iter().filter(|subject| *subject == task).count();
            // A tool that was cut off before its result was written is called again by the agent, and may commit again.
            let command = format!("git commit -qm {task})");
            let calls =
                self.runs.iter().flat_map(|run| run.tool_calls()).filter(|(_, text)| text.contains(&command));
            let calls = calls.count().max(1);
            if commits > calls {
                table
                    .doubled
                    .push(self.tell(format!("{task} is committed {commits} times in {calls} calls")));
            }
            table.count("tasks", usize::from(done));
        }
        table.count("pushes", work.pushed.len());
        for (value, times) in counted(work.pushed.iter().map(String::as_str)) {
            if times > 1 {
                table.doubled.push(self.tell(format!("{value} was pushed {times} times")));
            }
        }
        if pushes && work.pushed_tree != work.tree {
            table
                .lost
                .push(self.tell(format!("the pushed work is not the branch's: {:?}", work.pushed_tree)));
        }
    }
}

type LineKey = (String, String);

fn key(line: &LogLine) -> LineKey {
    (line.metadata["kind"].as_str().unwrap_or_default().to_owned(), line.message.clone())
}

fn told((kind, message): &LineKey) -> String {
    format!("{kind} {}", short(message))
}

/// Lines of `cyrus` itself, and of the agent's error output, are not in the run file.
fn is_the_agents(line: &LogLine) -> bool {
    !matches!(line.metadata["kind"].as_str(), Some("stopping" | "stderr" | "setup" | "cyrus") | None)
        && line.metadata["at"]["file"].as_str().is_none_or(|file| file == "out")
}

fn content<'a>(activity: &'a ActivityView, name: &str) -> &'a str {
    activity.content.get(name).and_then(serde_json::Value::as_str).unwrap_or_default()
}

/// Whether words name a task: `s0a1` is not in `s0a12`.
fn names(words: &str, task: &str) -> bool {
    words.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == task)
}

fn counted<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}

fn short(text: &str) -> String {
    let line = text.replace('\n', " ");
    if line.chars().count() > 90 { format!("{}…", line.chars().take(90).collect::<String>()) } else { line }
}

#[cfg(test)]
mod tests;
