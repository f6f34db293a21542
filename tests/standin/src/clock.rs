//! The one clock of a stand-in: wall time as a base plus tokio's elapsed time, and delays that a speed
//! factor shortens. Never reads the system's time by itself: a paused test must see a paused wall clock.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::time::Instant;

/// Wall time and delays.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    base: Timestamp,
    start: Instant,
    speed: u32,
}

impl Clock {
    pub(crate) fn new(base: SystemTime, speed: u32) -> Self {
        let base = Timestamp::try_from(base).unwrap_or(Timestamp::UNIX_EPOCH);
        Self { base, start: Instant::now(), speed: speed.max(1) }
    }

    /// Now, in full resolution.
    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = Instant::now().saturating_duration_since(self.start);
        self.base.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// Now, as a database column of Gitea's keeps it: whole seconds.
    pub(crate) fn second(&self) -> Timestamp {
        Timestamp::from_second(self.now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    pub(crate) fn system_time(&self) -> SystemTime {
        SystemTime::from(self.now())
    }

    /// A delay as the speed factor leaves it.
    pub(crate) fn scaled(&self, delay: Duration) -> Duration {
        delay / self.speed
    }

    pub(crate) async fn sleep(&self, delay: Duration) {
        let delay = self.scaled(delay);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    /// The `Date` header of an answer sent now (RFC 9110, section 5.6.7).
    pub(crate) fn http_date(&self) -> String {
        self.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }
}

/// RFC 3339 with seconds, as Gitea prints a time in UTC.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_wall_clock_follows_paused_time() {
        let clock = Clock::new(SystemTime::UNIX_EPOCH, 1);
        tokio::time::sleep(Duration::from_millis(784_111_777_900)).await;
        assert_eq!(rfc3339(clock.now()), "1994-11-06T08:49:37Z");
        assert_eq!(clock.http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(clock.second().subsec_nanosecond(), 0);
    }
}
