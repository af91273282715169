//! What the operator sets up by `cargo xtask connect linear`: a workspace and its credential.
//!
//! Open only to the set-up token. The credential is sealed in the hub; here it is only passed on.

use serde::{Deserialize, Serialize};
use shared::hub::call::LinearConnection;
use shared::id::OrgId;
use worker::{Env, Request, Response};
use worker_shell::failure::Answer;
use worker_shell::{body, credential, reply};

use crate::{directory, hub_stub};

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Connect {
    organization_id: OrgId,
    #[serde(flatten)]
    connection: LinearConnection,
}

/// `PUT /setup/linear`.
pub async fn connect_linear(mut request: Request, env: &Env) -> Answer<Response> {
    credential::require_setup_token(&request, env)?;
    let connect: Connect = body::read_json(&mut request, 64 * 1024).await?;
    let workspace = connect.connection.workspace_id.clone();
    let _: serde_json::Value =
        hub_stub::post(env, connect.organization_id, "/connections/linear", &connect.connection).await?;
    directory::assign(env, &workspace, connect.organization_id).await?;
    reply::json(&serde_json::json!({ "workspaceId": workspace, "organizationId": connect.organization_id }))
}
