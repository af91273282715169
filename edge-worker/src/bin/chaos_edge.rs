//! `cyrus-chaos-edge`: the real stream client, journal, acks and leases of `cyrus`, with a workshop that does nothing
//! but append to a file. For chaos tests alone; it is no part of what is delivered.
//!
//! It may be killed at any instant and started again with the same arguments.

#[path = "chaos_edge/bookkeeper.rs"]
mod bookkeeper;
#[path = "chaos_edge/ledger.rs"]
mod ledger;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use edge_worker::http;
use edge_worker::journal::Journal;
use edge_worker::proxy::client::ProxyClient;
use edge_worker::proxy::stream::transport::Transport;
use edge_worker::worker::boot_clock::BootClock;
use edge_worker::worker::leases::Leases;
use edge_worker::worker::linear_budget::LinearUse;
use edge_worker::worker::{self, Ended, Station};
use shared::id::WorkerId;
use shared::stream::PROTOCOL;
use shared::worker::Registration;
use shared::worker_key::WorkerKey;

use bookkeeper::Bookkeeper;
use ledger::Ledger;

/// An edge that only keeps a ledger of what it handled.
#[derive(Parser)]
#[command(name = "cyrus-chaos-edge", version)]
struct Arguments {
    /// The proxy's address.
    #[arg(long)]
    proxy: String,
    /// The journal's folder.
    #[arg(long)]
    state: PathBuf,
    /// The file to append to.
    #[arg(long)]
    ledger: PathBuf,
    /// The folder with the ledgers of all edges (`*.ndjson`).
    #[arg(long)]
    ledgers: PathBuf,
    /// The worker's name.
    #[arg(long)]
    name: String,
    /// Sessions at once.
    #[arg(long, default_value_t = 250)]
    slots: u32,
    /// Its share against others.
    #[arg(long, default_value_t = 1)]
    weight: u32,
    /// `auto`, `ndjson` or `websocket`.
    #[arg(long, default_value = "auto", value_parser = transport)]
    transport: Transport,
    /// While this file is there, events are taken and none is handled.
    #[arg(long)]
    hold: Option<PathBuf>,
    /// The worker key.
    #[arg(env = "CONTROL_PANEL_API_KEY", hide_env_values = true, long, hide = true)]
    key: String,
}

fn transport(text: &str) -> Result<Transport, String> {
    text.parse().map_err(|()| "it is `auto`, `ndjson` or `websocket`".to_owned())
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).with_ansi(false).init();
    match start(Arguments::parse()) {
        Ok(Ended::Stopped) => ExitCode::SUCCESS,
        Ok(ended) => {
            tracing::error!("{ended:?}");
            ExitCode::FAILURE
        }
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> anyhow::Result<Ended> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(async { worker::run(station(arguments)?).await })?;
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    Ok(ended)
}

fn station(arguments: Arguments) -> anyhow::Result<Station> {
    let key = WorkerKey::parse(&arguments.key).ok().context("CONTROL_PANEL_API_KEY holds no worker key")?;
    let journal = Journal::open(&arguments.state, WorkerId::from_uuid(worker::fresh_uuid()))?;
    let base = arguments.proxy.trim_end_matches('/').to_owned();
    let proxy = ProxyClient::new(http::client()?, base, key, journal.worker_id());
    let registration = Registration {
        worker_id: Some(journal.worker_id()),
        name: arguments.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL,
        repositories: Vec::new(),
        teams: Vec::new(),
        executors: Vec::new(),
        slots: arguments.slots,
        weight: arguments.weight,
    };
    let ledger = Ledger::open(arguments.ledger, arguments.ledgers, arguments.name)?;
    Ok(Station {
        journal,
        proxy,
        registration,
        transport: arguments.transport,
        clock: Arc::new(BootClock),
        leases: Leases::default(),
        linear_use: LinearUse::default(),
        workshop: Arc::new(Bookkeeper::new(ledger, arguments.hold)),
    })
}
