//! The stand-in driven by the typed client that the product uses.

use serde_json::{Value, json};
use shared::id::AgentSessionId;
use shared::linear::activity::{ActivityContent, NewActivity};
use shared::linear::answer::{LinearError, RateLimit, Retry, read};
use shared::linear::operations::{
    self, AgentActivityCreate, AgentSession, AgentSessionUpdate, DelegatedOpenIssues, Issue, IssueUpdate,
    TeamStartedStates, Viewer, agent_session, delegated_open_issues, issue, issue_update,
    team_started_states, viewer,
};
use shared::linear::request::body;
use shared::linear::session::{ExternalUrl, PlanStep, PlanStepStatus, SessionUpdate};
use testkit::linear::{LinearConfig, LinearHandle, LinearStandIn, SeedIssue};
use uuid::Uuid;

use crate::http;

pub(crate) async fn start() -> LinearHandle {
    LinearStandIn::start(LinearConfig::default()).await.expect("a free port")
}

/// Sends one typed operation and reads its answer.
pub(crate) async fn call<Q: graphql_client::GraphQLQuery>(
    linear: &LinearHandle,
    variables: Q::Variables,
) -> Result<Q::ResponseData, LinearError> {
    let answer = http()
        .post(linear.graphql_url())
        .bearer_auth(&linear.config().access_token)
        .header("content-type", "application/json")
        .body(body::<Q>(variables).expect("JSON"))
        .send()
        .await
        .expect("an answer");
    let limit = RateLimit::from_headers(|name| Some(answer.headers().get(name)?.to_str().ok()?.to_owned()));
    assert!(
        limit.requests_remaining.is_some() && limit.complexity.is_some(),
        "each answer has Linear's headers"
    );
    let status = answer.status().as_u16();
    read::<Q>(status, &limit, &answer.bytes().await.expect("a body"))
}

pub(crate) fn thought(session: &str, id: Uuid) -> operations::agent_activity_create::Variables {
    let content = ActivityContent::Thought { body: "On it".into() };
    NewActivity::new(id, AgentSessionId::from(session), content).variables().expect("JSON")
}

#[tokio::test]
async fn the_viewer_is_the_app_user_of_the_configured_workspace() {
    let linear = start().await;
    let viewer = call::<Viewer>(&linear, viewer::Variables {}).await.expect("data").viewer;
    assert_eq!(
        (viewer.id, viewer.organization.id),
        (linear.config().app_user_id.clone(), linear.config().organization_id.clone())
    );
    assert!(viewer.app && viewer.supports_agent_sessions);
}

#[tokio::test]
async fn an_issue_that_nobody_spoke_of_is_a_plain_one_of_that_id() {
    let linear = start().await;
    let id = "c47e9d30-2b68-4f15-90a7-e3d81c5b6f02";
    let found = call::<Issue>(&linear, issue::Variables { id: id.into() }).await.expect("data").issue;
    let again =
        call::<Issue>(&linear, issue::Variables { id: found.issue_parts_identifier() }).await.expect("data");
    assert_eq!(found, again.issue, "the identifier leads to the same issue");
    let parts = serde_json::to_value(linear.issue(id)).expect("JSON");
    assert!(parts["branchName"].as_str().is_some_and(|branch| branch.starts_with("agent/demo-")), "{parts}");
}

trait Identifier {
    fn issue_parts_identifier(&self) -> String;
}

impl Identifier for issue::IssueIssue {
    fn issue_parts_identifier(&self) -> String {
        self.issue_parts.identifier.clone()
    }
}

