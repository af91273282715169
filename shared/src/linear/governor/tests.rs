//! No mix of wishes, slices, workers and ways to count makes Linear say "over the limit".

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const T: u64 = WINDOW_MS;
const LIMIT: u64 = 500;

fn limit(limit: u64, remaining: u64, reset_ms: i64) -> RateLimit {
    RateLimit {
        requests_limit: Some(limit),
        requests_remaining: Some(remaining),
        requests_reset_ms: Some(reset_ms),
        ..RateLimit::default()
    }
}

/// Asks until nothing more goes at this moment; each is answered at once by a Linear with plenty of room.
fn burst(governor: &mut Governor, weight: Weight, now: u64) -> u32 {
    let mut sent = 0;
    while governor.ask(weight, 2, now) == Go::Now {
        governor.answered(&limit(5_000, 5_000, 0), 2, now, 0);
        sent += 1;
        assert!(sent < 10_000, "no end");
    }
    sent
}

#[test]
fn steps_leave_a_half_milestones_a_fifth_and_final_answers_nothing() {
    let mut governor = Governor::default();
    governor.grant(Some(5_000));
    assert_eq!(governor.level(0), Level::Free);
    assert_eq!(burst(&mut governor, Weight::Step, 0), 125, "a quarter at once");
    assert_eq!(governor.level(0), Level::Tight);
    let mut now = 0;
    let mut steps = 0;
    while governor.level(now) == Level::Tight && now < T {
        now += 500;
        steps += burst(&mut governor, Weight::Step, now);
    }
    assert_eq!((125 + steps, governor.level(now)), (250, Level::Scarce), "the rest in even pauses");
    assert!((200_000..T).contains(&now), "{now}");
    assert_eq!(burst(&mut governor, Weight::Milestone, now), 150);
    assert_eq!(burst(&mut governor, Weight::Step, now), 0);
    assert!(burst(&mut governor, Weight::Question, now) >= 100);
}

#[test]
fn a_quiet_session_is_always_free() {
    let mut governor = Governor::default();
    governor.grant(Some(2_375));
    let mut now = 0;
    for _ in 0..600 {
        now += 6_000;
        assert_eq!(governor.level(now), Level::Free, "after {now} ms");
        assert_eq!(governor.ask(Weight::Step, 2, now), Go::Now);
        governor.answered(&RateLimit::default(), 2, now, 0);
    }
}

#[test]
fn headers_lower_the_level_at_once_and_a_later_one_raises_it() {
    let mut governor = Governor::default();
    assert_eq!(governor.ask(Weight::First, 2, 0), Go::Now);
    governor.answered(&limit(500, 240, 360_000), 2, 0, 0);
    assert_eq!(governor.level(0), Level::Scarce);
    assert!(matches!(governor.ask(Weight::Step, 2, 0), Go::Wait(_)));
    assert_eq!(governor.ask(Weight::Milestone, 2, 0), Go::Now);
    governor.answered(&limit(500, 90, 360_000), 2, 1, 0);
    assert!(matches!(governor.ask(Weight::Milestone, 2, 1), Go::Wait(_)));
    assert_eq!(governor.ask(Weight::Final, 2, 1), Go::Now);
    governor.answered(&limit(500, 3, 361_000), 2, 2, 0);
    assert!(matches!(governor.ask(Weight::Final, 2, 2), Go::Wait(_)), "others may be on their way");
    governor.unanswered();
    assert_eq!(governor.ask(Weight::Final, 2, 60_000), Go::Now, "its reset moves, so it refills steadily");
    governor.answered(&limit(500, 500, 0), 2, 60_001, 0);
    assert_eq!(governor.level(60_001), Level::Free);
}

