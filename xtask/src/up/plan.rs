//! What was asked for on the command line, checked before anything is built.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use super::{Args, setting};

/// Which model the agents talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// The stand-in of `testkit`.
    Scripted,
    /// The one behind the login of this environment.
    Real,
}

/// What to start.
#[derive(Debug)]
pub struct Plan {
    /// One weight for each edge.
    pub weights: Vec<u32>,
    /// The Workers' `CYRUS_SETTINGS`, checked.
    pub settings: String,
    /// Repositories to work on; none: a scratch one.
    pub repositories: Vec<PathBuf>,
    /// The model.
    pub model: Model,
    /// Sessions at once of each edge.
    pub slots: u32,
    /// What runs in the place of `claude`.
    pub agent: Option<PathBuf>,
    /// So many requests to the stand-in Linear in any span of this length, in the place of its hourly limit.
    pub linear_window: Option<(u32, Duration)>,
}

impl Default for Plan {
    /// No edge, the scripted model, a scratch repository, the usual numbers.
    fn default() -> Self {
        Self {
            weights: Vec::new(),
            settings: "{}".to_owned(),
            repositories: Vec::new(),
            model: Model::Scripted,
            slots: 4,
            agent: None,
            linear_window: None,
        }
    }
}

/// The environment's names for a Claude login.
pub const LOGINS: [&str; 2] = ["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"];
const MOST_EDGES: usize = 64;

impl Plan {
    /// Reads the command line.
    pub fn of(args: &Args) -> Result<Self> {
        let login = LOGINS.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
        if args.real_model && !login {
            bail!("--real-model needs a Claude login: set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN");
        }
        let real = args.real_model || (login && !args.json && !args.scripted_model);
        Ok(Self {
            weights: weights(args.edges, &args.weights)?,
            settings: setting::parse(&args.settings)?,
            repositories: args.repositories.clone(),
            model: if real { Model::Real } else { Model::Scripted },
            ..Self::default()
        })
    }
}

fn weights(edges: usize, given: &[u32]) -> Result<Vec<u32>> {
    if edges > MOST_EDGES {
        bail!("--edges takes at most {MOST_EDGES}");
    }
    if given.contains(&0) {
        bail!("a weight of --weights must be 1 or more");
    }
    match given.len() {
        0 => Ok(vec![1; edges]),
        len if len == edges => Ok(given.to_vec()),
        len => bail!("--weights has {len} numbers for {edges} edges; give one for each, with --edges {len}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_edge_has_a_weight_and_a_wrong_count_is_refused() {
        assert_eq!(weights(3, &[]).unwrap(), [1, 1, 1]);
        assert_eq!(weights(3, &[1, 1, 2]).unwrap(), [1, 1, 2]);
        assert!(weights(0, &[]).unwrap().is_empty());
        for (edges, given) in [(2, vec![1]), (1, vec![0]), (1_000, vec![])] {
            assert!(weights(edges, &given).is_err());
        }
    }
}
