//! In which repository a session works: chosen by the router, by the session's own past, or by the person.

use shared::activity_id::{Step, activity_id};
use shared::event::{AgentSession, EventBody};
use shared::route::assignment::Assignment;
use shared::route::choice::chosen;
use shared::session::{SessionState, SessionUpdate};

use super::route;
use super::{Means, prompt};
use crate::config::RepositoryConfig;
use crate::journal::effect::Effect;
use crate::journal::event::Taken;
use crate::journal::session::Remembered;

/// Where to work.
#[derive(Debug)]
pub enum Place {
    /// In this repository; `wanted` is what the person asked for before they were asked where.
    Here {
        /// The repository.
        repository: Box<RepositoryConfig>,
        /// The earlier request.
        wanted: Option<String>,
    },
    /// The person must say where.
    Ask,
    /// The question is out already, and this event does not answer it.
    Asked,
    /// No repository here can be meant.
    Nowhere,
}

/// Finds it.
pub async fn find(means: &Means, taken: &Taken, remembered: &Remembered) -> Place {
    let settings = means.config.now();
    let repositories = &settings.repositories;
    let known = |name: &Option<String>| {
        let name = name.as_deref()?;
        repositories.iter().find(|config| config.name == name).cloned()
    };
    let here = |repository| Place::Here { repository: Box::new(repository), wanted: None };
    let body = &taken.event.body;
    let message = match body {
        EventBody::SessionPrompted { text, .. } => Some(text.as_str()),
        _ => None,
    };
    if remembered.asked.is_some() || taken.ask {
        let Some(text) = message else {
            return if remembered.asked.is_some() { Place::Asked } else { ask(body, repositories) };
        };
        let remotes = route::all_remotes(repositories).await;
        let found =
            chosen(&route::rules(repositories, &remotes), text).and_then(|place| repositories.get(place));
        return match found {
            Some(repository) => {
                Place::Here { repository: Box::new(repository.clone()), wanted: remembered.asked.clone() }
            }
            None => ask(body, repositories),
        };
    }
    let assigned = || {
        let assignment = Assignment::read(taken.repository.as_deref()?);
        let first = assignment.repositories.into_iter().next()?;
        let config = known(&Some(first.name))?;
        // Git looks at the branch's name before it is used.
        Some(RepositoryConfig { base_branch: first.base.or(config.base_branch.clone()), ..config })
    };
    match known(&remembered.repository).or_else(assigned) {
        Some(repository) => here(repository),
        None => {
            settings.repository_for(taken.event.workspace_id.as_str()).cloned().map_or(Place::Nowhere, here)
        }
    }
}

fn ask(body: &EventBody, repositories: &[RepositoryConfig]) -> Place {
    if repositories.is_empty() || body.agent_session().local { Place::Nowhere } else { Place::Ask }
}

/// What is said when no repository can be meant.
pub const NOWHERE: &str = "no repository on this worker is meant by it; name one of its repositories, or add this one to `repositories` in its configuration";

/// The question, and the words to remember until it is answered.
pub async fn question(
    means: &Means,
    taken: &Taken,
    session: &AgentSession,
    remembered: &Remembered,
) -> (String, Vec<Effect>) {
    let settings = means.config.now();
    let repositories = &settings.repositories;
    let again = remembered.asked.is_some();
    let wanted = remembered.asked.clone().unwrap_or_else(|| prompt::begin(&taken.event.body, true));
    let remotes = route::all_remotes(repositories).await;
    let options: Vec<String> = repositories
        .iter()
        .enumerate()
        .map(|(place, config)| match remotes.get(place).and_then(Option::as_deref) {
            Some(remote) => format!("https://{remote}"),
            None => config.name.clone(),
        })
        .collect();
    let names: Vec<&str> = repositories.iter().map(|config| config.name.as_str()).collect();
    let begin = if again {
        "I did not find the repository that you named."
    } else {
        "No rule says which repository this is for."
    };
    let body = format!("{begin} Which one do you mean: {}?", names.join(", "));
    let update = SessionUpdate {
        token: taken.token,
        status: Some(SessionState::AwaitingInput),
        ..SessionUpdate::default()
    };
    let id = activity_id(&session.id, taken.seq, Step::Final);
    (wanted, vec![Effect::UpdateSession(Box::new(update)), Effect::Question { id, body, options }])
}