#[test]
fn over_the_limit_holds_all_but_a_rare_try_of_what_cannot_wait() {
    let mut governor = Governor::default();
    assert_eq!(governor.ask(Weight::Final, 2, 0), Go::Now);
    governor.unanswered();
    governor.over_limit(3_600_000, 0);
    assert_eq!(governor.level(0), Level::Scarce);
    let mut tries = Vec::new();
    for second in 0..3_600 {
        assert!(matches!(governor.ask(Weight::Milestone, 2, second * 1_000), Go::Wait(_)));
        if governor.ask(Weight::Final, 2, second * 1_000) == Go::Now {
            tries.push(second);
            governor.unanswered();
            governor.over_limit(3_600_000 - second * 1_000, second * 1_000);
        }
    }
    assert_eq!(tries, [20, 60, 140, 300, 620, 1_260, 2_540]);
    let mut freed = Governor::default();
    freed.over_limit(60_000, 0);
    assert_eq!(freed.ask(Weight::Final, 2, 20_000), Go::Now);
    freed.taken();
    assert_eq!(freed.ask(Weight::Milestone, 2, 20_001), Go::Now, "Linear had room again");
}

#[test]
fn without_a_word_from_linear_only_two_are_on_their_way() {
    let mut governor = Governor::default();
    assert_eq!(governor.ask(Weight::Final, 2, 0), Go::Now);
    assert_eq!(governor.ask(Weight::Final, 2, 0), Go::Now);
    assert!(matches!(governor.ask(Weight::Final, 2, 0), Go::Wait(_)));
    governor.answered(&RateLimit::default(), 2, 5, 0);
    assert_eq!(governor.ask(Weight::Final, 2, 5), Go::Now);
}

#[test]
fn points_are_governed_like_requests() {
    let mut governor = Governor::default();
    governor.grant(Some(5_000));
    let mut sent = 0;
    while governor.ask(Weight::Milestone, 560, 0) == Go::Now {
        governor.answered(&RateLimit { complexity: Some(1_120), ..RateLimit::default() }, 560, 0, 0);
        sent += 1;
        assert!(sent < 1_000, "no end");
    }
    assert!((140..=144).contains(&sent), "200,000 points in six minutes, four fifths of them: {sent}");
    assert_eq!(governor.ask(Weight::Final, 560, 0), Go::Now);
}

#[test]
fn a_slice_of_nothing_lets_nothing_out_until_the_next_one() {
    let mut governor = Governor::default();
    governor.grant(Some(0));
    for weight in [Weight::Final, Weight::Milestone, Weight::Step] {
        assert!(matches!(governor.ask(weight, 2, 0), Go::Wait(_)));
        assert!(matches!(governor.ask(weight, 2, 10 * T), Go::Wait(_)));
    }
    governor.grant(Some(10));
    assert_eq!(governor.ask(Weight::Step, 2, 10 * T), Go::Now, "the smallest slice lets one out");
}

/// How the other side counts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Rolling,
    Fixed,
    Bucket,
}

struct Linear {
    way: Way,
    arrived: VecDeque<u64>,
    level: f64,
    at: u64,
    over: u32,
}

impl Linear {
    fn new(way: Way) -> Self {
        Self { way, arrived: VecDeque::new(), level: LIMIT as f64, at: 0, over: 0 }
    }

    fn take(&mut self, now: u64) -> RateLimit {
        let (left, reset_in) = match self.way {
            Way::Rolling => {
                while self.arrived.front().is_some_and(|at| at + T <= now) {
                    self.arrived.pop_front();
                }
                let reset = self.arrived.back().map_or(0, |at| at + T - now);
                (LIMIT as f64 - self.arrived.len() as f64, reset)
            }
            Way::Fixed => {
                let begin = now - now % T;
                self.arrived.retain(|at| *at >= begin);
                (LIMIT as f64 - self.arrived.len() as f64, begin + T - now)
            }
            Way::Bucket => {
                self.level =
                    (self.level + (now - self.at) as f64 * LIMIT as f64 / T as f64).min(LIMIT as f64);
                self.at = now;
                (self.level, ((LIMIT as f64 - self.level) * T as f64 / LIMIT as f64) as u64)
            }
        };
        if left < 1.0 {
            self.over += 1;
        } else {
            self.arrived.push_back(now);
            self.level -= 1.0;
        }
        limit(LIMIT, (left - 1.0).max(0.0) as u64, i64::try_from(now + reset_in).unwrap())
    }
}

/// A request on its way.
struct Sent {
    worker: usize,
    arrives: u64,
    back: u64,
    said: Option<RateLimit>,
}

