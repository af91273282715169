//! Runs groups of named tests, each group on one system, one after the other, and says so in libtest's words.
//!
//! A group's system starts only when one of its tests is picked. It is stopped however the tests end: by a panic, a deadline, SIGINT or SIGTERM. Arguments: any number of
//! texts that a test's name must contain, `--exact`, `--list`; other flags are passed over.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

use crate::system::System;

/// What a test gives back while it runs.
pub type Running = Pin<Box<dyn Future<Output = Result<()>>>>;

/// A test: its sentence, and what it does.
pub struct Test {
    pub name: &'static str,
    pub run: Box<dyn Fn(Arc<System>) -> Running>,
}

/// Tests that share a system.
pub struct Group {
    /// What the system is started with.
    pub arguments: Vec<&'static str>,
    pub tests: Vec<Test>,
    /// It waits more than it works: it runs beside the others.
    pub beside: bool,
}

/// The arguments of `up` for a system without real edges and with these settings.
pub fn without_edges(settings: &[&'static str]) -> Vec<&'static str> {
    let mut arguments = vec!["--edges", "0"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    arguments
}

/// Makes a list of tests from async functions that take an `Arc<System>`.
#[macro_export]
macro_rules! tests {
    ($($name:path),+ $(,)?) => {
        vec![$($crate::suite::Test {
            name: stringify!($name).rsplit("::").next().unwrap_or_default().trim(),
            run: Box::new(|system| Box::pin($name(system))),
        }),+]
    };
}

/// Runs the tests that the arguments pick, on a system started with `arguments`; `deadline` is for each test.
pub fn main(arguments: &[&'static str], deadline: Duration, tests: Vec<Test>) -> ExitCode {
    groups(deadline, vec![Group { arguments: arguments.to_vec(), tests, beside: false }])
}

/// Runs the tests that the arguments pick, each group on a system of its own; `deadline` is for each test.
pub fn groups(deadline: Duration, groups: Vec<Group>) -> ExitCode {
    let mut chosen: Vec<Group> = Vec::new();
    for Group { arguments, tests, beside } in groups {
        let tests: Vec<Test> = tests.into_iter().filter(|test| wanted(test.name)).collect();
        if !tests.is_empty() {
            chosen.push(Group { arguments, tests, beside });
        }
    }
    let names = chosen.iter().flat_map(|group| &group.tests).map(|test| test.name);
    if std::env::args().any(|argument| argument == "--list") {
        names.for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", names.count());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut terminate = signal(SignalKind::terminate()).expect("a signal handler");
        let mut interrupt = signal(SignalKind::interrupt()).expect("a signal handler");
        tokio::select! {
            code = run_all(deadline, &chosen) => code,
            _ = terminate.recv() => stopped(),
            _ = interrupt.recv() => stopped(),
        }
    })
}

async fn run_all(deadline: Duration, groups: &[Group]) -> ExitCode {
    let begun = Instant::now();
    let one_by_one = async |beside: bool| {
        let (mut failures, mut passed) = (Vec::new(), 0);
        for group in groups.iter().filter(|group| group.beside == beside) {
            passed += run(group, deadline, &mut failures).await;
        }
        (failures, passed)
    };
    let ((mut failures, mut passed), beside) = tokio::join!(one_by_one(false), one_by_one(true));
    failures.extend(beside.0);
    passed += beside.1;
    summary(&failures, passed, begun)
}

/// The runtime's end drops the last handle of the system, which stops it.
fn stopped() -> ExitCode {
    eprintln!("interrupted");
    ExitCode::FAILURE
}

fn wanted(name: &str) -> bool {
    let exact = std::env::args().any(|argument| argument == "--exact");
    let words: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    words.is_empty()
        || words.iter().any(|word| if exact { name == word } else { name.contains(word.as_str()) })
}

/// Runs one group; gives how many passed.
async fn run(group: &Group, deadline: Duration, failures: &mut Vec<&'static str>) -> usize {
    let begun = Instant::now();
    let system = match System::start(&group.arguments).await {
        Ok(system) => Arc::new(system),
        Err(error) => {
            println!("the system did not start: {error:#}");
            failures.extend(group.tests.iter().map(|test| test.name));
            return 0;
        }
    };
    println!("system ready after {:.1} s: {}", begun.elapsed().as_secs_f64(), group.arguments.join(" "));
    let (mut failed, mut passed) = (false, 0);
    for test in &group.tests {
        let (one, task) = (Instant::now(), tokio::task::spawn_local((test.run)(Arc::clone(&system))));
        let abort = task.abort_handle();
        let failure = match tokio::time::timeout(deadline, task).await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(error))) => Some(format!("{error:#}")),
            Ok(Err(panic)) => Some(panic_text(panic)),
            Err(_) => {
                abort.abort();
                Some(format!("not done within {deadline:?}"))
            }
        };
        let (word, seconds) = (if failure.is_some() { "FAILED" } else { "ok" }, one.elapsed().as_secs_f64());
        println!("test {} ... {word} ({seconds:.1} s)", test.name);
        match failure {
            None => passed += 1,
            Some(reason) => {
                println!("    {}", reason.replace('\n', "\n    "));
                failures.push(test.name);
                failed = true;
            }
        }
    }
    // An aborted test lets go of the system at its next await.
    for _ in 0..100 {
        if Arc::strong_count(&system) == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    match Arc::into_inner(system) {
        Some(mut system) if failed => system.keep(),
        _ => {}
    }
    passed
}

fn panic_text(panic: tokio::task::JoinError) -> String {
    match panic.try_into_panic() {
        Ok(payload) => {
            let text = payload.downcast_ref::<String>().cloned();
            text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_else(|| "panicked".to_owned())
        }
        Err(cancelled) => cancelled.to_string(),
    }
}

fn summary(failures: &[&str], passed: usize, begun: Instant) -> ExitCode {
    if !failures.is_empty() {
        println!("\nfailures:");
        for name in failures {
            println!("    {name}");
        }
    }
    let word = if failures.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {} failed; 0 ignored; 0 measured; 0 filtered out; finished in {:.2}s\n",
        failures.len(),
        begun.elapsed().as_secs_f64()
    );
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
