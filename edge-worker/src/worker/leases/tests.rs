//! When an effect may happen, by a clock that the test turns.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

const TOKEN: FencingToken = FencingToken(7);

fn leases() -> (Arc<Hand>, Leases) {
    let hand = Arc::new(Hand::default());
    (Arc::clone(&hand), Leases::new(hand))
}

fn key() -> SessionKey {
    SessionKey("issue".to_owned())
}

fn intervals(lease_ms: u64) -> Intervals {
    Intervals { heartbeat_line_ms: 15_000, worker_heartbeat_ms: 45_000, lease_ms, offer_ms: 10_000 }
}

fn held(token: FencingToken) -> HeldLease {
    HeldLease { session_key: key(), token, stop: false }
}

fn claim(token: FencingToken) -> LeaseClaim {
    LeaseClaim { session_key: key(), token }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_margin_is_a_minute_or_a_third_of_a_short_time() {
    assert_eq!(margin(seconds(750)), seconds(60));
    assert_eq!(margin(seconds(180)), seconds(60));
    assert_eq!(margin(seconds(30)), seconds(10));
    assert_eq!(margin(Duration::ZERO), Duration::ZERO);
    assert_eq!(margin(Duration::MAX), seconds(60));
}

#[test]
fn an_offer_alone_confirms_nothing_and_its_taken_ack_does_from_when_it_was_sent() {
    let (hand, leases) = leases();
    leases.hello(Duration::ZERO, intervals(150_000), &[]);
    leases.holds(&key(), TOKEN, Seq(1));
    assert_eq!(leases.standing(&key(), TOKEN), Standing::Unsure);
    hand.0.store(80, Ordering::SeqCst);
    // The answer took 75 seconds; what counts is when the ack left.
    leases.accepted(seconds(5), Seq(1), TOKEN);
    assert!(leases.exclusive(&key(), TOKEN));
    assert!(!leases.exclusive(&key(), FencingToken(8)) && !leases.exclusive(&key(), FencingToken(6)));
    hand.0.store(5 + 150 - 50, Ordering::SeqCst);
    assert!(!leases.exclusive(&key(), TOKEN));
}

#[test]
fn a_heartbeat_confirms_what_it_does_not_call_lost_for_the_time_it_says() {
    let (hand, leases) = leases();
    leases.holds(&key(), TOKEN, Seq(1));
    leases.answered(seconds(10), &[claim(TOKEN)], &[], seconds(750));
    hand.0.store(10 + 690 - 1, Ordering::SeqCst);
    assert!(leases.exclusive(&key(), TOKEN));
    hand.0.store(10 + 690, Ordering::SeqCst);
    assert!(!leases.exclusive(&key(), TOKEN));
    leases.answered(seconds(700), &[claim(TOKEN)], &[claim(TOKEN)], seconds(750));
    assert!(!leases.exclusive(&key(), TOKEN), "a lost one is not confirmed");
    // `never` and nonsense are both only a long time.
    leases.answered(seconds(700), &[claim(TOKEN)], &[], Duration::from_millis(u64::MAX));
    hand.0.store(u32::MAX.into(), Ordering::SeqCst);
    assert!(leases.exclusive(&key(), TOKEN));
}

#[test]
fn a_late_answer_about_an_older_token_confirms_nothing() {
    let (_hand, leases) = leases();
    leases.holds(&key(), TOKEN, Seq(1));
    let claims = leases.claims();
    leases.holds(&key(), FencingToken(8), Seq(2));
    leases.answered(Duration::ZERO, &claims, &[], seconds(750));
    assert_eq!(leases.standing(&key(), FencingToken(8)), Standing::Unsure);
    assert_eq!(leases.standing(&key(), TOKEN), Standing::Lost);
    assert!(leases.lose(&key(), TOKEN).is_none(), "what is lost is the older lease, not this one");
    assert_eq!(leases.lose(&key(), FencingToken(8)), Some(vec![Seq(2)]));
    assert!(leases.claims().is_empty());
}

#[test]
fn a_loss_that_is_older_than_the_last_offer_only_puts_the_lease_in_doubt() {
    let (hand, leases) = leases();
    leases.holds(&key(), TOKEN, Seq(1));
    leases.answered(Duration::ZERO, &[claim(TOKEN)], &[], seconds(750));
    // The offer ended, the lease with it; both were given anew, under the same token, while the answer was on its way.
    hand.0.store(2, Ordering::SeqCst);
    leases.holds(&key(), TOKEN, Seq(1));
    assert_eq!(leases.lose_as_of(&key(), TOKEN, seconds(1)), None);
    assert_eq!(leases.standing(&key(), TOKEN), Standing::Unsure);
    assert_eq!(leases.claims(), [claim(TOKEN)]);
    assert_eq!(leases.lose_as_of(&key(), TOKEN, seconds(3)), Some(vec![Seq(1)]));
    assert_eq!(leases.standing(&key(), TOKEN), Standing::Lost);
}

#[test]
fn hello_confirms_the_listed_lease_from_when_the_stream_was_asked_for() {
    let (hand, leases) = leases();
    leases.holds(&key(), TOKEN, Seq(1));
    leases.hello(Duration::ZERO, intervals(150_000), &[held(FencingToken(6))]);
    assert_eq!(leases.standing(&key(), TOKEN), Standing::Unsure);
    hand.0.store(101, Ordering::SeqCst);
    leases.hello(Duration::ZERO, intervals(150_000), &[held(TOKEN)]);
    assert!(!leases.exclusive(&key(), TOKEN), "it had lain in a buffer while the machine slept");
    leases.hello(seconds(101), intervals(150_000), &[held(TOKEN)]);
    assert!(leases.exclusive(&key(), TOKEN));
    leases.hello(seconds(101), intervals(0), &[held(TOKEN)]);
    assert!(leases.exclusive(&key(), TOKEN), "what was promised stays promised");
}

#[test]
fn a_lease_is_given_back_with_its_last_event() {
    let (_hand, leases) = leases();
    leases.holds(&key(), TOKEN, Seq(1));
    leases.holds(&key(), TOKEN, Seq(2));
    assert!(leases.done(&[Seq(1)]).is_empty());
    assert_eq!(leases.open_events(), 1);
    assert_eq!(leases.claims(), [claim(TOKEN)]);
    assert_eq!(leases.of_event(Seq(2)), Some(claim(TOKEN)));
    assert_eq!(leases.of_event(Seq(1)), None);
    assert_eq!(leases.done(&[Seq(2), Seq(9)]), [key()]);
    assert!(leases.claims().is_empty());
}

#[test]
fn a_pace_of_nothing_or_of_for_ever_is_brought_into_bounds() {
    let (_hand, leases) = leases();
    for (asked, kept) in [(0, 100), (u64::MAX, 3_600_000), (45_000, 45_000)] {
        let intervals = Intervals { worker_heartbeat_ms: asked, ..intervals(0) };
        leases.hello(Duration::ZERO, intervals, &[]);
        assert_eq!(leases.pace(), Duration::from_millis(kept));
    }
}

#[tokio::test]
async fn who_waits_is_woken_by_the_confirmation_or_the_loss_and_asks_for_a_heartbeat() {
    let (_hand, leases) = leases();
    leases.holds(&key(), TOKEN, Seq(1));
    let wait = |leases: &Leases| {
        let leases = leases.clone();
        tokio::spawn(async move { leases.until_exclusive(&key(), TOKEN).await })
    };
    let waiting = wait(&leases);
    tokio::time::timeout(seconds(5), leases.wanted()).await.unwrap();
    assert!(!waiting.is_finished());
    leases.answered(leases.now(), &[claim(TOKEN)], &[], seconds(30));
    assert!(tokio::time::timeout(seconds(5), waiting).await.unwrap().unwrap());
    leases.holds(&key(), FencingToken(6), Seq(3));
    leases.holds(&key(), TOKEN, Seq(3));
    let waiting = wait(&leases);
    tokio::time::timeout(seconds(5), leases.wanted()).await.unwrap();
    leases.lose(&key(), TOKEN);
    assert!(!tokio::time::timeout(seconds(5), waiting).await.unwrap().unwrap());
}
