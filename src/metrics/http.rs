//! Counters of the service's own answers.
//!
//! Owns the guard that counts a request also when its caller goes away in the middle of it.

use std::sync::Arc;

use tokio::time::Instant;

use super::Metrics;

/// The code of a request whose caller has gone before the answer, as nginx has it.
const CALLER_GONE: u16 = 499;

/// The methods that have a label of their own; any other is `OTHER`, so that a scanner cannot add series.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The route of an unknown path.
const NO_ROUTE: &str = "other";

/// A request that is being answered. Dropped without [`RequestGuard::answered`], its caller has gone.
#[derive(Debug)]
pub struct RequestGuard {
    metrics: Arc<Metrics>,
    method: &'static str,
    route: String,
    began: Instant,
    code: u16,
    /// Whether it counts in the durations.
    timed: bool,
}

impl Metrics {
    /// A request has come in; `route` is the template that it matched, if any.
    #[must_use]
    pub fn request_received(self: &Arc<Self>, method: &str, route: Option<&str>) -> RequestGuard {
        self.http_in_flight.inc();
        self.received(method, route, true)
    }

    /// A request for a stream of events has come in. It is not timed: an open stream is no slow answer.
    #[must_use]
    pub fn stream_requested(self: &Arc<Self>, method: &str, route: &str) -> RequestGuard {
        self.received(method, Some(route), false)
    }

    fn received(self: &Arc<Self>, method: &str, route: Option<&str>, timed: bool) -> RequestGuard {
        let method = METHODS.iter().copied().find(|known| *known == method).unwrap_or("OTHER");
        let route = route.unwrap_or(NO_ROUTE).to_owned();
        RequestGuard { metrics: Arc::clone(self), method, route, began: Instant::now(), code: CALLER_GONE, timed }
    }
}

impl RequestGuard {
    /// It was answered.
    pub fn answered(mut self, code: u16) {
        self.code = code;
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let metrics = &self.metrics;
        metrics.http_requests.with_label_values(&[self.method, &self.route, &self.code.to_string()]).inc();
        if self.timed {
            metrics.http_in_flight.dec();
            let took = self.began.elapsed().as_secs_f64();
            metrics.http_duration.with_label_values(&[self.method, &self.route]).observe(took);
        }
    }
}
