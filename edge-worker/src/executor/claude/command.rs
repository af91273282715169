//! The command line and the environment of `claude`, and where the program is found.
//! Neighbours: `process` starts what is built here; `input` carries the prompt.
//! It must never put outside text where the program could read it as a flag, nor a secret into argv.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::ClaudeConfig;
use crate::executor::process_tree::RUN_MARK;
use crate::executor::spec::{Conversation, RunSpec};
use crate::executor::{Environment, ExecutorError};

/// A program with its arguments and its whole environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The program's path.
    pub program: PathBuf,
    /// The arguments.
    pub args: Vec<OsString>,
    /// The environment; nothing else is inherited.
    pub env: Environment,
}

/// Builds the command line of a run. The prompt is not in it: it goes in over stdin.
pub fn build(program: PathBuf, config: &ClaudeConfig, spec: &RunSpec) -> CommandLine {
    let mut args: Vec<OsString> = [
        "-p",
        "--input-format",
        "stream-json",
        "--output-format",
        "stream-json",
        "--verbose",
        "--include-partial-messages",
        "--setting-sources",
        "user",
        "--strict-mcp-config",
        "--permission-mode",
        "default",
        "--permission-prompt-tool",
        "stdio",
    ]
    .map(OsString::from)
    .to_vec();
    let mut flag = |name: &str, value: &str| args.push(format!("{name}={value}").into());
    let allowed = spec.permissions.allow.iter().cloned().chain(spec.mcp.names().map(server_rule));
    flag("--allowedTools", &allowed.collect::<Vec<_>>().join(","));
    if !spec.permissions.deny.is_empty() {
        flag("--disallowedTools", &spec.permissions.deny.join(","));
    }
    if !spec.mcp.is_empty() {
        flag("--mcp-config", &mcp_file(&spec.run_file).display().to_string());
    }
    match &spec.conversation {
        Conversation::New(id) => flag("--session-id", &id.to_string()),
        Conversation::Resume(id) => flag("--resume", id),
    }
    if let Some(model) = &spec.model {
        flag("--model", model);
    }
    if let Some(model) = &spec.fallback_model {
        flag("--fallback-model", model);
    }
    if let Some(text) = &spec.append_system_prompt {
        flag("--append-system-prompt", text);
    }
    if let Some(turns) = spec.max_turns {
        flag("--max-turns", &turns.to_string());
    }
    if let Some(cost) = spec.max_cost_micro_usd {
        flag("--max-budget-usd", &format!("{}.{:06}", cost / 1_000_000, cost % 1_000_000));
    }
    CommandLine { program, args, env: environment(config, spec) }
}

/// The file of a run's tool servers, beside its run file.
pub fn mcp_file(run_file: &Path) -> PathBuf {
    let mut name = run_file.as_os_str().to_owned();
    name.push(".mcp.json");
    name.into()
}

/// The rule that allows all tools of a server. The program spells names with letters, digits, `_` and `-` only.
fn server_rule(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    format!("mcp__{}", name.chars().map(plain).collect::<String>())
}

