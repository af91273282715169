//! Deliveries: what each is, and when and under which ids it is sent, again and again.

use serde_json::Value;
use testkit::webhook::AgentSessionWebhooks;

use super::Scale;

/// Of a hundred deliveries so many are sent again.
const REPEATED: usize = 30;

/// One thing that happened in Linear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its session.
    pub hooks: AgentSessionWebhooks,
    /// The prompt's activity; none: the session's creation.
    pub activity: Option<String>,
    /// Every time that it is sent, the first among them.
    pub sends: Vec<Send>,
}

/// One sending; it is tried until it is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// In ms from the start.
    pub at: u64,
    /// The delivery id.
    pub id: String,
}

impl Delivery {
    /// What tells it from all others.
    #[cfg(test)]
    pub fn meaning(&self) -> String {
        self.activity.clone().unwrap_or_else(|| self.hooks.agent_session_id.clone())
    }

    /// The body, stamped.
    pub fn body(&self, now_ms: i64) -> Value {
        match &self.activity {
            None => self.hooks.created_by_delegation(now_ms),
            Some(activity) => self.hooks.prompted(activity, "And then?", now_ms),
        }
    }
}

/// Draws all deliveries. The workspace is filled in when it is known.
pub(super) fn draw(dice: &mut fastrand::Rng, scale: Scale) -> Vec<Delivery> {
    let mut sessions: Vec<Vec<Delivery>> = (0..scale.sessions)
        .map(|number| {
            let mut hooks = AgentSessionWebhooks::new("", "", &uuid(dice), &uuid(dice));
            hooks.identifier = format!("CHAOS-{}", number + 1);
            hooks.comment_id = uuid(dice);
            let at = dice.u64(..scale.window * 7 / 10);
            vec![delivery(dice, hooks, false, at)]
        })
        .collect();
    for number in sessions.len()..scale.deliveries {
        // Each session has a prompt before one has a second.
        let index =
            if number < 2 * scale.sessions { number % scale.sessions } else { dice.usize(..scale.sessions) };
        let hooks = sessions[index][0].hooks.clone();
        let at = dice.u64(sessions[index][0].sends[0].at..scale.window);
        let prompt = delivery(dice, hooks, true, at);
        sessions[index].push(prompt);
    }
    for session in &mut sessions {
        let first = session.iter().skip(1).map(|prompt| prompt.sends[0].at).min();
        if let (Some(first), true) = (first, dice.u32(..100) < 20) {
            session[0].sends[0].at = first + dice.u64(100..3_000);
        }
    }
    let mut all: Vec<Delivery> = sessions.into_iter().flatten().collect();
    let mut order: Vec<usize> = (0..all.len()).collect();
    dice.shuffle(&mut order);
    for index in order.into_iter().take(all.len() * REPEATED / 100) {
        let first = all[index].sends[0].clone();
        let after = if dice.u32(..4) == 0 { 0 } else { dice.u64(50..20_000) };
        let id = if dice.u32(..10) < 6 { first.id } else { uuid(dice) };
        all[index].sends.push(Send { at: (first.at + after).min(scale.window), id });
    }
    all
}

fn delivery(dice: &mut fastrand::Rng, hooks: AgentSessionWebhooks, is_prompt: bool, at: u64) -> Delivery {
    let activity = is_prompt.then(|| uuid(dice));
    Delivery { hooks, activity, sends: vec![Send { at, id: uuid(dice) }] }
}

fn uuid(dice: &mut fastrand::Rng) -> String {
    uuid::Builder::from_random_bytes(dice.u128(..).to_be_bytes()).into_uuid().to_string()
}
