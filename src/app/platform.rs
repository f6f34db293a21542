//! The platform's status, where it is configured, and the counting of writes to it.

use std::sync::Arc;

use super::Counting;
use super::callers::api_server;
use crate::config::Config;
use crate::domain::platform::Platform;
use crate::kube::{StatusConfigMap, WriteObserver};
use crate::metrics::Metrics;
use crate::transport::Transport;

/// The platform of a configuration.
pub(super) fn platform(
    config: &Config,
    transport: &Arc<dyn Transport>,
    metrics: &Arc<Metrics>,
) -> Option<Arc<dyn Platform>> {
    let kubernetes = config.kubernetes.as_ref()?;
    let name = kubernetes.status.clone()?;
    let (server, counting) = (api_server(kubernetes, transport), Arc::new(Counting(Arc::clone(metrics))));
    Some(Arc::new(StatusConfigMap::new(server, name.namespace, name.name, counting)))
}

impl WriteObserver for Counting {
    fn written(&self, well: bool) {
        self.0.platform_status_written(well);
    }
}
