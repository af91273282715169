//! Faults that a test sets, the rate limit, and the counts.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::linear::answer::{LinearError, Retry};
use shared::linear::operations::{AgentActivityCreate, Viewer, viewer};
use testkit::linear::{Fault, FaultKind, LinearConfig, LinearStandIn};
use uuid::Uuid;

use crate::http;
use crate::linear_by_our_client::{call, start, thought};

fn fault(kind: FaultKind) -> Fault {
    Fault { operation: Some("AgentActivityCreate".into()), kind, times: 1, delay_ms: 0 }
}

#[tokio::test]
async fn a_fault_hits_its_operation_as_often_as_it_says_and_no_other() {
    let linear = start().await;
    linear.set_fault(Fault { times: 2, ..fault(FaultKind::Http500) });
    call::<Viewer>(&linear, viewer::Variables {}).await.expect("not hit");
    for _ in 0..2 {
        let error =
            call::<AgentActivityCreate>(&linear, thought("s", Uuid::new_v4())).await.expect_err("hit");
        assert!(matches!(error, LinearError::Unavailable { status: 500, .. }), "{error}");
    }
    assert!(linear.agent_session("s").activities.is_empty());
    call::<AgentActivityCreate>(&linear, thought("s", Uuid::new_v4())).await.expect("worn out");
}

#[tokio::test]
async fn each_kind_of_fault_reads_as_what_it_stands_for() {
    let linear = start().await;
    linear.set_fault(fault(FaultKind::RateLimited));
    let error = call::<AgentActivityCreate>(&linear, thought("s", Uuid::new_v4())).await.expect_err("hit");
    assert!(matches!(error, LinearError::RateLimited { reset_ms: Some(_), .. }), "{error}");
    linear.set_fault(fault(FaultKind::Auth));
    let error = call::<AgentActivityCreate>(&linear, thought("s", Uuid::new_v4())).await.expect_err("hit");
    assert_eq!(error.retry(0), Retry::Reauthenticate);
    linear.set_fault(Fault { delay_ms: 150, ..fault(FaultKind::Slow) });
    let begun = Instant::now();
    call::<AgentActivityCreate>(&linear, thought("s", Uuid::new_v4())).await.expect("late but good");
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert_eq!(linear.requests().over_limit, 1);
}

#[tokio::test]
async fn a_dropped_request_does_nothing_and_a_dropped_answer_comes_after_the_effect() {
    let linear = start().await;
    let post = || async {
        let body =
            shared::linear::request::body::<AgentActivityCreate>(thought("s", Uuid::new_v4())).expect("JSON");
        let request = http().post(linear.graphql_url()).bearer_auth(&linear.config().access_token).body(body);
        match request.send().await {
            Ok(answer) => answer.bytes().await.map(|_| ()),
            Err(error) => Err(error),
        }
    };
    linear.set_fault(fault(FaultKind::Drop));
    assert!(post().await.is_err());
    assert_eq!(linear.agent_session("s").activities.len(), 0);
    linear.set_fault(fault(FaultKind::DropAnswer));
    assert!(post().await.is_err());
    assert_eq!(linear.agent_session("s").activities.len(), 1);
}

#[tokio::test]
async fn the_limit_itself_refuses_and_is_counted() {
    let config = LinearConfig { requests_per_hour: 2, ..LinearConfig::default() };
    let linear = LinearStandIn::start(config).await.expect("a free port");
    for _ in 0..2 {
        call::<Viewer>(&linear, viewer::Variables {}).await.expect("within the limit");
    }
    let error = call::<Viewer>(&linear, viewer::Variables {}).await.expect_err("over the limit");
    assert!(matches!(error, LinearError::RateLimited { .. }), "{error}");
    let shown: Value = http()
        .get(format!("{}/_test/requests", linear.url()))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(shown, json!({"requests": 3, "overLimit": 1, "byOperation": {"Viewer": 3}}));
}

#[tokio::test]
async fn faults_and_issues_are_set_over_http_as_well() {
    let linear = start().await;
    let (faults, issues) =
        (format!("{}/_test/faults", linear.url()), format!("{}/_test/issues", linear.url()));
    let set = json!({"operation": "Viewer", "kind": "http_500", "times": 5});
    assert!(http().post(&faults).json(&set).send().await.expect("an answer").status().is_success());
    call::<Viewer>(&linear, viewer::Variables {}).await.expect_err("hit");
    assert!(http().delete(&faults).send().await.expect("an answer").status().is_success());
    call::<Viewer>(&linear, viewer::Variables {}).await.expect("cleared");
    let refused = http().post(&faults).json(&json!({"kind": "explode"})).send().await.expect("an answer");
    assert!(refused.status().is_client_error());
    let seeded: Value = http()
        .post(&issues)
        .json(&json!({"identifier": "ENG-9", "title": "Over HTTP"}))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(seeded["branchName"], "agent/eng-9-over-http");
}
