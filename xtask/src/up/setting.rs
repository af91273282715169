//! `--set KEY=VALUE`: the numbers of delivery, checked against the type that the Workers read.

use anyhow::{Context, Result, anyhow};
use serde_json::{Map, Value};
use shared::settings::Settings;

/// The JSON for `CYRUS_SETTINGS`; only what was set is in there.
pub fn parse(given: &[String]) -> Result<String> {
    let mut settings = Map::new();
    for item in given {
        let (key, value) = item
            .split_once('=')
            .ok_or_else(|| anyhow!("--set wants KEY=VALUE, as takeoverAfterMs=5000; got `{item}`"))?;
        let value: Value = serde_json::from_str(value)
            .with_context(|| format!("--set {key}: `{value}` is neither a number nor true or false"))?;
        let alone = Map::from_iter([(key.to_owned(), value.clone())]);
        Settings::parse(&Value::Object(alone).to_string())
            .map_err(|error| anyhow!("--set {key}: {error}"))?;
        settings.insert(key.to_owned(), value);
    }
    Ok(Value::Object(settings).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(items: &[&str]) -> Result<String> {
        parse(&items.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn numbers_and_switches_become_the_settings_that_the_workers_read() {
        assert_eq!(of(&[]).unwrap(), "{}");
        let text = of(&["takeoverAfterMs=5000", "takeoverNever=true", "takeoverAfterMs=7"]).unwrap();
        let read = Settings::parse(&text).unwrap();
        assert_eq!((read.takeover_after_ms, read.takeover_never), (7, true));
    }

    #[test]
    fn what_the_workers_would_refuse_is_refused_here_and_a_wrong_key_names_the_right_ones() {
        let unknown = of(&["takeOverAfterMs=1"]).unwrap_err().to_string();
        assert!(unknown.contains("takeoverAfterMs"), "{unknown}");
        for bad in ["takeoverAfterMs", "takeoverAfterMs=", "takeoverAfterMs=soon", "takeoverAfterMs=-1", "=1"]
        {
            assert!(of(&[bad]).is_err(), "{bad}");
        }
    }
}
