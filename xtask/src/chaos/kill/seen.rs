//! What is to be seen of a session from outside: at Linear, in the panel, at the hub, in git.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use shared::api::Page;
use shared::log_line::LogLine;
use shared::session::SessionRecord;
use shared::status::DeliveryRecord;
use testkit::linear::ActivityView;

use crate::up::panel::Panel;

/// A stream of stored lines is over when nothing more comes for this long.
const IDLE: Duration = Duration::from_millis(700);
/// Longest wait for lines that have to be there.
const LINES: Duration = Duration::from_secs(15);

/// Everything of one session.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its events at the hub, in the order in which they came.
    pub deliveries: Vec<DeliveryRecord>,
    /// What Linear was told, oldest first.
    pub activities: Vec<ActivityView>,
    /// The panel's records of it: there should be one.
    pub records: Vec<SessionRecord>,
    /// The panel's lines.
    pub lines: Vec<LogLine>,
    /// Its work.
    pub work: Work,
}

/// What git says of a session's work.
#[derive(Debug, Clone, Default)]
pub struct Work {
    /// Files under `work/` on the branch.
    pub files: Vec<String>,
    /// Subjects of the branch's own commits.
    pub subjects: Vec<String>,
    /// What is not committed.
    pub dirty: Vec<String>,
    /// Every value that the remote's ref for work in progress had, oldest first; none: there is no such ref.
    pub pushed: Vec<String>,
    /// The tree of that ref.
    pub pushed_tree: Option<String>,
    /// The tree of the branch.
    pub tree: Option<String>,
    /// What git did not tell.
    pub trouble: Option<String>,
}

/// The events of a session, in the hub's order.
pub async fn deliveries(panel: &Panel, key: &str, agent_session: &str) -> Result<Vec<DeliveryRecord>> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?;
    let url = format!("{}/v1/deliveries?agentSessionId={agent_session}&limit=100", panel.proxy_url);
    let answer = client.get(url).bearer_auth(key).send().await?.error_for_status()?;
    let mut items = answer.json::<Page<DeliveryRecord>>().await?.items;
    items.sort_by_key(|item| item.seq);
    Ok(items)
}

/// The panel's records of an agent session.
pub async fn records(panel: &Panel, key: &str, agent_session: &str) -> Result<Vec<SessionRecord>> {
    let all = panel.sessions(key).await?;
    let ours = all
        .into_iter()
        .filter(|record| record.agent_session_id.as_ref().is_some_and(|id| id.as_str() == agent_session));
    let mut whole = Vec::new();
    for record in ours {
        whole.push(panel.session(key, &record.id.to_string()).await?);
    }
    Ok(whole)
}

/// Every line that the panel has of a session; it waits until there are `expected`, or nothing more comes.
pub async fn lines(panel: &Panel, key: &str, id: &str, expected: usize) -> Result<Vec<LogLine>> {
    let mut response = panel.log_stream(key, id, 0).await?;
    let (mut lines, mut pending) = (Vec::new(), Vec::new());
    let deadline = tokio::time::Instant::now() + LINES;
    loop {
        let chunk = match tokio::time::timeout(IDLE, response.chunk()).await {
            Ok(chunk) => chunk?,
            Err(_) if lines.len() >= expected || tokio::time::Instant::now() > deadline => return Ok(lines),
            Err(_) => continue,
        };
        let Some(chunk) = chunk else { bail!("the panel ended the stream of lines") };
        pending.extend_from_slice(&chunk);
        while let Some(end) = pending.windows(2).position(|pair| pair == b"\n\n") {
            let frame: Vec<u8> = pending.drain(..end + 2).collect();
            lines.extend(line(&String::from_utf8_lossy(&frame))?);
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Told {
    Line(LogLine),
    Other(Value),
}

fn line(frame: &str) -> Result<Option<LogLine>> {
    let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if field("event:") != Some("log") {
        return Ok(None);
    }
    match serde_json::from_str(field("data:").context("a log event without data")?)? {
        Told::Line(line) => Ok(Some(line)),
        Told::Other(value) => bail!("a log line of another shape: {value}"),
    }
}

/// What git says of a session that works on `branch` in `worktree`; what came before `base` is not its own.
pub fn work(
    repository: &Path,
    worktree: &Path,
    branch: &str,
    base: &str,
    remote: &Path,
    agent_session: &str,
) -> Work {
    let mut work = Work::default();
    let outcome = (|| {
        let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let head = format!("refs/heads/{branch}");
        work.tree = Some(git(repository, &["rev-parse", &format!("{head}^{{tree}}")])?);
        work.files = lines(git(repository, &["ls-tree", "-r", "--name-only", &head, "work/"])?);
        work.subjects = lines(git(repository, &["log", "--format=%s", &format!("{base}..{head}"), "--"])?);
        work.dirty = lines(git(worktree, &["status", "--porcelain"])?);
        anyhow::Ok(())
    })();
    work.trouble = outcome.err().map(|error| format!("{error:#}"));
    let wip = format!("refs/cyrus/wip/{agent_session}");
    if let Ok(log) = std::fs::read_to_string(remote.join("logs").join(&wip)) {
        work.pushed = log.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect();
        work.pushed_tree = git(remote, &["rev-parse", &format!("{wip}^{{tree}}")]).ok();
    }
    work
}

/// What git prints, trimmed.
pub fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = std::process::Command::new("git");
    command.arg("-C").arg(folder).args(arguments);
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    let output = command.output().context("git did not start")?;
    if !output.status.success() {
        bail!("git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
