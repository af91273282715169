//! What the journal keeps, without secrets: lines and effects.

use serde_json::Value;
use shared::log_line::LogLine;

use super::Redactor;
use crate::journal::effect::Effect;

impl Redactor {
    /// Lines as they may be stored.
    pub fn lines(&self, mut lines: Vec<LogLine>) -> Vec<LogLine> {
        for line in &mut lines {
            if let std::borrow::Cow::Owned(clean) = self.text(&line.message) {
                line.message = clean;
            }
            self.value(&mut line.metadata);
        }
        lines
    }

    /// An effect as it may be stored and sent.
    pub fn effect(&self, effect: Effect) -> Effect {
        let Ok(mut value) = serde_json::to_value(&effect) else { return effect };
        let before: Value = value.clone();
        self.value(&mut value);
        if value == before {
            return effect;
        }
        // Ids and stamps hold nothing that is taken out, so what was cleaned still reads.
        serde_json::from_value(value).unwrap_or(effect)
    }

    /// Effects as they may be stored and sent.
    pub fn effects(&self, effects: Vec<Effect>) -> Vec<Effect> {
        effects.into_iter().map(|effect| self.effect(effect)).collect()
    }
}

/// The values of this process's environment whose names say that they are secret.
pub fn of_environment() -> Vec<String> {
    secret_values(
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    )
}

fn secret_values(variables: impl Iterator<Item = (String, String)>) -> Vec<String> {
    const ENDS: [&str; 6] = ["_TOKEN", "_KEY", "_SECRET", "_PASSWORD", "_CREDENTIALS", "_PAT"];
    let is_secret = |name: &str, value: &str| {
        ENDS.iter().any(|end| name.to_ascii_uppercase().ends_with(end))
            && value.len() >= 12
            // A path names where a secret is.
            && !value.starts_with(['/', '.', '~'])
    };
    variables.filter(|(name, value)| is_secret(name, value)).map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::linear::activity::ActivityContent;
    use shared::log_line::LogLevel;
    use uuid::Uuid;

    use super::super::REDACTED;
    use super::*;

    #[test]
    fn lines_and_effects_lose_their_secrets_and_keep_the_rest() {
        let redactor = Redactor::new(["a-known-secret-value"]);
        let line = LogLine {
            seq: 7,
            level: LogLevel::Info,
            message: "token a-known-secret-value".into(),
            metadata: json!({"input": {"command": ["a-known-secret-value"]}, "at": {"end": 5}}),
            timestamp: shared::time::Timestamp::from_millis(9),
            run_id: None,
        };
        let clean = redactor.lines(vec![line.clone()]).remove(0);
        assert_eq!(clean.message, format!("token {REDACTED}"));
        assert_eq!(clean.metadata, json!({"input": {"command": [REDACTED]}, "at": {"end": 5}}));
        assert_eq!((clean.seq, clean.timestamp), (line.seq, line.timestamp));
        let action = |parameter: &str| Effect::Activity {
            id: Uuid::from_u128(3),
            content: ActivityContent::Action {
                action: "Bash".into(),
                parameter: parameter.into(),
                result: None,
            },
            ephemeral: true,
        };
        assert_eq!(redactor.effect(action("echo a-known-secret-value")), action(&format!("echo {REDACTED}")));
        assert_eq!(redactor.effect(action("echo")), action("echo"));
    }

    #[test]
    fn variables_whose_names_say_so_are_secret_unless_they_name_a_place() {
        let variables = [
            ("GITHUB_TOKEN", "0123456789abcdef"),
            ("my_api_key", "fedcba9876543210"),
            ("SSH_KEY", "/home/x/.ssh/id_ed25519"),
            ("USE_KEY", "true"),
            ("PATH", "/usr/bin:/usr/local/bin"),
            ("KEYBOARD", "0123456789abcdef"),
        ];
        let found = secret_values(variables.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        assert_eq!(found, ["0123456789abcdef", "fedcba9876543210"]);
    }
}
