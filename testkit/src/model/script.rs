//! Steps that a prompt carries: `<<SCRIPT [{…}, …] SCRIPT>>`, a JSON list of steps or `{"steps": […]}`.
//!
//! Step number n answers the n-th request after the text that held the script; the last one repeats.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A tool call of a step.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub(super) struct ToolUse {
    pub(super) name: String,
    /// `$CWD` in its texts is the client's working directory.
    #[serde(default)]
    pub(super) input: Value,
    /// The call's id; a new one when absent.
    #[serde(default)]
    pub(super) id: Option<String>,
}

/// One answer of the model.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Step {
    pub(super) text: Option<String>,
    /// Goes before the text.
    pub(super) thinking: Option<String>,
    pub(super) tools: Vec<ToolUse>,
    /// `tool_use` with tools, else `end_turn`, when absent.
    pub(super) stop_reason: Option<String>,
    /// Wait before the headers, ms.
    pub(super) delay_ms: u64,
    /// Wait after each event of the stream, ms.
    pub(super) chunk_delay_ms: u64,
    /// Laid over the counted usage.
    pub(super) usage: Map<String, Value>,
    /// Answers with this HTTP error instead.
    pub(super) http: Option<u16>,
    pub(super) error_type: Option<String>,
    pub(super) message: Option<String>,
    /// Seconds, or anything a test wants in the header.
    pub(super) retry_after: Option<Value>,
    /// Further headers of the error, such as those of a usage limit. `$IN_<seconds>` is that many seconds from now.
    pub(super) headers: Map<String, Value>,
    /// How often the error is served before the step is answered as usual; always when absent.
    pub(super) times: Option<u64>,
    /// Breaks the connection in the middle of the stream.
    pub(super) drop: bool,
}

impl Step {
    /// A step that only says something.
    pub(super) fn saying(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// The same step with one tool call.
    pub(super) fn calling(mut self, name: &str, input: Value) -> Self {
        self.tools.push(ToolUse { name: name.to_owned(), input, id: None });
        self
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    List(Vec<Step>),
    Object { steps: Vec<Step> },
}

/// The last script in a text. `Some(Err)` when there is one that cannot be read.
pub(super) fn in_text(text: &str) -> Option<Result<Vec<Step>, String>> {
    let mut last = None;
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("<<SCRIPT") {
        let Some((script, behind)) = after.split_once("SCRIPT>>") else { break };
        last = Some(script);
        rest = behind;
    }
    last.map(parse)
}

fn parse(script: &str) -> Result<Vec<Step>, String> {
    // Some clients hand the prompt on with its quotes escaped.
    let unescaped = || serde_json::from_str::<String>(&format!("\"{}\"", script.trim())).ok();
    let written = serde_json::from_str::<Written>(script).or_else(|error| {
        unescaped().and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(|| error.to_string())
    })?;
    let steps = match written {
        Written::List(steps) | Written::Object { steps } => steps,
    };
    if steps.is_empty() { Err("the script has no steps".into()) } else { Ok(steps) }
}

/// Puts the working directory for `$CWD` in every text inside `value`.
pub(super) fn fill_cwd(value: &mut Value, cwd: &str) {
    match value {
        Value::String(text) => *text = text.replace("$CWD", cwd),
        Value::Array(items) => items.iter_mut().for_each(|item| fill_cwd(item, cwd)),
        Value::Object(fields) => fields.values_mut().for_each(|field| fill_cwd(field, cwd)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_script_of_a_text_counts() {
        let text = r#"do <<SCRIPT [{"text":"a"}] SCRIPT>> or <<SCRIPT {"steps":[{"text":"b"},{"drop":true}]} SCRIPT>> x"#;
        let steps = in_text(text).expect("a script").expect("readable");
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[0], Step::saying("b"));
    }

    #[test]
    fn a_script_with_escaped_quotes_is_read() {
        let steps = in_text(r#"<<SCRIPT [{\"text\":\"a\"}] SCRIPT>>"#).expect("a script");
        assert_eq!(steps, Ok(vec![Step::saying("a")]));
    }

    #[test]
    fn broken_scripts_are_told_and_missing_ones_are_none() {
        assert!(in_text("<<SCRIPT [ SCRIPT>>").is_some_and(|read| read.is_err()));
        assert!(in_text("<<SCRIPT [] SCRIPT>>").is_some_and(|read| read.is_err()));
        assert_eq!(in_text("<<SCRIPT [] and no end"), None);
        assert_eq!(in_text("nothing"), None);
    }

    #[test]
    fn the_working_directory_goes_into_nested_texts() {
        let mut input = json!({"a": ["$CWD/x", 1, {"b": "in $CWD"}]});
        fill_cwd(&mut input, "/w");
        assert_eq!(input, json!({"a": ["/w/x", 1, {"b": "in /w"}]}));
    }
}
