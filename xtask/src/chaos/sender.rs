//! Linear's part: sends each delivery at its time, and again with pauses until it is taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::Value;
use testkit::webhook;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::plan::delivery::Delivery;

/// One sending is given up after this: the hub must be back long before.
const PATIENCE: Duration = Duration::from_secs(180);
/// Requests on their way at once. Without a bound, what waits for a dead workerd would fall on the next one all
/// at once, time out, and fall on it again.
const AT_ONCE: usize = 12;

/// Where it sends and as whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// `…/webhooks/linear`.
    pub url: String,
    /// Signs.
    pub secret: String,
    /// The workspace's id.
    pub workspace: String,
    /// The agent's user.
    pub app_user: String,
}

/// What it was answered.
#[derive(Debug, Default)]
pub struct Answers {
    /// Taken as new.
    pub stored: AtomicU64,
    /// Taken as a repeat.
    pub duplicate: AtomicU64,
    /// No answer, 429 or 5xx: sent again.
    pub again: AtomicU64,
    /// Any other status.
    pub refused: AtomicU64,
    /// Given up.
    pub never_taken: AtomicU64,
}

/// Sends everything; returns when all is taken.
pub async fn run(deliveries: &[Delivery], target: &Target, begun: Instant) -> Result<Arc<Answers>> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
    let answers = Arc::new(Answers::default());
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let mut sendings = JoinSet::new();
    for (number, delivery) in deliveries.iter().enumerate() {
        for (turn, send) in delivery.sends.iter().enumerate() {
            let (client, target, answers) = (client.clone(), target.clone(), Arc::clone(&answers));
            let at_once = Arc::clone(&at_once);
            let (mut delivery, send) = (delivery.clone(), send.clone());
            delivery.hooks.organization_id.clone_from(&target.workspace);
            delivery.hooks.app_user_id.clone_from(&target.app_user);
            let dice = fastrand::Rng::with_seed((number * 2 + turn) as u64);
            sendings.spawn(async move {
                tokio::time::sleep_until(begun + Duration::from_millis(send.at)).await;
                until_taken(&client, &target, &delivery, &send.id, dice, &answers, &at_once).await;
            });
        }
    }
    while sendings.join_next().await.is_some() {}
    Ok(answers)
}

async fn until_taken(
    client: &reqwest::Client,
    target: &Target,
    delivery: &Delivery,
    id: &str,
    mut dice: fastrand::Rng,
    answers: &Answers,
    at_once: &Semaphore,
) {
    let begun = Instant::now();
    let made = now_ms();
    while begun.elapsed() < PATIENCE {
        let permit = at_once.acquire().await;
        let mut body = delivery.body(made);
        body["webhookTimestamp"] = now_ms().into();
        let body = body.to_string().into_bytes();
        let mut request = client.post(&target.url);
        for (name, value) in webhook::headers(&target.secret, &body, id, now_ms()) {
            request = request.header(name, value);
        }
        let answer = request.body(body).send().await;
        let column = match answer.map(|answer| (answer.status().as_u16(), answer)) {
            Ok((200, answer)) => match answer.json::<Value>().await {
                Ok(answer) if answer["status"] == "stored" => &answers.stored,
                Ok(answer) if answer["status"] == "duplicate" => &answers.duplicate,
                Ok(_) => &answers.refused,
                // The answer broke off: nobody knows, so it is sent again.
                Err(_) => &answers.again,
            },
            Ok((429 | 500.., _)) | Err(_) => &answers.again,
            Ok((_, _)) => &answers.refused,
        };
        drop(permit);
        column.fetch_add(1, Ordering::Relaxed);
        if !std::ptr::eq(column, &answers.again) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(dice.u64(200..1_500))).await;
    }
    answers.never_taken.fetch_add(1, Ordering::Relaxed);
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
