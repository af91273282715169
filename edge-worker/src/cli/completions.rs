//! `cyrus completions`: the script that completes commands and flags in a shell.

use clap::Args;
use clap_complete::Shell;

use super::failure::{Exit, Failure};
use super::{Context, tree};

/// Prints the completion script of a shell.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cyrus completions bash > ~/.local/share/bash-completion/completions/cyrus\n  cyrus completions zsh > ~/.zfunc/_cyrus\n  cyrus completions fish > ~/.config/fish/completions/cyrus.fish"
)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    /// Prints it.
    pub fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut tree(), "cyrus", &mut script);
        context.say.raw(&String::from_utf8_lossy(&script));
        Ok(Exit::Done)
    }
}
