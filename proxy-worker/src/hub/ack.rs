//! `POST /acks`: one answer per ack, in order. What an ack may do is in `shared::hub::ack`.

use shared::ack::{Ack, AckState};
use shared::problem::{Problem, ProblemCode};
use worker::{Request, Response};
use worker_shell::failure::Answer;
use worker_shell::{body, clock, random, reply, sql};

use super::Hub;

/// Acks in one request; more are refused, so that one call cannot hold the hub for long.
const MAX_ACKS: usize = 1_000;
/// The largest result of a check, in bytes.
const MAX_RESULT: usize = 4 * 1024;

impl Hub {
    /// Takes a list of acks.
    pub(super) async fn take_acks(&self, mut request: Request) -> Answer<Response> {
        let worker = self.worker_of(&request)?;
        let acks: Vec<Ack> = body::read_json(&mut request, 1024 * 1024).await?;
        if acks.len() > MAX_ACKS {
            let detail = format!("at most {MAX_ACKS} acks in one request; send the rest in another");
            return Err(Problem::new(ProblemCode::InvalidRequest, detail).into());
        }
        let now = clock::now();
        let answers = self.apply(now, |rules| {
            let mut answers = Vec::with_capacity(acks.len());
            for ack in &acks {
                let [random] = if ack.state == AckState::Retry { random::bytes() } else { [0] };
                answers.push(rules.ack(worker, ack, random)?);
                if let (AckState::Done, Some(result)) = (ack.state, &ack.result) {
                    let text = result.to_string();
                    let text = if text.len() > MAX_RESULT {
                        r#"{"error":"the result is too large"}"#.into()
                    } else {
                        text
                    };
                    self.sql().run(
                        "UPDATE events SET result = ? WHERE seq = ? AND worker_id = ? AND result IS NULL",
                        vec![text.into(), sql::int(ack.seq.0)?, worker.to_string().into()],
                    )?;
                }
            }
            rules.fill()?;
            Ok(answers)
        })?;
        self.seen(worker, now)?;
        reply::json(&answers)
    }
}
