//! Provider tokens: sealed in the hub's table, handed to worker keys alone.

use serde::Deserialize;
use shared::envelope::{Keyring, Place};
use shared::hub::call::LinearConnection;
use shared::problem::{Problem, ProblemCode};
use shared::worker::AccessToken;
use worker::{Request, Response};
use worker_shell::failure::{Answer, Failure};
use worker_shell::{body, credential, log, random, reply};

use super::Hub;

impl Hub {
    /// `POST /connections/linear`.
    pub(super) async fn connect_linear(&self, mut request: Request) -> Answer<Response> {
        let connection: LinearConnection = body::read_json(&mut request, 64 * 1024).await?;
        let workspace = connection.workspace_id.as_str();
        let envelope =
            self.keyring()?.seal(place(workspace), connection.authorization.as_bytes(), random::bytes())?;
        self.sql().run(
            "INSERT INTO connections (provider, workspace_id, envelope, app_user_id) VALUES ('linear', ?, ?, ?)
             ON CONFLICT (provider, workspace_id) DO UPDATE SET envelope = excluded.envelope, app_user_id = excluded.app_user_id",
            vec![workspace.into(), envelope.into(), connection.app_user_id.into()],
        )?;
        log::info("connection.stored", &[("provider", "linear"), ("workspace", workspace)]);
        reply::json(&serde_json::json!({ "connected": true }))
    }

    /// `GET /tokens/linear`: audited by a log line that names the worker key's hash in short.
    pub(super) fn linear_token(&self, request: &Request) -> Answer<Response> {
        let key = self.key_of(request)?;
        let url = request.url()?;
        let asked = url.query_pairs().find(|(name, _)| name == "workspaceId").map(|(_, value)| value);
        let token = self.open_linear(asked.as_deref())?.ok_or_else(|| {
            Failure::from(Problem::new(
                ProblemCode::NotConnected,
                if asked.is_some() {
                    "this Linear workspace is not connected; run `cargo xtask connect linear`"
                } else {
                    "no Linear workspace is connected; run `cargo xtask connect linear`"
                },
            ))
        })?;
        let short: String = key.chars().take(8).collect();
        log::info("token.handed_out", &[("provider", "linear"), ("key", &short)]);
        reply::json(&token)
    }

    /// The credential of a workspace, or of the only one.
    pub(super) fn open_linear(&self, workspace: Option<&str>) -> Answer<Option<AccessToken>> {
        #[derive(Deserialize)]
        struct Row {
            workspace_id: String,
            envelope: String,
        }
        let row: Option<Row> = self.sql().first(
            "SELECT workspace_id, envelope FROM connections WHERE provider = 'linear' AND (?1 IS NULL OR workspace_id = ?1) LIMIT 1",
            vec![workspace.map(str::to_owned).into()],
        )?;
        let Some(row) = row else { return Ok(None) };
        let secret = self.keyring()?.open(place(&row.workspace_id), &row.envelope)?;
        let authorization =
            String::from_utf8(secret).map_err(|_| Failure::internal("the stored credential is not text"))?;
        let api_url = credential::setting(&self.env, "LINEAR_API_URL");
        Ok(Some(AccessToken { authorization, api_url, workspace_id: row.workspace_id }))
    }

    fn keyring(&self) -> Answer<Keyring> {
        let keys = credential::setting(&self.env, "ENCRYPTION_KEYS").unwrap_or_default();
        Ok(Keyring::parse(&keys)?)
    }
}

fn place(workspace: &str) -> Place<'_> {
    Place { table: "connections", row: workspace, column: "linear" }
}
