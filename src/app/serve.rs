//! The service on its socket, from start to exit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{Counting, Service, assemble, listener, metrics_for};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::domain::answer::Trouble;
use crate::journal::{Journal, JournalError, OpenError};
use crate::shutdown::Shutdown;
use crate::transport::HttpTransport;

/// How long requests that are being answered may take once the shutdown has begun. Kubernetes waits 30 s, and no answer
/// is slow: runs are left to the next start.
const REQUESTS: Duration = Duration::from_secs(3);

/// How long the engine's tasks may take after that.
const TASKS: Duration = Duration::from_secs(1);

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory or the journal in it.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The journal's content.
    #[error("the journal cannot be read: {0}")]
    Content(#[from] JournalError),
    /// The address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// SIGTERM and SIGINT cannot be listened for.
    #[error("signals cannot be listened for: {0}")]
    Signals(std::io::Error),
    /// The HTTP client.
    #[error("the HTTP client cannot be set up: {0}")]
    Transport(String),
}

/// How the service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything came to rest.
    Clean,
    /// Something had to be dropped; the journal has what is needed to resume.
    Forced,
    /// Without a request to end.
    Broken,
}

/// Serves until `shutdown` begins, or until SIGTERM or SIGINT. `listening` is told the address once it answers there.
///
/// # Errors
/// [`StartError`]; nothing has been changed.
pub async fn serve(
    config: &Config,
    shutdown: Shutdown,
    listening: impl FnOnce(SocketAddr),
) -> Result<Ended, StartError> {
    let signals = end_on_signals(&shutdown).map_err(StartError::Signals)?;
    let journal = Journal::open_or_wait(&config.state_dir)?;
    let metrics = metrics_for(config);
    let transport = HttpTransport::with(config.outbound.clone(), Some(Arc::new(Counting(Arc::clone(&metrics)))))
        .map_err(|trouble: Trouble| StartError::Transport(trouble.detail))?;
    let transport = match &config.kubernetes {
        Some(kubernetes) => transport.trusting(kubernetes.ca_file.clone()),
        None => transport,
    };
    let refused = |source| StartError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let clock = Arc::new(SystemClock);
    let Service { router, engine, tasks } =
        assemble(config, Arc::new(transport), clock, journal.clone(), metrics, shutdown.clone()).await?;
    let mut server = tokio::spawn(listener::serve(listener, router, config.connections, shutdown.clone()));
    tracing::info!(%address, mirrors = config.mirrors.len(), "serving");
    listening(address);

    let broken = tokio::select! {
        () = shutdown.begun() => false,
        () = engine.ended() => !shutdown.has_begun(),
    };
    if broken {
        tracing::error!("internal error: the engine has ended; exiting, so that a restart repairs it");
        shutdown.begin();
    } else {
        tracing::info!("shutting down; accepted runs resume after the next start");
    }
    // recorded first: however little time is left, the runs in flight have not crashed this process
    let noted = async {
        if !broken && let Err(error) = journal.end_cleanly().await {
            tracing::warn!(error = %error, "clean shutdown not recorded; the next start will count a crash");
        }
    };
    let (requests, _) = tokio::join!(within(REQUESTS, &shutdown, &mut server), within(REQUESTS, &shutdown, noted));
    server.abort();
    tasks.close();
    let work = within(TASKS, &shutdown, tasks.wait()).await;
    shutdown.force();
    signals.abort();
    let ended = match (broken, requests && work) {
        (true, _) => Ended::Broken,
        (false, true) => Ended::Clean,
        (false, false) => Ended::Forced,
    };
    tracing::info!(clean = ended == Ended::Clean, "service ended");
    Ok(ended)
}

/// Whether something ended in time, and before a second signal.
async fn within(limit: Duration, shutdown: &Shutdown, what: impl Future) -> bool {
    tokio::select! {
        ended = tokio::time::timeout(limit, what) => ended.is_ok(),
        () = shutdown.forced() => false,
    }
}

/// Begins the shutdown at the first SIGTERM or SIGINT, and forces it at the second.
fn end_on_signals(shutdown: &Shutdown) -> std::io::Result<tokio::task::JoinHandle<()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shutdown = shutdown.clone();
    Ok(tokio::spawn(async move {
        for asked_again in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if asked_again {
                shutdown.force();
            } else {
                shutdown.begin();
            }
        }
    }))
}
