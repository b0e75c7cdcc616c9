//! How a running server, and each stream in it, hears that it is to stop.

use tokio::sync::watch;

/// Completes when the server is to stop.
pub(crate) async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender, and with it the server, is gone: that is a stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}
