//! Which contents of an activity Linear's server takes.
//!
//! Written on its own and not with the client's types, so that a mistake there shows here.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// A content that was checked.
pub(super) struct Checked {
    pub(super) kind: String,
    pub(super) fields: Map<String, Value>,
}

/// Checks shape, type and the `ephemeral` rule.
pub(super) fn check(content: &Value, ephemeral: bool) -> Result<Checked, Refusal> {
    let refuse = |why: String| Err(Refusal::input(format!("Argument Validation Error - content: {why}")));
    let Value::Object(fields) = content else {
        return refuse("must be an object".into());
    };
    let Some(kind) = fields.get("type").and_then(Value::as_str) else {
        return refuse("`type` must be a string".into());
    };
    let (required, optional): (&[&str], &[&str]) = match kind {
        "thought" | "elicitation" | "response" | "error" => (&["body"], &[]),
        "action" => (&["action", "parameter"], &["result"]),
        "prompt" => return refuse("type `prompt` is a person's and cannot be created by an agent".into()),
        _ => return refuse("unknown `type`".into()),
    };
    for name in required {
        if !fields.get(*name).is_some_and(Value::is_string) {
            return refuse(format!("`{name}` must be a string for type `{kind}`"));
        }
    }
    for name in optional {
        if !fields.get(*name).is_none_or(|value| value.is_string() || value.is_null()) {
            return refuse(format!("`{name}` must be a string for type `{kind}`"));
        }
    }
    let known = |name: &str| name == "type" || required.contains(&name) || optional.contains(&name);
    if let Some(name) = fields.keys().find(|name| !known(name)) {
        return refuse(format!("property `{name}` should not exist for type `{kind}`"));
    }
    if ephemeral && !matches!(kind, "thought" | "action") {
        return refuse(format!("type `{kind}` cannot be ephemeral"));
    }
    Ok(Checked { kind: kind.to_owned(), fields: fields.clone() })
}

/// Checks a plan: a list of steps, each with text and a known status; null clears it, an object passes unread.
pub(super) fn check_plan(plan: &Value) -> Result<(), Refusal> {
    let Value::Array(steps) = plan else {
        let passes = plan.is_null() || plan.is_object();
        return if passes { Ok(()) } else { Err(Refusal::input("plan: must be a list of steps")) };
    };
    let good = |step: &Value| {
        let word = |name: &str| step.get(name).and_then(Value::as_str);
        word("content").is_some()
            && matches!(word("status"), Some("pending" | "inProgress" | "completed" | "canceled"))
    };
    match steps.iter().position(|step| !good(step)) {
        Some(at) => Err(Refusal::input(format!(
            "plan: step {at} needs `content` and a `status` of pending, inProgress, completed, canceled"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wrong_contents_are_refused() {
        for content in [
            json!(null),
            json!([]),
            json!("thought"),
            json!({}),
            json!({"type": 3, "body": "b"}),
            json!({"type": "thought"}),
            json!({"type": "thought", "body": null}),
            json!({"type": "Thought", "body": "b"}),
            json!({"type": "action", "action": "Run"}),
            json!({"type": "action", "action": "Run", "parameter": {"command": "x"}}),
            json!({"type": "action", "action": "Run", "parameter": "x", "result": 1}),
            json!({"type": "action", "action": "Run", "parameter": "x", "body": "b"}),
            json!({"type": "prompt", "body": "b"}),
            json!({"type": "response", "body": "b", "title": "t"}),
        ] {
            assert!(check(&content, false).is_err(), "{content}");
        }
    }

    #[test]
    fn the_five_types_are_taken_and_two_of_them_as_ephemeral() {
        for (content, ephemeral) in [
            (json!({"type": "thought", "body": ""}), true),
            (json!({"type": "action", "action": "Run", "parameter": "x"}), true),
            (json!({"type": "action", "action": "Ran", "parameter": "x", "result": "ok"}), true),
            (json!({"type": "elicitation", "body": "b"}), false),
            (json!({"type": "response", "body": "b"}), false),
            (json!({"type": "error", "body": "b"}), false),
        ] {
            assert!(check(&content, false).is_ok(), "{content}");
            assert_eq!(check(&content, true).is_ok(), ephemeral, "{content}");
        }
    }

    #[test]
    fn a_plan_is_a_list_of_steps_with_known_statuses() {
        assert!(check_plan(&json!([{"content": "a", "status": "inProgress"}])).is_ok());
        assert!(check_plan(&json!([])).is_ok());
        assert!(check_plan(&json!([{"content": "a", "status": "in_progress"}])).is_err());
        assert!(check_plan(&json!([{"status": "pending"}])).is_err());
        assert!(check_plan(&json!("pending")).is_err());
    }
}
