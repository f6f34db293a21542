//! Composition: builds the parts, wires them, serves, and ends them in order.
//!
//! Owns what depends on everything else. Holds no rule about mirrors: those are in `domain`.

mod callers;
mod command;
mod listener;
mod platform;
mod serve;
mod timed_stream;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::api::{self, ApiState, Hook, Hooks, OriginPolicy, Streams};
use crate::clock::Clock;
use crate::config::{Config, MirrorConfig, NotificationsConfig};
use crate::engine::{Engine, Mirror, Parts};
use crate::git::Lister;
use crate::gitea::Client;
use crate::journal::{Journal, JournalError};
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::shutdown::Shutdown;
use crate::transport::{Observer, Transport};

pub use command::run;
pub use serve::{Ended, StartError, serve};

/// The service without its sockets.
#[derive(Debug)]
pub struct Service {
    /// Answers requests.
    pub router: Router,
    /// Does the work.
    pub engine: Engine,
    /// Ends when all work has come to rest after a shutdown.
    pub tasks: TaskTracker,
}

/// The metrics of a service with this configuration.
#[must_use]
pub fn metrics_for(config: &Config) -> Arc<Metrics> {
    let revision = option_env!("CUTOVER_REVISION").unwrap_or("unknown");
    Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), revision, config.policy.run))
}

/// Builds the service on a transport and a journal, and resumes the runs that an earlier process had accepted.
///
/// # Errors
/// The journal cannot be read.
pub async fn assemble(
    config: &Config,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    journal: Journal,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
) -> Result<Service, JournalError> {
    let gitea = Client::new(config.gitea.url.clone(), Arc::clone(&transport), Arc::clone(&config.gitea.credential))
        .trusting(config.gitea.bundle.clone());
    let bundles =
        config.mirrors.iter().filter_map(|mirror| Some((mirror.spec.upstream.clone(), mirror.bundle.clone()?)));
    let mirrors = config
        .mirrors
        .iter()
        .map(|mirror| Mirror { spec: Arc::clone(&mirror.spec), credential: Arc::clone(&mirror.credential) });
    let counted = Arc::clone(&metrics);
    journal.count_unreadable_rows(Arc::new(move |table| counted.journal_row_unreadable(table))).await?;
    let wake = Arc::new(Notify::new());
    let platform = platform::platform(config, &transport, &metrics);
    let (engine, tasks) = Engine::start(Parts {
        mirrors: mirrors.collect(),
        gitea,
        lister: Lister::new(Arc::clone(&transport)).trusting(config.gitea.bundle.clone(), bundles.collect()),
        journal: journal.clone(),
        clock: Arc::clone(&clock),
        policy: config.policy.clone(),
        metrics: Arc::clone(&metrics),
        shutdown: shutdown.clone(),
        teller: config.notifications.as_ref().map(|_| Arc::clone(&wake)),
        platform: platform.clone(),
    })
    .await?;
    if let Some(NotificationsConfig { url, proxied, secret }) = config.notifications.clone() {
        let (clock, metrics) = (Arc::clone(&clock), Arc::clone(&metrics));
        let notifier = Notifier {
            url,
            proxied,
            secret,
            transport: Arc::clone(&transport),
            journal,
            clock,
            metrics,
            shutdown,
            wake,
        };
        tasks.spawn(notifier.run());
    }
    if let Some(platform) = platform {
        // read once now, so that the first read of the status has it
        platform.cutover_complete();
    }
    let access = callers::access(config, &transport, &clock);
    let origins = OriginPolicy { hosts: config.hosts.clone(), origins: config.origins.clone() };
    let hook = |mirror: &MirrorConfig| {
        let hook = Hook { spec: Arc::clone(&mirror.spec), secrets: Arc::clone(&mirror.webhook) as _ };
        (mirror.spec.name.to_string(), hook)
    };
    let hooks: Hooks = config.mirrors.iter().map(hook).collect();
    // an open stream holds its connection; three of four connections are for other requests
    let streams = Streams::at_most(config.connections / 4);
    let router = api::router(ApiState::new(engine.clone(), access, origins, hooks, metrics, clock, streams));
    Ok(Service { router, engine, tasks })
}

/// Counts every outgoing request in the metrics.
pub struct Counting(pub Arc<Metrics>);

impl Observer for Counting {
    fn sent(&self, operation: &'static str, status: Option<u16>, took: Duration) {
        self.0.request_sent(operation, status, took);
    }

    fn bundle(&self, setting: &str, usable: bool) {
        self.0.ca_bundle(setting, usable);
    }
}
