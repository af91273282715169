//! A run in the `cyrus` that has the state folder, shown here.

use std::path::Path;

use super::{here, show};
use crate::cli::failure::Failure;
use crate::cli::reach;
use crate::cli::say::{Say, Tone};
use crate::control::client;
use crate::control::words::{Reply, Request, RunRequest};
use crate::worker::leaving;
use crate::worker::standalone::Report;

/// Asks for a run and follows it to its end.
pub async fn follow(state: &Path, request: RunRequest, say: Say) -> Result<Report, Failure> {
    let mut report = Report::of(&request.session);
    let mut signals = leaving::listen().map_err(|error| Failure::new(format!("no signals: {error}")))?;
    show::begins(say, &request.session, &request.folder, request.goes_on);
    let gone = || {
        Failure::new("the cyrus that runs has ended in the middle of it")
            .next("cyrus sessions tells how far it came")
    };
    let called = client::call(state, &Request::Run(Box::new(request))).await;
    let mut talk = called.map_err(|error| reach::unreachable(&error))?.ok_or_else(gone)?;
    let mut asked = false;
    loop {
        tokio::select! {
            reply = talk.next() => match reply.map_err(|error| reach::unreachable(&error))? {
                Some(Reply::Shown { effect }) => {
                    report.note(&effect);
                    show::effect(say, &effect);
                }
                Some(Reply::Over { cut }) => {
                    here::close(&mut report, cut);
                    return Ok(report);
                }
                Some(Reply::Refused { why, next }) => return Err(Failure::new(why).next(next)),
                Some(Reply::Done | Reply::Status { .. }) => {}
                None => return Err(gone()),
            },
            Some(_) = signals.recv() => {
                let next = if asked { Request::End } else { Request::Stop };
                say.note(say.tint_note(Tone::Warning, if asked { "leaving now" } else { here::STOPPING }));
                asked = true;
                talk.send(&next).await.map_err(|error| reach::unreachable(&error))?;
            }
        }
    }
}
