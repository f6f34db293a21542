//! What our own answers count.
//!
//! Owns the guard that counts a request also when its caller goes away in the middle of it.

use std::sync::Arc;

use tokio::time::Instant;

use super::Metrics;

/// What a caller that has gone before the answer counts as; nginx's number.
const CALLER_GONE: u16 = 499;

/// The methods that stand in a label by name; any other is `OTHER`, lest a scanner makes the series.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The route that shows what is counted. That it was asked for is no reason to count anew for the next who asks.
const SCRAPE: &str = "/metrics";

/// The route of a path that is none.
const NO_ROUTE: &str = "other";

/// A request that is being answered. Dropped without [`InFlight::answered`], its caller has gone.
#[derive(Debug)]
pub struct InFlight {
    metrics: Arc<Metrics>,
    method: &'static str,
    route: String,
    began: Instant,
    code: u16,
    /// Whether how long it takes says anything.
    timed: bool,
}

impl Metrics {
    /// A request has come in; `route` is the template that it matched, if any.
    #[must_use]
    pub fn request_received(self: &Arc<Self>, method: &str, route: Option<&str>) -> InFlight {
        self.http_in_flight.inc();
        self.received(method, route, true)
    }

    /// A request for a stream of events has come in. An open stream is not a slow answer, so it is only counted.
    #[must_use]
    pub fn stream_asked_for(self: &Arc<Self>, method: &str, route: &str) -> InFlight {
        self.received(method, Some(route), false)
    }

    fn received(self: &Arc<Self>, method: &str, route: Option<&str>, timed: bool) -> InFlight {
        let method = METHODS.iter().copied().find(|known| *known == method).unwrap_or("OTHER");
        let route = route.unwrap_or(NO_ROUTE).to_owned();
        self.changed_by(&route);
        InFlight { metrics: Arc::clone(self), method, route, began: Instant::now(), code: CALLER_GONE, timed }
    }

    fn changed_by(&self, route: &str) {
        if route != SCRAPE {
            self.changed();
        }
    }
}

impl InFlight {
    /// It was answered.
    pub fn answered(mut self, code: u16) {
        self.code = code;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let metrics = &self.metrics;
        metrics.http_requests.with_label_values(&[self.method, &self.route, &self.code.to_string()]).inc();
        if self.timed {
            metrics.http_in_flight.dec();
            let took = self.began.elapsed().as_secs_f64();
            metrics.http_duration.with_label_values(&[self.method, &self.route]).observe(took);
        }
        metrics.changed_by(&self.route);
    }
}
