//! Ctrl-C and SIGTERM as a flag, so that whoever waits stops waiting and everything is cleaned up on the way out.

use anyhow::{Context, Result};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};
use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicBool, Ordering},
};

static REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From now on these signals set the flag instead of ending the process.
pub fn install() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(&REQUESTED)).context("cannot handle signals")?;
    }
    Ok(())
}

/// Somebody asked us to end.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
