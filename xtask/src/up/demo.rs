//! `--demo`: one issue, from Linear's webhook to a commit that git itself finds on the branch.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use shared::session::{SessionRecord, SessionState};
use shared::time::Timestamp;
use testkit::linear::SeedIssue;
use testkit::webhook::{self, AgentSessionWebhooks};
use uuid::Uuid;

use super::follow;
use super::repository::{Repository, git};
use super::system::{Ready, System};

const TITLE: &str = "Show totals in the invoice list";
const DESCRIPTION: &str =
    "Each row of the list has a number and a customer. Add the invoice's total as a third field.";
/// Longest wait for the session to appear in the panel.
const APPEARS: Duration = Duration::from_secs(60);
/// Longest wait for its end.
const ENDS: Duration = Duration::from_secs(30 * 60);

/// Sends the issue, follows the session, checks the commit, tells the result.
///
/// The result goes to stdout, or to stderr where stdout is a program's.
pub async fn run(system: &mut System, ready: &Ready, json: bool) -> Result<()> {
    let begun = Instant::now();
    let logs = system.log_paths();
    send_and_follow(system, ready, begun, json)
        .await
        .with_context(|| format!("the demo did not succeed (logs: {logs})"))
}

async fn send_and_follow(system: &mut System, ready: &Ready, begun: Instant, json: bool) -> Result<()> {
    let (_, repository) = ready.repositories.first().context("there is no repository")?;
    let agent_session = delegate(system, ready).await?;
    let key = &ready.set_up.owner_api_key;
    let session = appears(ready, key, &agent_session).await?;
    system
        .progress
        .say(&format!("  session {}: {}/sessions/{}", session.id, ready.panel.panel_url, session.id));
    let id = session.id.to_string();
    let followed = tokio::time::timeout(ENDS, follow::to_the_end(&ready.panel, key, &id)).await;
    let session =
        followed.with_context(|| format!("session {id} did not end in {} min", ENDS.as_secs() / 60))??;
    tell(system, repository, &session, begun, json);
    if session.status != SessionState::Completed {
        let reason = session.error_message.as_deref().unwrap_or("no reason was recorded");
        bail!("session {id} is {}: {reason}", session.status.as_str());
    }
    check_commit(repository, &session)
}

/// Seeds the issue and sends Linear's webhook of its delegation. Gives the agent session's id.
async fn delegate(system: &mut System, ready: &Ready) -> Result<String> {
    system.kept.demos += 1;
    system.kept.save()?;
    let identifier = format!("DEMO-{}", system.kept.demos);
    let linear = &system.cast()?.linear;
    let issue = linear.seed_issue(SeedIssue {
        id: Some(Uuid::new_v4().to_string()),
        identifier: Some(identifier.clone()),
        title: Some(TITLE.to_owned()),
        description: Some(DESCRIPTION.to_owned()),
        delegate_id: Some(system.kept.linear.app_user_id.clone()),
        ..SeedIssue::default()
    });
    let agent_session = Uuid::new_v4().to_string();
    let kept = &system.kept;
    let webhooks = AgentSessionWebhooks {
        identifier: identifier.clone(),
        title: TITLE.to_owned(),
        description: DESCRIPTION.to_owned(),
        team_id: issue.team_id,
        ..AgentSessionWebhooks::new(
            &kept.linear.organization_id,
            &kept.linear.app_user_id,
            &agent_session,
            &issue.id,
        )
    };
    let now = i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis())?;
    let body = serde_json::to_vec(&webhooks.created_by_delegation(now))?;
    let headers = webhook::headers(&kept.linear_webhook_secret, &body, &Uuid::new_v4().to_string(), now);
    system.progress.say(&format!("  {identifier} \"{TITLE}\" is delegated to the agent"));
    ready.panel.send_webhook(headers, body).await?;
    Ok(agent_session)
}

async fn appears(ready: &Ready, key: &str, agent_session: &str) -> Result<SessionRecord> {
    let deadline = Instant::now() + APPEARS;
    loop {
        let sessions = ready.panel.sessions(key).await?;
        let ours = sessions
            .into_iter()
            .find(|session| session.agent_session_id.as_ref().is_some_and(|id| id.as_str() == agent_session));
        if let Some(session) = ours {
            return Ok(session);
        }
        if Instant::now() > deadline {
            bail!("the session did not appear in the panel within {} s", APPEARS.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn tell(system: &System, repository: &Repository, session: &SessionRecord, begun: Instant, json: bool) {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let claude = system.parts.tools.claude().and_then(|path| version(&path));
    let model = match (&session.model, system.is_scripted()) {
        (_, true) => "scripted: the real claude program talked to a stand-in, no model was asked".to_owned(),
        (Some(model), false) => model.clone(),
        (None, false) => "unknown".to_owned(),
    };
    let text = format!(
        "
  session   {}  {}
  branch    {}  in {}
  commit    {}
  duration  {}  ({:.1} s from the webhook on)
  cost      {} at list price{}
  claude    {}
  model     {model}
",
        session.id,
        session.status.as_str(),
        or_none(&session.branch),
        repository.path.display(),
        or_none(&session.head_commit),
        duration(session.started_at, session.completed_at),
        begun.elapsed().as_secs_f64(),
        session.list_cost_micro_usd,
        if system.is_scripted() { " (of the scripted tokens; nothing was paid)" } else { "" },
        claude.unwrap_or_else(|error| format!("unknown: {error:#}")),
    );
    if json {
        system.progress.say(&text);
    } else {
        println!("{text}");
    }
}

fn duration(from: Option<Timestamp>, to: Option<Timestamp>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => {
            let ms = u32::try_from(to.as_millis() - from.as_millis()).unwrap_or(0);
            format!("{:.1} s", f64::from(ms) / 1000.0)
        }
        _ => "unknown".to_owned(),
    }
}

fn version(claude: &std::path::Path) -> Result<String> {
    let output = std::process::Command::new(claude).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Asks git, not the panel.
fn check_commit(repository: &Repository, session: &SessionRecord) -> Result<()> {
    let branch = session.branch.as_deref().context("the session names no branch")?;
    let commit = session.head_commit.as_deref().context("the session names no commit")?;
    let (folder, base) = (repository.path.as_path(), repository.base_branch.as_str());
    git(folder, ["cat-file", "-e", &format!("{commit}^{{commit}}")])
        .with_context(|| format!("there is no commit {commit} in {}", folder.display()))?;
    git(folder, ["merge-base", "--is-ancestor", commit, &format!("refs/heads/{branch}")])
        .with_context(|| format!("commit {commit} is not on branch {branch}"))?;
    if git(folder, ["merge-base", "--is-ancestor", commit, &format!("refs/heads/{base}")]).is_ok() {
        bail!("commit {commit} was on {base} before; the branch {branch} has nothing new");
    }
    Ok(())
}
