//! The stand-in driven by Linear's own SDK, so that it is not only our client that finds it right.

use std::process::Stdio;

use serde_json::{Value, json};
use testkit::linear::SeedIssue;

use crate::installed::{module, node, root};
use crate::linear_by_our_client::{call, start};

#[tokio::test]
async fn linears_own_sdk_reads_and_writes_through_the_stand_in() {
    if module("@linear/sdk", "the official SDK against the stand-in").is_none() {
        return;
    }
    let linear = start().await;
    let issue = linear.seed_issue(SeedIssue {
        identifier: Some("ENG-774".into()),
        title: Some("Show totals".into()),
        labels: vec!["feature".into()],
        ..SeedIssue::default()
    });
    use shared::linear::operations::{TeamStartedStates, team_started_states};
    let variables = team_started_states::Variables { team_id: issue.team_id.clone() };
    let states = call::<TeamStartedStates>(&linear, variables).await.expect("data").team.states.nodes;
    let session = "70f3d8b1-c5a2-4e9d-8617-4a2e9b0c5d38";

    let output = tokio::process::Command::new(node())
        .arg(root().join("testkit/sdk/linear-sdk.mjs"))
        .args([&linear.graphql_url(), &linear.config().access_token, "ENG-774", session, &states[0].id])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("node starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).expect("one JSON line");

    assert_eq!(told["viewer"], json!({"id": linear.config().app_user_id, "app": true}));
    assert_eq!(told["issue"]["id"], issue.id.as_str());
    assert_eq!(told["issue"]["branchName"], "agent/eng-774-show-totals");
    assert_eq!(told["issue"]["labels"].as_array().map(Vec::len), Some(1));
    assert_eq!(told["created"]["success"], true);
    assert_eq!(told["created"]["id"], told["created"]["wanted"]);
    let twice = told["createdTwice"]["message"].as_str().unwrap_or_default();
    assert!(twice.contains("already exists"), "{told}");
    for refusal in ["badContent", "unknownIssue"] {
        assert_eq!(told[refusal]["type"], "InvalidInput", "{refusal}: {told}");
    }
    assert_eq!(told["invalid"]["type"], "GraphqlError", "{told}");
    assert_eq!(told["wrongToken"]["type"], "AuthenticationError", "{told}");
    assert_eq!((&told["updatedSession"], &told["updatedIssue"]), (&json!(true), &json!(true)));
    assert_eq!(told["session"]["status"], "complete");
    assert_eq!(told["session"]["plan"], json!([{"content": "Read", "status": "completed"}]));
    assert_eq!(told["session"]["links"], json!(["https://example.com/run"]));
    assert_eq!(told["activity"]["body"], "On it");
    assert_eq!(told["state"], json!({"id": states[0].id, "type": "started"}));
    let mut types: Vec<_> = told["activities"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["type"].as_str())
        .collect();
    types.sort_unstable();
    assert_eq!(types, ["action", "response", "thought"]);
    assert_eq!(linear.agent_session(session).activities.len(), 3, "the second create stored nothing");
}
