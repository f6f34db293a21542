//! Which upstream hosts have asked to be left alone, and until when.
//!
//! Owns that memory: a forge limits who asks, not for which repository. Observations keep to it. A run, which somebody waits
//! for, reads upstream unless it was given a pause itself; but it does not send Gitea there before a pause is over that the
//! host has asked anybody for.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::answer::{TroubleKind, UpstreamAnswer};
use crate::domain::url::Origin;

/// How long a host is left alone that is busy and does not say for how long.
const UNSAID: Duration = Duration::from_mins(1);

/// The longest that a host is left alone, whatever it says.
const LONGEST: Duration = Duration::from_hours(1);

/// Shared by all who read upstream.
#[derive(Debug, Default)]
pub(super) struct Origins(Mutex<HashMap<Origin, Resting>>);

/// Until when a host is left alone.
#[derive(Clone, Copy, Debug)]
struct Resting {
    until: Instant,
    /// As far as it has asked for that.
    asked: Option<Instant>,
}

impl Origins {
    /// Takes note of what a host has answered: until when it asks to be left alone, if it does.
    pub(super) fn note(&self, origin: Origin, answer: &UpstreamAnswer) -> Option<Instant> {
        let UpstreamAnswer::Trouble(trouble) = answer else { return None };
        let now = Instant::now();
        let asked = trouble.retry_after.map(|asked| now + asked.min(LONGEST));
        let until = asked.or_else(|| (trouble.kind == TroubleKind::Busy).then(|| now + UNSAID))?;
        let mut hosts = self.0.lock().expect("no code panics while holding this lock");
        hosts.retain(|_, resting| resting.until > now);
        let resting = hosts.entry(origin).or_insert(Resting { until, asked });
        (resting.until, resting.asked) = (resting.until.max(until), resting.asked.max(asked));
        asked
    }

    /// Until when a host is to be left alone, if it is.
    pub(super) fn rests_until(&self, origin: &Origin) -> Option<Instant> {
        self.resting(origin).map(|resting| resting.until).filter(|until| *until > Instant::now())
    }

    /// Until when it has asked for that, if it has.
    pub(super) fn asked_until(&self, origin: &Origin) -> Option<Instant> {
        self.resting(origin)?.asked.filter(|until| *until > Instant::now())
    }

    fn resting(&self, origin: &Origin) -> Option<Resting> {
        self.0.lock().expect("no code panics while holding this lock").get(origin).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::answer::Trouble;
    use crate::domain::url::UpstreamUrl;

    #[tokio::test(start_paused = true)]
    async fn a_host_is_left_alone_for_as_long_as_it_asks_for_and_for_an_hour_at_most() {
        let origins = Origins::default();
        let origin = |host: &str| UpstreamUrl::parse(&format!("https://{host}/a/b")).unwrap().origin();
        let answer = |kind, seconds: Option<u64>| {
            let retry_after = seconds.map(Duration::from_secs);
            UpstreamAnswer::Trouble(Trouble { retry_after, ..Trouble::maybe_sent(kind, "x") })
        };
        let left = |host: &str| origins.rests_until(&origin(host)).map(|until| until - Instant::now());
        let asked_for = |host: &str| origins.asked_until(&origin(host)).map(|until| until - Instant::now());
        for (host, kind, asked, rests) in [
            ("a.test", TroubleKind::Busy, Some(7), Some(7)),
            ("b.test", TroubleKind::Busy, None, Some(60)),
            ("c.test", TroubleKind::Busy, Some(u64::MAX), Some(3_600)),
            ("d.test", TroubleKind::ServerError, None, None),
            ("e.test", TroubleKind::ServerError, Some(5), Some(5)),
            ("f.test", TroubleKind::Busy, Some(0), None),
        ] {
            origins.note(origin(host), &answer(kind, asked));
            assert_eq!(left(host), rests.map(Duration::from_secs), "{host}");
            assert_eq!(asked_for(host), rests.filter(|_| asked.is_some()).map(Duration::from_secs), "{host}");
        }
        origins.note(origin("b.test"), &answer(TroubleKind::Busy, Some(1)));
        assert_eq!(left("b.test"), Some(Duration::from_mins(1)), "a shorter pause ends no longer one");
        assert_eq!(asked_for("b.test"), Some(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(left("a.test"), None);
        assert_eq!(left("x.test"), None);
    }
}
