//! `connect linear`: gives a deployed proxy a Linear workspace, after trying the credential.
//!
//! The credential and the set-up token come by stdin or the environment, never as arguments, which other
//! programs of the machine can read.

use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Client;
use serde_json::{Value, json};
use shared::linear::request;

/// Connect an outside service
#[derive(clap::Subcommand)]
pub enum Command {
    Linear(Linear),
}

/// Give the proxy a Linear workspace
///
/// Tries the credential at Linear first, then hands it to the proxy, which keeps it encrypted. The set-up token is
/// read from SETUP_TOKEN. The credential is one of: an API key on stdin (--api-key-stdin) or in LINEAR_API_KEY, or
/// an OAuth application's client credentials in LINEAR_OAUTH_CLIENT_ID and LINEAR_OAUTH_CLIENT_SECRET.
#[derive(clap::Args)]
#[command(after_help = "Example:
  SETUP_TOKEN=… cargo xtask connect linear --proxy-url https://cyrus-proxy.example.workers.dev \\
    --organization org_01… --api-key-stdin < key.txt")]
pub struct Linear {
    /// The proxy's address
    #[arg(long, value_name = "URL")]
    proxy_url: String,
    /// The organization's id, as the panel's set-up answered it
    #[arg(long, value_name = "org_…")]
    organization: String,
    /// The workspace's id; refused when the credential is of another one [default: the credential's own]
    #[arg(long, value_name = "ID")]
    workspace: Option<String>,
    /// Read the API key from stdin
    #[arg(long)]
    api_key_stdin: bool,
    /// Where Linear's API is
    #[arg(long, value_name = "URL", default_value = request::ENDPOINT)]
    linear_url: String,
    /// Where Linear gives tokens for client credentials
    #[arg(long, value_name = "URL", default_value = "https://api.linear.app/oauth/token")]
    linear_token_url: String,
}

/// Linear separates scopes by commas; asking for other scopes ends an application's earlier tokens.
const CLIENT_CREDENTIALS: &str =
    "grant_type=client_credentials&scope=read%2Cwrite%2Capp%3Aassignable%2Capp%3Amentionable";

/// What Linear says about a credential.
#[derive(Debug, PartialEq, Eq)]
struct Viewer {
    id: String,
    name: String,
    workspace: String,
    workspace_name: String,
}

/// Connects.
pub fn run(command: &Command) -> Result<ExitCode> {
    let Command::Linear(linear) = command;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(connect(linear))
}

