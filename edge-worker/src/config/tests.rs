//! What counts when several say something, and what is said about what is wrong.

use std::path::Path;

use shared::id::OrgId;
use shared::worker_config::{ExecutorCredential, Permissions, RepositorySettings, WorkerConfig};

use super::check::check;
use super::trouble::Source;
use super::*;

fn key() -> String {
    format!("cyw_01h455vb4pex5vsknk084sn02q_{}", "ab".repeat(32))
}

fn other_key() -> WorkerKey {
    WorkerKey::new(OrgId::from_uuid(uuid::Uuid::nil()), [7; 32])
}

#[derive(Default)]
struct Given<'a> {
    file: &'a str,
    variables: &'a [(&'a str, &'a str)],
    panel: Option<WorkerConfig>,
    sealed: Vec<(&'a str, String)>,
}

impl Given<'_> {
    fn merge(&self) -> Result<Merged, Vec<Trouble>> {
        let find = |name: &str| {
            self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let sealed = self
            .sealed
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Secret::new(value.as_str())))
            .collect();
        layers::merge(&Inputs {
            text: self.file,
            path: Path::new("/etc/c/config.json"),
            home: Path::new("/home/x/.cyrus"),
            variable: &find,
            panel: self.panel.as_ref(),
            sealed: &sealed,
        })
    }

    fn config(&self) -> Config {
        self.merge().unwrap_or_else(|troubles| panic!("{troubles:?}")).config
    }
}

fn parse(file: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let find =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Config::parse(file, Path::new("config.json"), Path::new("/home/x/.cyrus"), find)
}

const TWO: &str = r#"{"slots":3,"claudeDefaultModel":"sonnet","defaultAllowedTools":"readOnly","repositories":[
    {"name":"app","repositoryPath":"/app","githubUrl":"https://github.com/acme/app","model":"opus"},
    {"name":"docs","repositoryPath":"/docs","allowedTools":["Read"],"maxSessions":1}]}"#;

fn panel(change: impl FnOnce(&mut WorkerConfig)) -> Option<WorkerConfig> {
    let mut panel = WorkerConfig { etag: "1".into(), ..WorkerConfig::default() };
    change(&mut panel);
    Some(panel)
}

fn set(name: &str, change: impl FnOnce(&mut RepositorySettings)) -> RepositorySettings {
    let mut settings = RepositorySettings { name: name.into(), ..RepositorySettings::default() };
    change(&mut settings);
    settings
}

#[test]
fn the_environment_wins_over_the_file_and_unknown_keys_are_left_alone() {
    let file =
        r#"{"proxyUrl":"http://a/","someday":1,"controlPanel":{"apiUrl":"http://p/"},"repositories":[]}"#;
    let key = key();
    let config = parse(file, &[("CYRUS_PROXY_URL", "http://b"), ("CONTROL_PANEL_API_KEY", &key)]).unwrap();
    assert_eq!(config.connection().unwrap().0, "http://b");
    assert_eq!(config.panel_url.as_deref(), Some("http://p"));
}

