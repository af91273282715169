//! Log lines: stored once, seen once and in order, live and over reconnects.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::sse::{Sse, numbers};
use e2e::system::System;
use serde_json::{Value, json};

use crate::held::{Held, line};

const SOON: Duration = Duration::from_secs(15);

/// What a new viewer gets of the first lines.
async fn stored(system: &System, id: &str, last: u64) -> Result<Vec<Value>> {
    Sse::watch(system, id, None).await?.lines_up_to(last, SOON).await
}

fn range(from: u64, to: u64) -> Vec<u64> {
    (from..=to).collect()
}

pub async fn lines_posted_twice_are_stored_once(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    held.post_numbers(1..=5).await?;
    held.post_numbers(1..=5).await?;
    // Overlapping, with other words: what is stored stays.
    let again: Vec<Value> = (3..=8).map(|seq| line(seq, "other words")).collect();
    let answer = held.post_lines(&again).await?;
    assert_eq!((answer.status, &answer.body["upTo"]), (200, &json!(8)), "{answer:?}");
    // Old ones alone are confirmed too.
    assert_eq!(held.post_lines(&[line(2, "late")]).await?.body["upTo"], 8);
    let lines = stored(&system, &held.id, 8).await?;
    assert_eq!(numbers(&lines), range(1, 8));
    for (index, line) in lines.iter().enumerate() {
        let expected = if index < 5 { format!("line {}", index + 1) } else { "other words".to_owned() };
        assert_eq!(line["message"], expected.as_str());
    }
    assert_eq!(system.owner_get(&format!("/api/sessions/{}", held.id)).await?["nextSeq"], 9);
    held.finish().await
}

pub async fn a_viewer_gets_what_is_stored_and_then_what_comes_live(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    held.post_numbers(1..=3).await?;
    let mut viewer = Sse::watch(&system, &held.id, None).await?;
    assert_eq!(numbers(&viewer.lines_up_to(3, SOON).await?), [1, 2, 3]);
    for seq in 4..=8 {
        let begun = Instant::now();
        // The post is answered once the line is in D1; the viewer need not wait for that.
        let (posted, seen) = tokio::join!(held.post_numbers([seq]), viewer.lines_up_to(seq, SOON));
        posted?;
        assert_eq!(numbers(&seen?), [seq]);
        assert!(begun.elapsed() < Duration::from_secs(2), "line {seq} took {:?}", begun.elapsed());
    }
    held.finish().await
}

pub async fn a_viewer_that_comes_back_gets_each_line_once_and_in_order(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    held.post_numbers(1..=10).await?;
    let mut seen = Vec::new();
    for stop in [4, 7, 10, 13, 20] {
        if stop > 10 {
            let next = *seen.last().context("lines")? + 1;
            held.post_numbers(next..=stop + 2).await?;
        }
        // It goes away in the middle of what it is sent; `Last-Event-ID` is the last line that it got.
        let mut viewer = Sse::watch(&system, &held.id, seen.last().copied()).await?;
        seen.extend(numbers(&viewer.lines_up_to(stop, SOON).await?));
    }
    assert_eq!(seen, range(1, 20));
    // From the end there is nothing old, and the next line comes.
    let mut viewer = Sse::watch(&system, &held.id, Some(22)).await?;
    held.post_numbers([23]).await?;
    assert_eq!(numbers(&viewer.lines_up_to(23, SOON).await?), [23]);
    held.finish().await
}

pub async fn forty_batches_under_many_viewers_are_seen_once_and_in_order_by_each(
    system: Arc<System>,
) -> Result<()> {
    let held = Held::new(&system).await?;
    let id = held.id.clone();
    let watch = |from: u64| {
        let (system, id) = (Arc::clone(&system), id.clone());
        async move {
            let after = if from == 0 { None } else { Some(from) };
            let mut viewer = Sse::watch(&system, &id, after).await?;
            anyhow::Ok(numbers(&viewer.lines_up_to(400, Duration::from_secs(60)).await?))
        }
    };
    let post = async {
        for batch in 0..40 {
            held.post_numbers(batch * 10 + 1..=batch * 10 + 10).await?;
        }
        anyhow::Ok(())
    };
    let late = async {
        tokio::task::yield_now().await;
        watch(0).await
    };
    let (posted, one, two, three, late) = tokio::join!(post, watch(0), watch(0), watch(57), late);
    posted?;
    assert_eq!(one?, range(1, 400));
    assert_eq!(two?, range(1, 400));
    assert_eq!(three?, range(58, 400));
    assert_eq!(late?, range(1, 400));
    held.finish().await
}

