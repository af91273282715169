//! The first Ctrl-C finishes what is open, the second stops.

use super::*;

async fn with_open_work(hub: &Hub, bench: &Bench) -> hub::Lines {
    bench.hold("a");
    let lines = hub.stream().await;
    lines.say(&hello(Vec::new(), Vec::new()));
    lines.say(&offer(1, "a", 5));
    bench.has(Did::Got(1, 5)).await;
    lines
}

#[tokio::test]
async fn the_first_interrupt_finishes_open_work_takes_no_other_and_ends() {
    for is_old in [false, true] {
        let (hub, bench, state) = (Hub::open().await, Bench::default(), tempfile::tempdir().unwrap());
        hub.with(|book| book.is_old = is_old);
        let (worker, asks) = bench.start(&hub, state.path());
        let lines = with_open_work(&hub, &bench).await;
        asks.send(Ask::Leave).unwrap();
        if !is_old {
            until("the proxy is told", || (hub.with(|book| book.drains) == 1).then_some(())).await;
        }
        // A new session is left to others, a follow-up of the open one is not.
        tokio::time::sleep(Duration::from_millis(50)).await;
        lines.say(&offer(2, "b", 1));
        lines.say(&offer(3, "a", 5));
        hub.acked(3, AckState::Accepted).await;
        assert!(!worker.is_finished());
        hub.with(|book| book.refuse_acks = 1);
        bench.let_go("a");
        let ended = tokio::time::timeout(LIMIT, worker).await.unwrap().unwrap();
        assert!(matches!(ended, Ended::Stopped));
        assert!(states(&hub.acks(), 2).is_empty());
        for seq in [1, 3] {
            assert_eq!(
                states(&hub.acks(), seq).last(),
                Some(&AckState::Done),
                "the hub knows before it ends"
            );
        }
    }
}

#[tokio::test]
async fn the_second_interrupt_stops_at_once_and_so_does_the_first_when_nothing_is_open() {
    let (hub, bench, state) = (Hub::open().await, Bench::default(), tempfile::tempdir().unwrap());
    let (worker, asks) = bench.start(&hub, state.path());
    let _lines = with_open_work(&hub, &bench).await;
    asks.send(Ask::Leave).unwrap();
    until("the proxy is told", || (hub.with(|book| book.drains) == 1).then_some(())).await;
    asks.send(Ask::Leave).unwrap();
    assert!(matches!(tokio::time::timeout(LIMIT, worker).await.unwrap().unwrap(), Ended::Stopped));
    assert!(!bench.did().contains(&Did::Handled(1)));

    let other = tempfile::tempdir().unwrap();
    let hub = Hub::open().await;
    let (worker, asks) = Bench::default().start(&hub, other.path());
    hub.stream().await.say(&hello(Vec::new(), Vec::new()));
    asks.send(Ask::Leave).unwrap();
    assert!(matches!(tokio::time::timeout(LIMIT, worker).await.unwrap().unwrap(), Ended::Stopped));
}

#[tokio::test]
async fn work_that_is_open_when_sigterm_comes_goes_on_at_the_next_start() {
    let (hub, bench, state) = (Hub::open().await, Bench::default(), tempfile::tempdir().unwrap());
    let (worker, asks) = bench.start(&hub, state.path());
    let _lines = with_open_work(&hub, &bench).await;
    asks.send(Ask::Stop).unwrap();
    tokio::time::timeout(LIMIT, worker).await.unwrap().unwrap();
    let bench = Bench::default();
    let (_worker, _asks) = bench.start(&hub, state.path());
    hub.stream().await.say(&hello(vec![lease("a", 5, false)], vec![Seq(1)]));
    bench.has(Did::Handled(1)).await;
    assert!(hub.streams() == 2);
}