#[tokio::test]
async fn a_seeded_issue_is_given_with_its_labels_parent_and_project() {
    let linear = start().await;
    let parent = linear.seed_issue(SeedIssue { identifier: Some("ENG-1".into()), ..SeedIssue::default() });
    let seeded = linear.seed_issue(SeedIssue {
        id: Some("c47e9d30-2b68-4f15-90a7-e3d81c5b6f02".into()),
        identifier: Some("ENG-2".into()),
        title: Some("Show totals".into()),
        labels: vec!["feature".into()],
        project: Some("Invoices".into()),
        parent: Some("ENG-1".into()),
        delegate_id: Some(linear.config().app_user_id.clone()),
        ..SeedIssue::default()
    });
    assert_eq!(seeded.branch_name, "agent/eng-2-show-totals");
    let found = call::<Issue>(&linear, issue::Variables { id: "ENG-2".into() })
        .await
        .expect("data")
        .issue
        .issue_parts;
    assert_eq!(found.id, seeded.id);
    assert_eq!(found.labels.nodes[0].name, "feature");
    assert_eq!(found.project.map(|project| project.name).as_deref(), Some("Invoices"));
    let found_parent = found.parent.expect("a parent");
    assert_eq!((found_parent.id, found_parent.branch_name), (parent.id.clone(), parent.branch_name));
    let of_parent = call::<Issue>(&linear, issue::Variables { id: parent.id }).await.expect("data").issue;
    assert_eq!(of_parent.children.nodes[0].identifier, "ENG-2");

    let variables = delegated_open_issues::Variables {
        app_user_id: linear.config().app_user_id.clone(),
        first: 10,
        after: None,
    };
    let open = call::<DelegatedOpenIssues>(&linear, variables).await.expect("data").issues;
    assert_eq!(open.nodes.iter().map(|issue| issue.identifier.as_str()).collect::<Vec<_>>(), ["ENG-2"]);
}

#[tokio::test]
async fn an_issue_moves_to_the_started_state_with_the_lowest_position() {
    let linear = start().await;
    let issue = linear.seed_issue(SeedIssue { identifier: Some("ENG-1".into()), ..SeedIssue::default() });
    let variables = team_started_states::Variables { team_id: issue.team_id };
    let states = call::<TeamStartedStates>(&linear, variables).await.expect("data").team.states.nodes;
    assert!(states.len() > 1 && states.iter().all(|state| state.type_ == "started"));
    let lowest = states.into_iter().min_by(|a, b| a.position.total_cmp(&b.position)).expect("a state");
    assert_eq!(lowest.name, "In Progress");
    let input = issue_update::IssueUpdateInput { state_id: Some(lowest.id.clone()), ..no_change() };
    let updated =
        call::<IssueUpdate>(&linear, issue_update::Variables { id: issue.id, input }).await.expect("data");
    assert_eq!(updated.issue_update.issue.map(|issue| issue.state.id), Some(lowest.id));
}

fn no_change() -> issue_update::IssueUpdateInput {
    issue_update::IssueUpdateInput {
        added_label_ids: None,
        assignee_id: None,
        delegate_id: None,
        description: None,
        label_ids: None,
        parent_id: None,
        priority: None,
        project_id: None,
        removed_label_ids: None,
        state_id: None,
        title: None,
    }
}

#[tokio::test]
async fn an_activity_sent_twice_is_one_activity_and_the_second_answer_counts_as_done() {
    let linear = start().await;
    let id = Uuid::new_v4();
    call::<AgentActivityCreate>(&linear, thought("s", id)).await.expect("created");
    let again = call::<AgentActivityCreate>(&linear, thought("s", id)).await.expect_err("refused");
    assert_eq!(again.retry(0), Retry::Done, "{again}");
    assert_eq!(linear.agent_session("s").activities.len(), 1);
}