pub async fn a_lost_range_is_told_by_a_gap(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    held.post_numbers(1..=3).await?;
    let mut live = Sse::watch(&system, &held.id, None).await?;
    live.lines_up_to(3, SOON).await?;
    held.post_numbers(7..=8).await?;
    let stored = Sse::watch(&system, &held.id, Some(2)).await?;
    for (what, mut viewer, before) in [("live", live, vec![]), ("stored", stored, vec![3])] {
        for seq in before {
            assert_eq!(viewer.next(SOON).await?.context("ended")?.id, Some(seq), "{what}");
        }
        let gap = viewer.next(SOON).await?.context("ended")?;
        assert_eq!(
            (gap.name.as_str(), gap.id, &gap.data),
            ("gap", None, &json!({"from": 4, "to": 6})),
            "{what}"
        );
        assert_eq!(numbers(&viewer.lines_up_to(8, SOON).await?), [7, 8], "{what}");
    }
    held.finish().await
}

pub async fn a_line_cannot_break_out_of_its_event(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    let nasty = [
        "a\n\nevent: gap\ndata: {\"from\":1,\"to\":9}\n\n",
        "\r\nid: 999\r\n",
        "\u{2028}\u{2029}\u{0}\u{7f}",
        "data: x",
        &"long ".repeat(50_000),
    ];
    let lines: Vec<Value> = nasty.iter().zip(1..).map(|(text, seq)| line(seq, text)).collect();
    let mut live = Sse::watch(&system, &held.id, None).await?;
    assert_eq!(held.post_lines(&lines).await?.status, 200);
    for viewer in [&mut live, &mut Sse::watch(&system, &held.id, None).await?] {
        let seen = viewer.lines_up_to(nasty.len() as u64, SOON).await?;
        let texts: Vec<&str> = seen.iter().filter_map(|line| line["message"].as_str()).collect();
        assert_eq!(texts, nasty);
    }
    held.finish().await
}

pub async fn lines_that_are_not_numbered_in_order_are_refused(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    let cases = [
        vec![],
        vec![line(0, "x")],
        vec![line(2, "x"), line(1, "x")],
        vec![line(1, "x"), line(1, "x")],
        vec![json!({"seq": 1})],
        vec![json!(1)],
    ];
    for lines in cases {
        held.post_lines(&lines).await?.assert_refused(&json!(lines).to_string(), 400, "invalid_request");
    }
    let mut unknown = line(1, "x");
    unknown["level"] = json!("shouted");
    held.post_lines(&[unknown]).await?.assert_refused("an unknown level", 400, "invalid_request");
    assert_eq!(system.owner_get(&format!("/api/sessions/{}", held.id)).await?["nextSeq"], 1);
    held.finish().await
}

pub async fn viewers_hear_that_the_session_changed(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    held.post_numbers([1]).await?;
    let mut viewer = Sse::watch(&system, &held.id, None).await?;
    viewer.lines_up_to(1, SOON).await?;
    for state in ["running", "completed"] {
        assert_eq!(held.update(held.token, json!({"status": state})).await?.status, 200);
        let event = viewer.next(SOON).await?.context("ended")?;
        assert_eq!((event.name.as_str(), event.id, &event.data["status"]), ("session", None, &json!(state)));
    }
    held.finish().await
}

pub async fn confirmed_lines_outlive_workerd_and_numbering_goes_on(system: Arc<System>) -> Result<()> {
    let held = Held::new(&system).await?;
    held.post_numbers(1..=6).await?;
    // The second batch is confirmed and not yet old when the machine goes away.
    held.post_numbers(7..=9).await?;
    system.kill_workerd().await?;
    let shown = held.show_lease(held.token).await?;
    assert_eq!((shown.status, &shown.body["nextSeq"]), (200, &json!(10)), "{shown:?}");
    assert_eq!(numbers(&stored(&system, &held.id, 9).await?), range(1, 9));
    // What the edge could not know to be confirmed it posts again.
    held.post_numbers(8..=12).await?;
    assert_eq!(numbers(&stored(&system, &held.id, 12).await?), range(1, 12));
    assert_eq!(system.owner_get(&format!("/api/sessions/{}", held.id)).await?["nextSeq"], 13);
    held.finish().await
}