#[test]
fn what_is_missing_is_named_with_both_places_to_set_it() {
    let error = parse("{}", &[]).unwrap().connection().unwrap_err().to_string();
    assert!(error.contains("proxyUrl") && error.contains("CYRUS_PROXY_URL"), "{error}");
    let error = parse(r#"{"proxyUrl":"x"}"#, &[]).unwrap().connection().unwrap_err();
    assert!(matches!(error, ConfigError::NoKey));
    for broken in
        ["not json", "[]", r#"{"slots":-1}"#, r#"{"slots":0}"#, r#"{"repositories":[{"name":"a"}]}"#]
    {
        assert!(matches!(parse(broken, &[]), Err(ConfigError::Broken { .. })), "{broken}");
    }
}

#[test]
fn no_file_at_all_is_configuration_enough_for_runs_of_this_machine() {
    let config = parse("", &[]).unwrap();
    assert_eq!(config.state_dir, Path::new("/home/x/.cyrus"));
    assert_eq!(parse("{}", &[("CYRUS_STATE_DIR", "/s")]).unwrap().state_dir, Path::new("/s"));
    assert!(Config::load(Some("/nowhere/at/all.json".into())).is_err(), "a named file must be there");
}

#[test]
fn the_transport_is_auto_unless_file_or_environment_say_otherwise() {
    let of = |file: &str, transport: Option<&str>| {
        let variables: Vec<_> =
            transport.map(|transport| ("CYRUS_TRANSPORT", transport)).into_iter().collect();
        parse(file, &variables).map(|config| config.transport)
    };
    assert_eq!(of("{}", None).unwrap(), Transport::Auto);
    let file = r#"{"transport":"websocket"}"#;
    assert_eq!(of(file, None).unwrap(), Transport::WebSocket);
    assert_eq!(of(file, Some("ndjson")).unwrap(), Transport::Ndjson);
    let error = of(file, Some("pigeon")).unwrap_err().to_string();
    assert!(error.contains("the environment: transport") && error.contains("`websocket`"), "{error}");
    assert!(of(r#"{"transport":"pigeon"}"#, None).is_err());
}

#[test]
fn a_repository_of_the_workspace_comes_before_one_for_all_and_an_inactive_one_is_left_out() {
    let file = r#"{"repositories":[
        {"name":"off","repositoryPath":"/c","isActive":false,"linearWorkspaceId":"w"},
        {"name":"all","repositoryPath":"/a"},{"name":"mine","repositoryPath":"/b","linearWorkspaceId":"w"}]}"#;
    let config = parse(file, &[]).unwrap();
    assert_eq!(config.repository_for("w").map(|found| found.name.as_str()), Some("mine"));
    assert_eq!(config.repository_for("other").map(|found| found.name.as_str()), Some("all"));
}

#[test]
fn the_panel_wins_over_the_file_for_what_it_sets_and_every_value_knows_its_source() {
    let panel = panel(|panel| {
        panel.slots = Some(5);
        panel.repositories = vec![
            set("another name", |set| {
                set.remote = Some("github.com/acme/app".into());
                set.model = Some("haiku".into());
                set.allowed_tools = Some(vec!["Edit".into()]);
                set.permissions = Some(Permissions::Ask);
            }),
            set("docs", |set| set.max_sessions = Some(2)),
            set("not here", |set| set.model = Some("x".into())),
        ];
    });
    let config = Given { file: TWO, panel, ..Given::default() }.config();
    assert_eq!(config.slots, 5);
    let app = config.for_runs(&config.repositories[0]);
    assert_eq!(app.model.as_deref(), Some("haiku"));
    assert_eq!(app.allowed_tools, Some(vec!["Edit".to_owned()]));
    assert_eq!(app.permissions, PermissionMode::Ask);
    let docs = config.for_runs(&config.repositories[1]);
    assert_eq!(docs.model.as_deref(), Some("sonnet"));
    assert_eq!(config.repositories[1].max_sessions, Some(2));
    assert_eq!(config.origins.of("slots"), Source::Panel);
    assert_eq!(config.origins.of("repositories[app].model"), Source::Panel);
    assert_eq!(config.origins.of("claudeDefaultModel"), Source::File);
    assert_eq!(config.origins.of("weight"), Source::Default);
}

#[test]
fn the_environment_wins_over_panel_and_repository() {
    let panel = panel(|panel| {
        panel.slots = Some(5);
        panel.repositories = vec![set("app", |set| set.model = Some("haiku".into()))];
    });
    let variables = [("CYRUS_SLOTS", "9"), ("CYRUS_MODEL", "fable"), ("ALLOWED_TOOLS", "Read,Grep")];
    let config = Given { file: TWO, variables: &variables, panel, ..Given::default() }.config();
    assert_eq!(config.slots, 9);
    for repository in &config.repositories {
        let run = config.for_runs(repository);
        assert_eq!(run.model.as_deref(), Some("fable"));
        assert_eq!(run.allowed_tools.unwrap(), ["Read", "Grep"]);
    }
    assert_eq!(config.origins.of("slots"), Source::Environment);
}

#[test]
fn an_answer_of_the_panel_with_a_flaw_is_not_taken_at_all() {
    let panel = panel(|panel| {
        panel.slots = Some(5);
        panel.repositories = vec![set("app", |set| set.model = Some("--dangerous".into()))];
    });
    let troubles = Given { file: TWO, panel, ..Given::default() }.merge().err().unwrap();
    assert!(troubles.iter().all(|trouble| trouble.source == Source::Panel), "{troubles:?}");
}

#[test]
fn other_names_of_a_key_mean_the_same_and_the_key_itself_counts_first() {
    for file in [
        r#"{"model":"m"}"#,
        r#"{"claude":{"model":"m"}}"#,
        r#"{"defaultModel":"m"}"#,
        r#"{"claudeDefaultModel":"m","defaultModel":"old","model":"older"}"#,
        r#"{"claudeDefaultModel":null,"model":"m"}"#,
    ] {
        assert_eq!(parse(file, &[]).unwrap().model.as_deref(), Some("m"), "{file}");
    }
    let file =
        r#"{"global_setup_script":"/s","codegen":{"features":{"enableTracing":true}},"maxSessions":7}"#;
    let config = parse(file, &[]).unwrap();
    assert_eq!(config.global_setup_script.as_deref(), Some(Path::new("/s")));
    assert!(config.enable_tracing);
    assert_eq!(config.slots, 7);
}

#[test]
fn paths_are_counted_from_home_and_from_the_file() {
    let file = r#"{"repositories":[{"name":"a","repositoryPath":"../a","mcpConfigPath":["m.json"]}],
        "stateDir":"~/state","claude":{"path":"claude"}}"#;
    let config = Given { file, ..Given::default() }.config();
    assert_eq!(config.repositories[0].repository_path, Path::new("/etc/c/../a"));
    assert_eq!(config.for_runs(&config.repositories[0]).mcp_config_path, [Path::new("/etc/c/m.json")]);
    assert_eq!(config.state_dir, std::env::home_dir().unwrap().join("state"));
    assert_eq!(config.worktrees_dir, config.state_dir.join("worktrees"));
    assert_eq!(config.claude.as_deref(), Some(Path::new("claude")));
}

#[test]
fn credentials_come_from_environment_panel_and_seal_in_this_order() {
    let credential = |variable: &str, value: &str| ExecutorCredential {
        executor: "claude".into(),
        variable: variable.into(),
        value: value.into(),
    };
    let panel = panel(|panel| {
        panel.executors =
            vec![credential("ANTHROPIC_API_KEY", "of-panel"), credential("OPENAI_API_KEY", "of-panel")];
    });
    let given = Given {
        variables: &[("ANTHROPIC_API_KEY", "of-environment")],
        panel,
        sealed: vec![("OPENAI_API_KEY", "sealed".into()), ("CLAUDE_CODE_OAUTH_TOKEN", "sealed".into())],
        ..Given::default()
    };
    let config = given.config();
    let of = |name: &str| config.credentials.get(name).map(Secret::reveal);
    assert_eq!(of("ANTHROPIC_API_KEY"), Some("of-environment"));
    assert_eq!(of("OPENAI_API_KEY"), Some("of-panel"));
    assert_eq!(of("CLAUDE_CODE_OAUTH_TOKEN"), Some("sealed"));
    assert_eq!(config.origins.of("credentials.OPENAI_API_KEY"), Source::Panel);
    assert_eq!(config.secrets().len(), 3);
}

#[test]
fn a_sealed_worker_key_counts_before_one_in_the_file_and_after_the_environment() {
    let (old, new) = (key(), other_key());
    let file = format!(r#"{{"controlPanel":{{"apiKey":"{old}"}}}}"#);
    let sealed = || vec![(layers::WORKER_KEY, new.reveal().to_owned())];
    let merged = Given { file: &file, sealed: sealed(), ..Given::default() }.merge().ok().unwrap();
    assert_eq!(merged.config.key.unwrap().reveal(), new.reveal());
    assert!(merged.troubles[0].what.contains("take this one out"), "{:?}", merged.troubles);
    let variables = [("CONTROL_PANEL_API_KEY", old.as_str())];
    let config = Given { variables: &variables, sealed: sealed(), ..Given::default() }.config();
    assert_eq!(config.key.unwrap().reveal(), old);
}

#[test]
fn a_bad_key_is_refused_without_being_repeated() {
    let given = Given { variables: &[("CONTROL_PANEL_API_KEY", "cyw_secret")], ..Given::default() };
    let merged = given.merge().ok().unwrap();
    assert!(merged.config.key.is_none());
    assert!(!format!("{:?}", merged.troubles).contains("cyw_secret"));
    for misplaced in [
        r#"{"controlPanel":"cyw_secret"}"#,
        r#"{"codegen":{"features":"cyw_secret"}}"#,
        r#"{"slots":"cyw_secret"}"#,
        r#"{"repositories":{"cyw":"cyw_secret"}}"#,
    ] {
        let told = format!("{:?}", check(misplaced, Path::new("c")));
        assert!(told.contains("Error") && !told.contains("cyw_secret"), "{told}");
    }
}

#[test]
fn a_check_names_everything_at_once_with_its_place_and_what_was_meant() {
    let file = r#"{"modle":"opus","slots":"two","sandbox":{"levle":"none","egress":["http://x/"]},
        "repositories":[{"name":"a","repositoryPath":"/nowhere","allowedTools":"everything"},
                        {"name":"b","repositoryPath":"/","teamKey":["ENG"],"maxSessions":0}]}"#;
    let troubles = check(file, Path::new("c"));
    let has = |place: &str, word: &str| {
        let found = troubles.iter().any(|trouble| trouble.place == place && trouble.what.contains(word));
        assert!(found, "{place}: {word} is not in {troubles:#?}");
    };
    has("modle", "did you mean `model`?");
    has("slots", "is not of type integer");
    has("sandbox.levle", "did you mean `level`?");
    has("repositories[0].allowedTools", "");
    has("repositories[1].teamKey", "did you mean `teamKeys`?");
    has("repositories[1].maxSessions", "less than 1");
    assert!(troubles[0].level == Level::Error && troubles.last().unwrap().level == Level::Warning);
    let fine = check(
        r#"{"slots":2,"$schema":"x","repositories":[{"name":"a","repositoryPath":"/"}]}"#,
        Path::new("c"),
    );
    assert!(fine.is_empty(), "{fine:?}");
    assert!(check("{\n \"slots\": 2,,\n}", Path::new("c"))[0].what.contains("line 2"));
}

#[test]
fn hosts_are_names_and_nothing_else() {
    let of = |host: &str| parse(&format!(r#"{{"sandbox":{{"egress":["{host}"]}}}}"#), &[]).is_ok();
    for fine in ["github.com", "*.npmjs.org", "localhost:8080", "127.0.0.1"] {
        assert!(of(fine), "{fine}");
    }
    for nasty in ["", "*", "https://a", "a b", "a/b", "*.", "a;b", "a:99999"] {
        assert!(!of(nasty), "{nasty}");
    }
}
