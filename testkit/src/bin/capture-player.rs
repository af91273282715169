//! `capture-player`: plays a recorded stream of `claude` in its place, at a pace, and obeys its input like it.
//!
//! Tests of load run many of these where many real ones would need a large machine. It takes the flags of `claude` and
//! reads these variables: `CAPTURE_LINES` (lines a turn, 20), `CAPTURE_PACE_MS` (between two lines, 100), `CAPTURE_FILE`
//! (a recording whose lines are played over and over between the first and the last of a turn; without one it chats).
//! Every line that an edge shows to people is numbered, so that whoever counts knows what is missing. A program that
//! wants to set these for each run alone puts `<<PLAY lines=200 pace=900 PLAY>>` into the prompt.

use std::collections::VecDeque;
use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

/// Cost of a turn, as the stream tells it.
const TURN_USD: f64 = 0.01;

enum In {
    Message { id: String, text: String },
    Interrupt { request: String },
    Closed,
}

struct Player {
    session: String,
    cwd: String,
    capture: Vec<Value>,
    turns: u64,
    out: std::io::Stdout,
}

/// How a turn is played.
#[derive(Clone, Copy)]
struct Pace {
    lines: u64,
    between: Duration,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--version") {
        println!("2.1.330 (capture player)");
        return;
    }
    let named = |name: &str| {
        let mut found =
            arguments.iter().filter_map(|argument| argument.strip_prefix(name)?.strip_prefix('='));
        found.next().map(str::to_owned)
    };
    let session =
        named("--session-id").or_else(|| named("--resume")).unwrap_or_else(|| Uuid::new_v4().to_string());
    let cwd = std::env::current_dir().unwrap_or_default().display().to_string();
    keep_transcript(&session, &cwd);
    let capture = std::env::var("CAPTURE_FILE").ok().map(|path| recorded(&path)).unwrap_or_default();
    let (sender, inputs) = channel();
    std::thread::spawn(move || read(&sender));
    Player { session, cwd, capture, turns: 0, out: std::io::stdout() }.play(&inputs);
}

/// A resumed conversation is looked for by its transcript.
fn keep_transcript(session: &str, cwd: &str) {
    let Some(config) = std::env::var_os("CLAUDE_CONFIG_DIR") else { return };
    let project: String = cwd.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let folder = std::path::PathBuf::from(config).join("projects").join(project);
    // Without it a run begins anew, which is as good here.
    let _ = std::fs::create_dir_all(&folder);
    let _ = std::fs::write(folder.join(format!("{session}.jsonl")), "{}\n");
}

/// What a recording says on the way: neither its beginnings nor its results.
fn recorded(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| matches!(line["type"].as_str(), Some("assistant" | "user" | "stream_event")))
        .collect()
}

fn read(sender: &Sender<In>) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let Ok(value) = serde_json::from_str::<Value>(&line) else { continue };
        let told = match (value["type"].as_str(), value["request"]["subtype"].as_str()) {
            (Some("user"), _) => In::Message {
                id: value["uuid"].as_str().unwrap_or_default().to_owned(),
                text: text_of(&value["message"]["content"]),
            },
            (Some("control_request"), Some("interrupt")) => {
                In::Interrupt { request: value["request_id"].as_str().unwrap_or_default().to_owned() }
            }
            _ => continue,
        };
        if sender.send(told).is_err() {
            return;
        }
    }
    // Nobody listens only when all is over.
    let _ = sender.send(In::Closed);
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            blocks.iter().filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// What the prompt asks for, else the environment, else the usual.
fn pace(text: &str) -> Pace {
    let asked = text
        .rsplit_once("<<PLAY")
        .and_then(|(_, rest)| rest.split_once("PLAY>>"))
        .map_or("", |(asked, _)| asked);
    let number = |name: &str, variable: &str, usual: u64| {
        let of_prompt = asked
            .split_whitespace()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok());
        let of_environment = || std::env::var(variable).ok()?.parse().ok();
        of_prompt.or_else(of_environment).unwrap_or(usual)
    };
    Pace {
        lines: number("lines", "CAPTURE_LINES", 20),
        between: Duration::from_millis(number("pace", "CAPTURE_PACE_MS", 100)),
    }
}

impl Player {
    fn play(mut self, inputs: &Receiver<In>) {
        let mut waiting: VecDeque<(String, String)> = VecDeque::new();
        loop {
            let (id, text) = match waiting.pop_front() {
                Some(next) => next,
                None => match inputs.recv() {
                    Ok(In::Message { id, text }) => {
                        self.lifecycle(&id, "queued");
                        (id, text)
                    }
                    Ok(In::Interrupt { request }) => {
                        self.reply(&request);
                        continue;
                    }
                    Ok(In::Closed) | Err(_) => return,
                },
            };
            if !self.turn(&id, &text, inputs, &mut waiting) {
                return;
            }
        }
    }