async fn connect(linear: &Linear) -> Result<ExitCode> {
    let setup_token = variable("SETUP_TOKEN")
        .context("set SETUP_TOKEN to the set-up token that both Workers were deployed with")?;
    let http = Client::builder().timeout(Duration::from_secs(30)).build()?;
    let authorization = authorization(&http, linear).await?;
    let viewer = viewer(&http, &linear.linear_url, &authorization).await?;
    eprintln!("Linear knows this credential as {} of {}", viewer.name, viewer.workspace_name);
    if let Some(wanted) = &linear.workspace
        && *wanted != viewer.workspace
    {
        bail!(
            "this credential is of workspace {}, not of {wanted}; use another credential, or leave --workspace out",
            viewer.workspace
        );
    }
    let connection = json!({
        "organizationId": linear.organization,
        "workspaceId": viewer.workspace,
        "authorization": authorization,
        "appUserId": viewer.id,
    });
    let url = format!("{}/setup/linear", linear.proxy_url.trim_end_matches('/'));
    let response = http.put(&url).bearer_auth(setup_token).json(&connection).send().await;
    let response = response.with_context(|| format!("no answer from {url}; is --proxy-url right?"))?;
    let (status, text) = (response.status(), response.text().await.unwrap_or_default());
    if !status.is_success() {
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        bail!("{url} answered {status}: {}", problem["detail"].as_str().unwrap_or("it is not a Cyrus proxy"));
    }
    println!("connected workspace {} to {}", viewer.workspace, linear.organization);
    Ok(ExitCode::SUCCESS)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// What goes into the `Authorization` header.
async fn authorization(http: &Client, linear: &Linear) -> Result<String> {
    if linear.api_key_stdin {
        let mut key = String::new();
        std::io::stdin().lock().take(4096).read_to_string(&mut key).context("stdin cannot be read")?;
        return header(key.trim());
    }
    if let Some(key) = variable("LINEAR_API_KEY") {
        return header(&key);
    }
    let client = variable("LINEAR_OAUTH_CLIENT_ID").zip(variable("LINEAR_OAUTH_CLIENT_SECRET"));
    let (id, secret) = client.context(
        "no credential: give an API key on stdin with --api-key-stdin or in LINEAR_API_KEY, or set LINEAR_OAUTH_CLIENT_ID and LINEAR_OAUTH_CLIENT_SECRET",
    )?;
    let response = http
        .post(&linear.linear_token_url)
        .basic_auth(id, Some(secret))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(CLIENT_CREDENTIALS)
        .send()
        .await
        .context("Linear gave no answer about the client credentials")?;
    let status = response.status();
    let answer: Value = response.json().await.unwrap_or_default();
    match answer["access_token"].as_str() {
        Some(token) if status.is_success() => Ok(format!("Bearer {token}")),
        _ => bail!(
            "Linear refused the client credentials ({status}: {}); check the id and the secret, and that the application allows client credentials",
            answer["error"].as_str().unwrap_or("no reason given")
        ),
    }
}

/// A personal API key goes in as it is, an access token as Bearer.
fn header(key: &str) -> Result<String> {
    if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c.is_control()) {
        bail!("the key on stdin must be one word; as in `… --api-key-stdin < key.txt`");
    }
    Ok(if key.starts_with("lin_api_") { key.to_owned() } else { format!("Bearer {key}") })
}

async fn viewer(http: &Client, url: &str, authorization: &str) -> Result<Viewer> {
    let body = json!({"query": request::document("Viewer"), "operationName": "Viewer", "variables": {}});
    let response = http.post(url).header("authorization", authorization).json(&body).send().await;
    let response = response.with_context(|| format!("no answer from Linear at {url}"))?;
    let status = response.status();
    let answer: Value = response.json().await.unwrap_or_default();
    read_viewer(&answer).with_context(|| {
        let told = answer["errors"][0]["message"].as_str().unwrap_or("no reason given");
        format!("Linear did not take the credential ({status}: {told})")
    })
}

fn read_viewer(answer: &Value) -> Option<Viewer> {
    let viewer = answer.get("data")?.get("viewer")?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let organization = viewer.get("organization")?;
    Some(Viewer {
        id: text(viewer.get("id")?)?,
        name: viewer.get("name").and_then(text).unwrap_or_default(),
        workspace: text(organization.get("id")?)?,
        workspace_name: organization.get("name").and_then(text).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use testkit::linear::{LinearConfig, LinearStandIn};

    use super::*;

    #[test]
    fn an_api_key_goes_in_bare_and_a_token_as_bearer() {
        assert_eq!(header("lin_api_x").unwrap(), "lin_api_x");
        assert_eq!(header("lin_oauth_x").unwrap(), "Bearer lin_oauth_x");
        for bad in ["", "two words", "a\nb"] {
            assert!(header(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn linear_is_asked_whose_credential_it_is_and_a_wrong_one_is_refused() {
        // There is one already when another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let linear = LinearStandIn::start(LinearConfig::default()).await.unwrap();
        let http = Client::builder().no_proxy().build().unwrap();
        let right = format!("Bearer {}", linear.config().access_token);
        let viewer = super::viewer(&http, &linear.graphql_url(), &right).await.unwrap();
        assert_eq!(viewer.id, linear.config().app_user_id);
        assert_eq!(viewer.workspace, linear.config().organization_id);
        let wrong = super::viewer(&http, &linear.graphql_url(), "Bearer wrong").await;
        assert!(wrong.unwrap_err().to_string().contains("did not take the credential"));
    }
}
