//! A question of the agent, and its answer by a person.

use super::super::stage::{Stage, created, prompted};
use super::states;

#[tokio::test]
async fn a_question_of_the_agent_is_asked_in_linear_and_the_reply_answers_it() {
    let mut stage = Stage::new("asks").await;
    let task = stage.begin(created(1)).await;
    stage.until("the question", |stage| !stage.texts("elicitation").is_empty()).await;
    assert_eq!(stage.texts("elicitation"), ["Which?\n1. red\n2. blue"]);
    stage.until("the panel to know", |stage| states(stage) == ["awaiting_input"]).await;
    stage.go_on(&task, prompted(2, "blue")).await;
    stage.until_done(&[1, 2]).await;
    let (tree, _) = stage.prompt().unwrap_or_default();
    let reply = std::fs::read_to_string(tree.join("reply.json")).unwrap();
    assert!(reply.contains(r#""answers":{"Which?":"blue"}"#), "{reply}");
    assert_eq!(states(&stage), ["completed"]);
    assert_eq!(stage.texts("response").len(), 1);
    let updates = stage.panel.lock().unwrap().bodies("PATCH", "");
    let order: Vec<String> =
        updates.iter().filter_map(|update| update["status"].as_str().map(str::to_owned)).collect();
    assert_eq!(order, ["running", "awaiting_input", "running", "completed"], "{updates:?}");
}