/// Workers with more to say than can ever be sent: what was over the limit, and what each sent of each weight.
fn talk(way: Way, joins_at: u64, told_after: u64, delays: &[u64], finals_every: u64) -> (u32, [[u32; 3]; 2]) {
    let mut linear = Linear::new(way);
    let mut workers = [Governor::default(), Governor::default()];
    workers[0].grant(Some(4_750));
    let mut on_the_way: Vec<Sent> = Vec::new();
    let mut sent = [[0; 3]; 2];
    let mut delay = delays.iter().copied().cycle();
    let mut owed = [0; 2];
    for now in (0..3 * T).step_by(100) {
        if now == joins_at {
            workers[1].grant(Some(2_375));
        }
        if now == joins_at + told_after {
            workers[0].grant(Some(2_375));
        }
        for one in &mut on_the_way {
            if one.said.is_none() && one.arrives <= now {
                one.said = Some(linear.take(now));
            }
        }
        on_the_way.retain(|one| match &one.said {
            Some(said) if one.back <= now => {
                workers[one.worker].answered(said, 2, now, i64::try_from(now).unwrap());
                false
            }
            _ => true,
        });
        for worker in 0..2 {
            if worker == 1 && now < joins_at {
                continue;
            }
            if now % finals_every == 0 {
                owed[worker] += 1;
            }
            for (place, weight) in [Weight::Final, Weight::Milestone, Weight::Step].into_iter().enumerate() {
                // At most ten connections a worker and moment.
                for _ in 0..10 {
                    if place == 0 && owed[worker] == 0 {
                        break;
                    }
                    if workers[worker].ask(weight, 2, now) != Go::Now {
                        break;
                    }
                    if place == 0 {
                        owed[worker] -= 1;
                    }
                    sent[worker][place] += 1;
                    let arrives = now + delay.next().unwrap_or(0);
                    let back = arrives + delay.next().unwrap_or(0);
                    on_the_way.push(Sent { worker, arrives, back, said: None });
                }
            }
        }
        assert!(owed[0] <= 2 && owed[1] <= 2, "final answers wait at {now} ms: {owed:?}");
    }
    (linear.over, sent)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn one_worker_or_two_with_endless_wishes_are_never_over_the_limit(
        way in prop_oneof![Just(Way::Rolling), Just(Way::Fixed), Just(Way::Bucket)],
        joins in 0_u64..3600,
        told_after in 0_u64..450,
        delays in proptest::collection::vec(0_u64..3_000, 1..20),
        finals_every in prop_oneof![Just(10_000_u64), Just(20_000), Just(60_000)],
    ) {
        let (over, sent) = talk(way, joins * 100, told_after * 100, &delays, finals_every);
        prop_assert_eq!(over, 0);
        prop_assert!(sent[0][..2].iter().all(|count| *count > 0), "{:?}", sent);
    }

    #[test]
    fn any_window_of_a_worker_alone_holds_no_more_than_its_share(
        slices in proptest::collection::vec(0_u32..5_000, 1..6),
        wishes in proptest::collection::vec((0_u64..4_000, 0_usize..3), 1..1_500),
    ) {
        // Without a word from Linear nothing is overdrawn, so the largest slice bounds each window.
        let mut governor = Governor::default();
        let most = u64::from(*slices.iter().max().unwrap()) / 10;
        let (mut now, mut sent) = (0, Vec::new());
        for (place, (pause, weight)) in wishes.iter().enumerate() {
            now += pause;
            if place % 200 == 0 {
                governor.grant(Some(slices[(place / 200) % slices.len()]));
            }
            let weight = [Weight::Final, Weight::Milestone, Weight::Step][*weight];
            if governor.ask(weight, 2, now) == Go::Now {
                sent.push(now);
                governor.answered(&RateLimit::default(), 2, now, 0);
            }
        }
        for begin in &sent {
            let inside = sent.iter().filter(|at| *at >= begin && **at < begin + T).count() as u64;
            prop_assert!(inside <= most, "{} within a window of {}", inside, most);
        }
    }
}
