//! What must hold for any bytes from outside: nothing panics, a refusal is a short problem with a listed code,
//! and what is taken reads back as the same value after it was written.
//!
//! Included by the fuzz targets and by `shared/tests/corpus.rs`. It knows only `shared`.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::ack::Ack;
use shared::id::{EventId, KeyId, OrgId, RepositoryId, RunId, SessionId, WorkerId};
use shared::problem::{Problem, ProblemCode};
use shared::time::Timestamp;
use shared::webhook::linear::{Received, read};
use shared::webhook::signature::{Signature, sign};
use shared::webhook::{MAX_DEPTH, depth, stamp as replay_window};
use shared::worker::{Heartbeat, Registration};
use shared::worker_key::{WorkerKey, WorkerKeyError};
use shared::{stream, surrogate};

/// One target: takes any bytes, and panics only when something of `shared` is wrong.
pub type Target = fn(&[u8]);

/// All targets by the names of their binaries and corpus folders.
pub const TARGETS: [(&str, Target); 9] = [
    ("webhook_body", webhook_body),
    ("signature_header", signature_header),
    ("stamp", stamp),
    ("acks", acks),
    ("registration", registration),
    ("heartbeat", heartbeat),
    ("stream_line", stream_line),
    ("worker_key", worker_key),
    ("typeid", typeid),
];

/// The clock of every target; stamps in the corpus are near it.
const NOW: Timestamp = Timestamp::from_millis(1_795_342_525_781);

/// A webhook's body, as after its signature held.
pub fn webhook_body(bytes: &[u8]) {
    match read(bytes, NOW) {
        Ok(Received::Ours { meaning, body, .. }) => {
            let session = body.agent_session();
            // What is of an issue gets its session from the hub.
            let id = 1 - usize::from(body.is_of_issue())..=128;
            assert!(id.contains(&session.id.as_str().len()), "an id of any length is stored");
            assert!((1..=128).contains(&body.session_key().as_str().len()));
            assert!(meaning.len() <= 2 * 128 + "agent_activity/".len());
            assert!(!session.local, "nothing from outside is the panel's");
            same_on_the_wire(&*body);
        }
        Ok(Received::NotOurs { kind }) => assert!(kind.chars().count() <= 64),
        Err(problem) => is_a_refusal(&problem),
    }
    if let Some(mended) = core::str::from_utf8(bytes).ok().and_then(surrogate::mend) {
        assert_eq!(surrogate::mend(&mended), None, "mended once is mended");
    }
}

/// A `Linear-Signature` header over a body of the same bytes.
pub fn signature_header(bytes: &[u8]) {
    const SECRETS: [&str; 2] = ["an old secret", "a new secret"];
    let lower = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    match Signature::parse(core::str::from_utf8(bytes).ok()) {
        Ok(signature) => {
            assert!(bytes.len() == 64 && bytes.iter().all(lower), "not 64 lower-case digits");
            let _wrong = signature.verify(&SECRETS, bytes);
            assert!(!signature.fits(&[]) && !signature.fits(bytes));
        }
        Err(problem) => {
            assert!(bytes.len() != 64 || !bytes.iter().all(lower), "64 lower-case digits were refused");
            is_a_refusal(&problem);
        }
    }
    let right: String = sign("a new secret", bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let right = Signature::parse(Some(&right)).unwrap_or_else(|problem| panic!("{problem}"));
    assert!(right.verify(&SECRETS, bytes).is_ok(), "a right signature was refused");
    assert!(right.verify(&["another secret"], bytes).is_err(), "a wrong signature was taken");
}

/// `webhookTimestamp`, as any JSON value.
pub fn stamp(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let near = value.as_f64().is_some_and(|millis| {
        millis.is_finite() && (millis - NOW.as_millis() as f64).abs() <= replay_window::WINDOW_MS
    });
    match replay_window::check(Some(&value), NOW) {
        Ok(()) => assert!(near, "a stamp outside the window was taken"),
        Err(problem) => {
            assert!(!near, "a stamp inside the window was refused");
            is_a_refusal(&problem);
        }
    }
}

/// `POST /v1/acks`.
pub fn acks(bytes: &[u8]) {
    let Some(mut acks) = body::<Vec<Ack>>(bytes) else { return };
    for ack in &mut acks {
        // Numbers that no double holds exactly may change in their last digit; nothing is decided by them.
        ack.result = None;
    }
    same_on_the_wire(&acks);
}

/// `POST /v1/workers`.
pub fn registration(bytes: &[u8]) {
    if let Some(registration) = body::<Registration>(bytes) {
        same_on_the_wire(&registration);
    }
}

/// `POST /v1/heartbeats`.
pub fn heartbeat(bytes: &[u8]) {
    if let Some(heartbeat) = body::<Heartbeat>(bytes) {
        same_on_the_wire(&heartbeat);
    }
}

/// A line of the stream, as the edge reads it.
pub fn stream_line(bytes: &[u8]) {
    match stream::parse(bytes) {
        Ok(Some(line)) => same_on_the_wire(&line),
        Ok(None) => {}
        Err(error) => assert!(error.to_string().len() <= 256, "the error repeats what was sent"),
    }
}

/// A worker key.
pub fn worker_key(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    match WorkerKey::parse(text) {
        Ok(key) => {
            assert_eq!(key.reveal(), text);
            assert_eq!(key.hash().len(), 64);
            let secret = text.rsplit('_').next().unwrap_or_default();
            assert!(!format!("{key:?}").contains(secret), "a key is shown");
        }
        Err(error) => assert_eq!(error.to_string(), WorkerKeyError.to_string(), "it tells what was given"),
    }
}

/// One of our own ids, of any kind.
pub fn typeid(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let mut kinds = 0;
    macro_rules! each {
        ($($kind:ty),+) => {$(
            match text.parse::<$kind>() {
                Ok(id) => {
                    kinds += 1;
                    assert_eq!(id.to_string(), text, "one id, one text");
                    same_on_the_wire(&id);
                }
                Err(error) => assert!(error.to_string().len() <= 512, "the error repeats what was sent"),
            }
        )+};
    }
    each!(OrgId, RepositoryId, WorkerId, SessionId, RunId, EventId, KeyId);
    assert!(kinds <= 1, "an id of two kinds");
}

/// A JSON body as the Workers read one of an edge.
fn body<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    if depth::deeper_than(MAX_DEPTH, bytes) {
        return None;
    }
    serde_json::from_slice(bytes).ok()
}

fn is_a_refusal(problem: &Problem) {
    assert!(ProblemCode::ALL.iter().any(|code| problem.is(*code)), "{}", problem.code);
    assert!((400..500).contains(&problem.status), "{problem:?}");
    assert!((6..=300).contains(&problem.detail.len()), "{problem:?}");
}

fn same_on_the_wire<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = serde_json::to_string(value).unwrap_or_else(|error| panic!("{error}"));
    let again: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(&again, value);
}