fn environment(config: &ClaudeConfig, spec: &RunSpec) -> Environment {
    spec.env
        .clone()
        .with("CLAUDE_CONFIG_DIR", spec.config_dir.as_os_str())
        .with("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .with("DISABLE_AUTOUPDATER", "1")
        .with("CLAUDE_CODE_MAX_RETRIES", config.max_retries.to_string())
        .with("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1")
        .with("GIT_TERMINAL_PROMPT", "0")
        .with(RUN_MARK, &spec.run_id)
}

/// Finds the program: the configured path, else `claude` in the folders of `search_path`.
pub fn locate(configured: Option<&Path>, search_path: Option<&OsStr>) -> Result<PathBuf, ExecutorError> {
    if let Some(path) = configured {
        return if is_program(path) {
            Ok(path.to_owned())
        } else {
            Err(ExecutorError::NotFound {
                program: path.display().to_string(),
                looked: "the configured path is not an executable file".to_owned(),
            })
        };
    }
    search_path
        .into_iter()
        .flat_map(std::env::split_paths)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("claude"))
        .find(|path| is_program(path))
        .ok_or_else(|| ExecutorError::NotFound {
            program: "claude".to_owned(),
            looked: "looked in the folders of PATH".to_owned(),
        })
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Reads the version out of `claude --version`, as in `2.1.330 (Claude Code)`.
pub fn parse_version(text: &str) -> Option<String> {
    let word = text.split_whitespace().next()?;
    let numbers = word.split(['-', '+']).next()?;
    let is_version = numbers.contains('.')
        && numbers.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    is_version.then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::executor::{Limits, McpServers, Permissions};

    fn spec() -> RunSpec {
        RunSpec {
            run_id: "run_1".into(),
            cwd: "/repo".into(),
            prompt: "-rf; $(touch /x)".into(),
            prompt_id: Uuid::nil(),
            conversation: Conversation::New(Uuid::nil()),
            model: None,
            fallback_model: None,
            permissions: Permissions::default(),
            mcp: McpServers::default(),
            append_system_prompt: None,
            max_turns: None,
            max_cost_micro_usd: None,
            prior_cost_micro_usd: 0,
            env: Environment::empty().with("PATH", "/bin").with("ANTHROPIC_API_KEY", "sk-secret"),
            config_dir: "/cfg".into(),
            run_file: "/runs/1.ndjson".into(),
            limits: Limits::default(),
        }
    }

    fn args(spec: &RunSpec) -> Vec<String> {
        let built = build("/bin/claude".into(), &ClaudeConfig::default(), spec);
        built.args.into_iter().map(|arg| arg.into_string().unwrap()).collect()
    }

    #[test]
    fn neither_the_prompt_nor_a_key_is_in_the_arguments() {
        let all = args(&spec()).join(" ");
        assert!(!all.contains("touch") && !all.contains("sk-secret"), "{all}");
    }

    #[test]
    fn repository_settings_are_off_and_all_that_asks_asks_us() {
        let all = args(&spec()).join(" ");
        let wanted = "--setting-sources user --strict-mcp-config --permission-mode default --permission-prompt-tool stdio";
        assert!(all.contains(wanted), "{all}");
        assert!(all.contains("--allowedTools=Read,Write,Edit,Bash,Glob,Grep,TodoWrite"), "{all}");
        for flag in ["--disallowedTools", "--mcp-config", "--fallback-model"] {
            assert!(!all.contains(flag), "{all}");
        }
    }

    #[test]
    fn rules_servers_and_the_fallback_model_are_handed_on() {
        let mut spec = spec();
        spec.permissions.allow = vec!["Read".into(), "Bash(git *)".into()];
        spec.permissions.deny = vec!["WebFetch".into(), "Bash(rm *)".into()];
        spec.mcp = McpServers::default().with("my server, x", serde_json::json!({"env": {"K": "sk-secret"}}));
        spec.fallback_model = Some("m2".into());
        let args = args(&spec);
        for wanted in [
            "--allowedTools=Read,Bash(git *),mcp__my_server__x",
            "--disallowedTools=WebFetch,Bash(rm *)",
            "--mcp-config=/runs/1.ndjson.mcp.json",
            "--fallback-model=m2",
        ] {
            assert!(args.iter().any(|arg| arg == wanted), "{wanted}: {args:?}");
        }
        assert!(!args.join(" ").contains("sk-secret"));
    }

    #[test]
    fn text_that_looks_like_a_flag_stays_a_value() {
        let mut spec = spec();
        spec.model = Some("--dangerously-skip-permissions".into());
        spec.append_system_prompt = Some("-p\n--resume x".into());
        spec.conversation = Conversation::Resume("--continue".into());
        let args = args(&spec);
        assert!(args.contains(&"--model=--dangerously-skip-permissions".to_owned()));
        assert!(args.contains(&"--append-system-prompt=-p\n--resume x".to_owned()));
        assert!(args.contains(&"--resume=--continue".to_owned()));
        assert!(!args.iter().any(|arg| arg == "--dangerously-skip-permissions"));
    }

    #[test]
    fn a_budget_is_written_in_whole_dollars_and_millionths() {
        let mut spec = spec();
        spec.max_cost_micro_usd = Some(5_000_020);
        spec.max_turns = Some(7);
        let all = args(&spec).join(" ");
        assert!(all.contains("--max-turns=7 --max-budget-usd=5.000020"), "{all}");
    }

    #[test]
    fn the_environment_is_the_list_and_the_executors_own_names() {
        let env = build("/bin/claude".into(), &ClaudeConfig::default(), &spec()).env;
        let names: Vec<&str> = env.iter().map(|(name, _)| name.to_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "ANTHROPIC_API_KEY",
                "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
                "CLAUDE_CODE_MAX_RETRIES",
                "CLAUDE_CONFIG_DIR",
                RUN_MARK,
                "DISABLE_AUTOUPDATER",
                "GIT_TERMINAL_PROMPT",
                "PATH",
            ]
        );
    }

    #[test]
    fn the_program_is_found_on_the_path_only_when_it_can_be_run() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        for folder in [&first, &second] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("claude"), "").unwrap();
        }
        std::fs::set_permissions(second.join("claude"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = std::env::join_paths([Path::new("."), &first, &second]).unwrap();
        assert_eq!(locate(None, Some(&path)).unwrap(), second.join("claude"));
        let error = locate(Some(&first.join("claude")), Some(&path)).unwrap_err();
        assert!(error.to_string().contains("not an executable file"), "{error}");
        assert!(locate(None, None).is_err());
    }

    #[test]
    fn a_version_is_read_and_other_words_are_not() {
        assert_eq!(parse_version("2.1.330 (Claude Code)\n").as_deref(), Some("2.1.330"));
        assert_eq!(parse_version("3.0.0-beta.1 (Claude Code)").as_deref(), Some("3.0.0-beta.1"));
        for text in ["", "claude", "error: 2.1", "2..1", "v2.1"] {
            assert_eq!(parse_version(text), None, "{text}");
        }
    }
}
