//! What `--help` says of every command, kept as plain files. `CYRUS_WRITE_HELP=1` writes them anew.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what does not hold")]

use std::path::PathBuf;

fn every(command: &mut clap::Command, path: &str, found: &mut Vec<(String, String)>) {
    found.push((path.to_owned(), command.render_long_help().to_string()));
    let names: Vec<String> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    for name in names.iter().filter(|name| *name != "help") {
        let below = command.find_subcommand_mut(name).unwrap();
        every(below, &format!("{path}-{name}"), found);
    }
}

#[test]
fn the_help_of_every_command_is_as_it_was_agreed_and_has_an_example() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let write = std::env::var_os("CYRUS_WRITE_HELP").is_some();
    let mut tree = edge_worker::cli::tree();
    tree.build();
    let mut all = Vec::new();
    every(&mut tree, "cyrus", &mut all);
    for (name, help) in &all {
        assert!(help.contains("Example"), "{name} has no example:\n{help}");
        let file = folder.join(format!("{name}.txt"));
        if write {
            std::fs::write(&file, help).unwrap();
        }
        let agreed = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(*help, agreed, "{name} differs; CYRUS_WRITE_HELP=1 cargo test -p edge-worker --test help");
    }
    for file in std::fs::read_dir(&folder).unwrap() {
        let file = file.unwrap().path();
        let known = all.iter().any(|(name, _)| file.file_stem().is_some_and(|stem| stem == name.as_str()));
        assert!(known, "{} is of no command; remove it", file.display());
    }
}
