//! The fuzz corpus and nasty values too large to commit, through the very functions that the fuzz targets run.
//!
//! What must hold is said in `fuzz/src/wire.rs`, which is included here; this file only feeds it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says by a panic what does not hold")]

#[path = "../../fuzz/src/wire.rs"]
mod wire;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz().join(folder)).unwrap();
    let name = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    entries.map(|entry| name(entry.unwrap().path())).collect()
}

/// Runs one input and names it when a target fails.
fn run(target: &str, run: wire::Target, input: &str, bytes: &[u8]) {
    let bytes = bytes.to_vec();
    if std::panic::catch_unwind(move || run(&bytes)).is_err() {
        panic!("{target}: {input} breaks what must hold; the reason is above");
    }
}

#[test]
fn whatever_the_corpus_holds_nothing_panics_and_what_is_taken_reads_back_the_same() {
    for (target, function) in wire::TARGETS {
        let inputs: Vec<PathBuf> = fs::read_dir(fuzz().join("corpus").join(target))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(inputs.len() >= 20, "{target} has only {} inputs", inputs.len());
        for input in inputs {
            run(target, function, &input.display().to_string(), &fs::read(&input).unwrap());
        }
    }
}

#[test]
fn values_of_great_size_and_depth_do_no_harm_anywhere() {
    let deep = 200_000;
    let nasty: Vec<(&str, Vec<u8>)> = vec![
        ("open brackets", vec![b'['; deep]),
        ("open braces", br#"{"a":"#.repeat(deep)),
        ("closed brackets", [vec![b'['; deep], vec![b']'; deep]].concat()),
        ("a type, then open brackets", [br#"{"type":"heartbeat","x":"#.to_vec(), vec![b'['; deep]].concat()),
        ("backslashes", vec![b'\\'; deep]),
        ("half surrogates", [b"\"".to_vec(), br"\ud83d".repeat(deep), b"\"".to_vec()].concat()),
        ("digits", vec![b'9'; deep]),
        ("a long exponent", [b"1e".to_vec(), vec![b'9'; deep]].concat()),
        ("zeros", vec![0; deep]),
        ("high bytes", vec![0xff; deep]),
        ("underscores", vec![b'_'; deep]),
        ("one text", [b"\"".to_vec(), vec![b'x'; 4 * 1024 * 1024], b"\"".to_vec()].concat()),
        ("keys", [b"{".to_vec(), br#""k":1,"#.repeat(deep), br#""k":1}"#.to_vec()].concat()),
    ];
    for (target, function) in wire::TARGETS {
        for (what, bytes) in &nasty {
            run(target, function, what, bytes);
        }
    }
}

#[test]
fn every_target_has_a_fuzz_binary_and_a_corpus_and_no_binary_is_left_out_here() {
    let here: BTreeSet<String> = wire::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    // The edge's own test runs the one of its reader.
    let elsewhere = BTreeSet::from(["client_stream".to_owned()]);
    let all: BTreeSet<String> = here.union(&elsewhere).cloned().collect();
    assert_eq!(names("corpus"), all);
    assert_eq!(names("fuzz_targets"), all);
    for name in here {
        let text = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(text.contains(&format!("cyrus_fuzz::wire::{name}(bytes)")), "{name} fuzzes something else");
    }
}
