//! `unready-collector`: listens on one port, keeps verdicts in one file, ends on SIGTERM or SIGINT.
//!
//! Exit status: 0 told to end, 1 it cannot work (one sentence on stderr), 2 usage.
#![forbid(unsafe_code)]

use anyhow::Context as _;
use clap::Parser;
use std::{
    io::{self, IsTerminal as _},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;
use unready_collector::{serve, store::sqlite::Sqlite};

/// Receives verdicts from agents, keeps them, and answers `unready get`.
#[derive(Debug, Parser)]
#[command(name = "unready-collector", version)]
struct Args {
    /// Address and port to listen on. There is no encryption or authentication yet: keep it on the loopback or a network that you trust
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:50051")]
    listen: SocketAddr,
    /// File that holds the verdicts (`SQLite`); made when it does not exist
    #[arg(long, value_name = "PATH", default_value = "unready.db")]
    database: PathBuf,
    /// Verdicts to keep; resolved ones go first, then the oldest
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    keep: u64,
    /// What to log to stderr, e.g. warn, debug, or `unready_collector=debug`
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: EnvFilter,
}

fn main() -> ExitCode {
    let Args { listen, database, keep, log } = Args::parse();
    let ansi = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(log).with_writer(io::stderr).with_ansi(ansi).with_target(false).init();
    match run(listen, &database, keep) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("unready-collector: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(listen: SocketAddr, database: &std::path::Path, keep: u64) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let listener = TcpListener::bind(listen).await.map_err(|error| cannot_listen(listen, &error))?;
        let store = Arc::new(Sqlite::open(database, keep)?);
        let address = listener.local_addr()?;
        tracing::info!("listening on http://{address}, database {}", database.display());
        if !address.ip().is_loopback() {
            tracing::warn!("whoever reaches {address} can read and write verdicts: there is no encryption or authentication yet");
        }
        serve(listener, store, async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("shutting down");
        })
        .await?;
        Ok(())
    })
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> anyhow::Error {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list is open; what the system says is passed on")]
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow::anyhow!("{address} is in use by another program; end that program, or choose another address with --listen")
        }
        io::ErrorKind::AddrNotAvailable => {
            anyhow::anyhow!("{} is no address of this machine; choose another with --listen", address.ip())
        }
        io::ErrorKind::PermissionDenied => {
            anyhow::anyhow!("port {} needs a right that this user does not have; choose one above 1023 with --listen", address.port())
        }
        _ => anyhow::anyhow!("cannot listen on {address}: {error}"),
    }
}
