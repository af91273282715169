#[derive(clap::Subcommand)] pub enum Command {A} pub fn run(_: &Command) -> anyhow::Result<std::process::ExitCode> { anyhow::bail!("not yet") }
