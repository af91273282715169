//! Tool servers for an agent, from the operator's own files, as `{"mcpServers": {"name": {…}}}`.
//! Neighbours: the configuration names the files, `spec` carries the servers, an executor writes them to a file of the run.
//! It must never read variables of anything but the given environment, nor show a server's settings in debug output.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// Tool servers by name.
#[derive(Clone, Default, PartialEq)]
pub struct McpServers(Map<String, Value>);

/// Why tool servers could not be read.
#[derive(Debug, thiserror::Error)]
pub enum McpError {
    /// The file cannot be read.
    #[error("cannot read the tool servers of {path}: {source}; correct `mcpConfigPath`")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file does not hold what it should.
    #[error("{path} holds no tool servers: {reason}; it must read {{\"mcpServers\": {{\"name\": {{…}}}}}}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A variable that a server needs is not set.
    #[error(
        "{path}: the tool server `{server}` needs the environment variable {variable}: set it where cyrus starts, or write ${{{variable}:-…}} with a value to take in its place"
    )]
    Variable {
        /// The file.
        path: PathBuf,
        /// The server.
        server: String,
        /// The variable.
        variable: String,
    },
}

impl McpServers {
    /// Reads files in order; a server of a later file takes the place of one of the same name before it.
    /// `${NAME}` and `${NAME:-value}` in their texts are replaced by what `variable` says.
    pub fn load(files: &[PathBuf], variable: impl Fn(&str) -> Option<String>) -> Result<Self, McpError> {
        let mut all = Self::default();
        for path in files {
            let text = std::fs::read_to_string(path)
                .map_err(|source| McpError::File { path: path.clone(), source })?;
            all.merge(Self::parse(&text, path, &variable)?);
        }
        Ok(all)
    }

    /// Reads the text of one file; `path` is for words about what is wrong with it.
    pub fn parse(
        text: &str,
        path: &Path,
        variable: &impl Fn(&str) -> Option<String>,
    ) -> Result<Self, McpError> {
        let shape = |reason: String| McpError::Shape { path: path.to_owned(), reason };
        let mut file: Value = serde_json::from_str(text).map_err(|error| shape(error.to_string()))?;
        let Some(Value::Object(mut servers)) = file.get_mut("mcpServers").map(Value::take) else {
            return Err(shape("`mcpServers` is missing".to_owned()));
        };
        for (name, server) in &mut servers {
            if !server.is_object() {
                return Err(shape(format!("`{name}` is not an object")));
            }
            expand(server, variable).map_err(|missing| McpError::Variable {
                path: path.to_owned(),
                server: name.clone(),
                variable: missing,
            })?;
        }
        Ok(Self(servers))
    }

    /// Adds servers; they take the place of those of the same name.
    pub fn merge(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// Adds or replaces one server, in the executor's own form.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, server: Value) -> Self {
        self.0.insert(name.into(), server);
        self
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Writes the servers to a file that only this user can read. What was there is replaced.
    pub async fn write(&self, path: &Path) -> std::io::Result<()> {
        use tokio::io::AsyncWriteExt;
        match tokio::fs::remove_file(path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file =
            tokio::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).await?;
        file.write_all(json!({"mcpServers": self.0}).to_string().as_bytes()).await?;
        file.flush().await
    }
}

impl std::fmt::Debug for McpServers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Replaces variables in every text; the error is the name of one that is not set.
fn expand(value: &mut Value, variable: &impl Fn(&str) -> Option<String>) -> Result<(), String> {
    match value {
        Value::String(text) => *text = expand_text(text, variable)?,
        Value::Array(items) => items.iter_mut().try_for_each(|item| expand(item, variable))?,
        Value::Object(fields) => fields.values_mut().try_for_each(|field| expand(field, variable))?,
        _ => {}
    }
    Ok(())
}

fn expand_text(text: &str, variable: &impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((inside, behind)) = after.split_once('}') else {
            out.push_str("${");
            rest = after;
            continue;
        };
        let (name, fallback) = match inside.split_once(":-") {
            Some((name, fallback)) => (name, Some(fallback)),
            None => (inside, None),
        };
        let is_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if is_name {
            // As in a shell, `:-` stands in for an empty variable too.
            let value = variable(name).filter(|value| fallback.is_none() || !value.is_empty());
            out.push_str(&value.or(fallback.map(str::to_owned)).ok_or_else(|| name.to_owned())?);
            rest = behind;
        } else {
            out.push_str("${");
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        match name {
            "TOKEN" => Some("s3cret".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn parse(text: &str) -> Result<McpServers, McpError> {
        McpServers::parse(text, Path::new("servers.json"), &variable)
    }

    #[test]
    fn variables_are_replaced_in_every_text_and_nowhere_else() {
        for (text, expanded) in [
            ("${TOKEN}", "s3cret"),
            ("a ${TOKEN}-${NONE:-b}${EMPTY:-c}${EMPTY} d", "a s3cret-bc d"),
            ("${NONE:-}", ""),
            ("$TOKEN $${TOKEN}", "$TOKEN $s3cret"),
            ("${", "${"),
            ("${no name} ${TOKEN}", "${no name} s3cret"),
            ("${NONE:-${TOKEN}}", "${TOKEN}"),
        ] {
            assert_eq!(expand_text(text, &variable).unwrap(), expanded, "{text}");
        }
        assert_eq!(expand_text("${NONE}", &variable), Err("NONE".to_owned()));
        let servers =
            parse(r#"{"mcpServers":{"a":{"args":["${TOKEN}"],"env":{"K":"${TOKEN}"},"n":1}}}"#).unwrap();
        assert_eq!(servers.0["a"], json!({"args": ["s3cret"], "env": {"K": "s3cret"}, "n": 1}));
        assert_eq!(format!("{servers:?}"), r#"{"a"}"#);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_the_mend() {
        for (text, words) in [
            ("", "holds no tool servers"),
            ("[]", "`mcpServers` is missing"),
            ("{\"mcpServers\":[]}", "`mcpServers` is missing"),
            ("{\"mcpServers\":{\"a\":1}}", "`a` is not an object"),
            (
                r#"{"mcpServers":{"a":{"command":"${GONE}"}}}"#,
                "`a` needs the environment variable GONE: set it",
            ),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[tokio::test]
    async fn later_files_win_and_the_written_file_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (first, second, written) = (dir.path().join("1"), dir.path().join("2"), dir.path().join("w"));
        std::fs::write(&first, r#"{"mcpServers":{"a":{"command":"x"},"b":{"command":"x"}}}"#).unwrap();
        std::fs::write(&second, r#"{"mcpServers":{"b":{"command":"y"}}}"#).unwrap();
        let servers = McpServers::load(&[first, second], variable).unwrap();
        std::fs::write(&written, "what was there, and is longer than what is written now or ever will be")
            .unwrap();
        servers.write(&written).await.unwrap();
        let text = std::fs::read_to_string(&written).unwrap();
        assert_eq!(text, r#"{"mcpServers":{"a":{"command":"x"},"b":{"command":"y"}}}"#);
        assert_eq!(std::fs::metadata(&written).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(
            McpServers::load(&[dir.path().join("none")], variable)
                .unwrap_err()
                .to_string()
                .contains("mcpConfigPath")
        );
    }
}