#[tokio::test]
async fn what_an_agent_told_can_be_read_back() {
    let linear = start().await;
    let session = AgentSessionId::from("70f3d8b1-c5a2-4e9d-8617-4a2e9b0c5d38");
    let action = ActivityContent::Action {
        action: "Ran".into(),
        parameter: "cargo test".into(),
        result: Some("ok".into()),
    };
    for (content, ephemeral) in [
        (ActivityContent::Thought { body: "Hm".into() }, true),
        (action, false),
        (ActivityContent::Response { body: "Done".into() }, false),
    ] {
        let mut new = NewActivity::new(Uuid::new_v4(), session.clone(), content);
        new.ephemeral = ephemeral;
        call::<AgentActivityCreate>(&linear, new.variables().expect("JSON")).await.expect("created");
    }
    let update = SessionUpdate {
        plan: Some(vec![PlanStep { content: "Read".into(), status: PlanStepStatus::Completed }]),
        add_urls: vec![ExternalUrl { label: "Run".into(), url: "https://example.com/run".into() }],
    };
    call::<AgentSessionUpdate>(&linear, update.variables(&session).expect("JSON")).await.expect("updated");

    let variables = agent_session::Variables { id: session.as_str().into(), first: 50, after: None };
    let read = call::<AgentSession>(&linear, variables).await.expect("data").agent_session;
    assert_eq!(read.activities.nodes.len(), 2, "the replaced thought is gone: {:?}", read.activities.nodes);
    assert_eq!(read.session_parts.status, agent_session::AgentSessionStatus::Complete);
    assert_eq!(read.session_parts.external_links[0].url, "https://example.com/run");

    let shown: Value = http()
        .get(format!("{}/_test/agent-sessions/{session}", linear.url()))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let kinds: Vec<_> =
        shown["activities"].as_array().expect("a list").iter().map(|one| one["type"].clone()).collect();
    assert_eq!(kinds, ["thought", "action", "response"]);
    assert_eq!(shown["activities"][1]["body"], "Ran cargo test ok");
    assert_eq!(shown["plan"], json!([{"content": "Read", "status": "completed"}]));
    assert_eq!(shown["externalUrls"], json!([{"label": "Run", "url": "https://example.com/run"}]));
}

#[tokio::test]
async fn a_wrong_token_is_answered_as_linear_does() {
    let linear = start().await;
    linear.set_access_token("another");
    let error = call::<Viewer>(&linear, viewer::Variables {}).await;
    // `call` shows the token that the stand-in was started with.
    assert!(matches!(error, Err(LinearError::Authentication(_))), "{error:?}");
}

#[tokio::test]
async fn wrong_documents_and_variables_are_refused_with_http_400_and_change_nothing() {
    let linear = start().await;
    let create =
        "mutation($input: AgentActivityCreateInput!) { agentActivityCreate(input: $input) { success } }";
    let content = json!({"type": "thought", "body": "b"});
    for (query, variables, code) in [
        ("query { viewer { nickname } }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("query {", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        (create, json!({}), "GRAPHQL_VALIDATION_FAILED"),
        (create, json!({"input": {"content": content}}), "GRAPHQL_VALIDATION_FAILED"),
        (create, json!({"input": {"agentSessionId": 3, "content": content}}), "GRAPHQL_VALIDATION_FAILED"),
        (
            create,
            json!({"input": {"agentSessionId": "s", "content": content, "x": 1}}),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (create, json!({"input": {"agentSessionId": "s", "content": {"type": "thought"}}}), "INPUT_ERROR"),
        (
            create,
            json!({"input": {"agentSessionId": "s", "content": {"type": "prompt", "body": "b"}}}),
            "INPUT_ERROR",
        ),
        (create, json!({"input": {"agentSessionId": "s s", "content": content}}), "INPUT_ERROR"),
        (create, json!({"input": {"agentSessionId": "s", "content": content, "id": "1"}}), "INPUT_ERROR"),
    ] {
        let answer = http()
            .post(linear.graphql_url())
            .bearer_auth(&linear.config().access_token)
            .json(&json!({"query": query, "variables": variables}))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 400, "{query} {variables}");
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body["errors"][0]["extensions"]["code"], code, "{query} {variables} {body}");
    }
    assert!(linear.agent_session("s").activities.is_empty());
}