    /// One turn; `false`: the program ends.
    fn turn(
        &mut self,
        id: &str,
        text: &str,
        inputs: &Receiver<In>,
        waiting: &mut VecDeque<(String, String)>,
    ) -> bool {
        let pace = pace(text);
        let begun = Instant::now();
        self.lifecycle(id, "started");
        self.say(&json!({"type": "system", "subtype": "init", "cwd": self.cwd, "session_id": self.session,
            "tools": ["Bash", "Read"], "mcp_servers": [], "model": "capture-player", "claude_code_version": "2.1.330"}));
        let (mut taken, mut stopped, mut closed) = (vec![id.to_owned()], false, false);
        for number in 1..=pace.lines {
            let due = Instant::now() + pace.between;
            while !stopped {
                match inputs.recv_timeout(due.saturating_duration_since(Instant::now())) {
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) | Ok(In::Closed) => {
                        closed = true;
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        break;
                    }
                    Ok(In::Interrupt { request }) => {
                        self.reply(&request);
                        stopped = true;
                    }
                    // As the real one: a message on the way is folded into the turn.
                    Ok(In::Message { id, text }) if text.contains("<<PLAY") => {
                        self.lifecycle(&id, "queued");
                        waiting.push_back((id, text));
                    }
                    Ok(In::Message { id, .. }) => {
                        self.lifecycle(&id, "queued");
                        self.lifecycle(&id, "started");
                        taken.push(id);
                    }
                }
            }
            if stopped {
                break;
            }
            self.line(number, pace.lines);
        }
        self.turns += 1;
        let words = format!("The end of {} lines.", pace.lines);
        if !stopped {
            self.say(&json!({"type": "assistant", "session_id": self.session, "parent_tool_use_id": null,
                "message": message(&json!([{"type": "text", "text": words}]))}));
        }
        self.say(&json!({"type": "result", "subtype": if stopped { "error_during_execution" } else { "success" },
            "is_error": stopped, "terminal_reason": if stopped { "aborted_streaming" } else { "completed" },
            "duration_ms": u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), "num_turns": pace.lines,
            "result": if stopped { "" } else { words.as_str() }, "session_id": self.session,
            "total_cost_usd": TURN_USD * self.turns as f64, "queued_turn_count": waiting.len(), "result_index": self.turns - 1,
            "usage": {"input_tokens": 100, "output_tokens": 20}}));
        for id in &taken {
            self.lifecycle(id, if stopped { "cancelled" } else { "completed" });
        }
        !(closed && waiting.is_empty())
    }

    /// A text, a tool call and its answer by turns, or what the recording says.
    fn line(&mut self, number: u64, of: u64) {
        if let Some(mut line) = usize::try_from(number)
            .ok()
            .and_then(|at| self.capture.get(at % self.capture.len().max(1)).cloned())
        {
            line["session_id"] = self.session.as_str().into();
            return self.say(&line);
        }
        let call = format!("toolu_{}_{}", self.turns, (number + 1) / 3);
        let content = match number % 3 {
            1 => json!([{"type": "text", "text": format!("Line {number} of {of}.")}]),
            2 => {
                json!([{"type": "tool_use", "id": call, "name": "Bash", "input": {"command": format!("echo {number}")}}])
            }
            _ => {
                let content =
                    json!([{"type": "tool_result", "tool_use_id": call, "content": format!("{number}")}]);
                return self
                    .say(&json!({"type": "user", "session_id": self.session, "parent_tool_use_id": null,
                    "message": {"role": "user", "content": content}}));
            }
        };
        self.say(&json!({"type": "assistant", "session_id": self.session, "parent_tool_use_id": null, "message": message(&content)}));
    }

    fn lifecycle(&mut self, id: &str, state: &str) {
        self.say(&json!({"type": "command_lifecycle", "command_uuid": id, "state": state, "uuid": Uuid::new_v4(), "session_id": self.session}));
    }

    fn reply(&mut self, request: &str) {
        self.say(&json!({"type": "control_response", "response": {"subtype": "success", "request_id": request, "response": {}}}));
    }

    /// The reader is a file, or gone with everything else.
    fn say(&mut self, line: &Value) {
        let text = format!("{line}\n");
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

fn message(content: &Value) -> Value {
    json!({"id": format!("msg_{}", Uuid::new_v4().simple()), "type": "message", "role": "assistant",
        "model": "capture-player", "content": content, "stop_reason": null,
        "usage": {"input_tokens": 100, "output_tokens": 20}})
}
