//! A run in this process: its effects are shown, signals and calls steer it.

use serde_json::json;
use shared::session::SessionState;
use tokio::sync::mpsc;

use super::show;
use crate::cli::failure::Failure;
use crate::cli::say::{Say, Tone};
use crate::control::server::Call;
use crate::control::words::{Reply, Request};
use crate::session::Means;
use crate::worker::leaving;
use crate::worker::standalone::{self, Order, Over, Report, Wish};

/// What the first Ctrl-C is answered with.
pub const STOPPING: &str = "stopping; the work is kept. Ctrl-C again leaves at once";

/// Follows an order to its end.
pub async fn follow(
    means: Means,
    order: Order,
    mut calls: mpsc::UnboundedReceiver<Call>,
    say: Say,
) -> Result<Report, Failure> {
    let (wish, wishes) = mpsc::unbounded_channel();
    let (screen, mut shown) = mpsc::unbounded_channel();
    let mut signals = leaving::listen().map_err(|error| Failure::new(format!("no signals: {error}")))?;
    let mut report = Report::of(order.session.as_str());
    show::begins(say, order.session.as_str(), &order.repository.repository_path, order.goes_on);
    let mut work = std::pin::pin!(standalone::work(means, order, wishes, screen));
    let mut asked = false;
    let over = loop {
        tokio::select! {
            biased;
            Some(effect) = shown.recv() => {
                report.note(&effect);
                show::effect(say, &effect);
            }
            Some(_) = signals.recv() => {
                let next = if asked { Wish::Quit } else { Wish::Stop };
                say.note(say.tint_note(Tone::Warning, if asked { "leaving now" } else { STOPPING }));
                asked = true;
                // It ends at the same moment, if nobody takes the wish.
                let _ = wish.send(next);
            }
            Some(call) = calls.recv() => answer(call, &report.session, &wish),
            over = &mut work => break over?,
        }
    };
    while let Ok(effect) = shown.try_recv() {
        report.note(&effect);
        show::effect(say, &effect);
    }
    close(&mut report, over == Over::Cut);
    Ok(report)
}

/// What a report says of a run that was left as it was.
pub fn close(report: &mut Report, cut: bool) {
    if cut && report.status.is_none_or(|status| !status.is_over()) {
        report.status = Some(SessionState::Stopped);
        report.error.get_or_insert_with(|| "it was left before it had ended".to_owned());
    }
}

fn answer(call: Call, own: &str, wish: &mpsc::UnboundedSender<Wish>) {
    let reply = match call.request {
        Request::Status => Reply::Status {
            status: json!({
                "running": true, "state": "run", "pid": std::process::id(), "session": own,
                "version": env!("CARGO_PKG_VERSION"), "openSessions": 1,
            }),
        },
        Request::Say { session, text } if session == own => wished(wish, Wish::Say(text)),
        Request::StopSession { session } if session == own => wished(wish, Wish::Stop),
        Request::Drain => Reply::Done,
        Request::End => wished(wish, Wish::Quit),
        _ => Reply::Refused {
            why: "a `cyrus run` is at work with this state folder".to_owned(),
            next: "wait for it, or run `cyrus start`, which has several at once".to_owned(),
        },
    };
    let _ = call.replies.send(reply);
}

fn wished(wish: &mpsc::UnboundedSender<Wish>, what: Wish) -> Reply {
    // It ends at the same moment, if nobody takes the wish.
    let _ = wish.send(what);
    Reply::Done
}
