//! Which upstream hosts have asked to be left alone, and until when.
//!
//! Owns that memory: a forge limits who asks, not for which repository. Only observations keep to it; a run, which somebody waits
//! for, keeps to the pause that it is given itself.

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
pub(super) struct Origins(Mutex<HashMap<Origin, Instant>>);

impl Origins {
    /// Takes note of what a host has answered.
    pub(super) fn note(&self, origin: Origin, answer: &UpstreamAnswer) {
        let UpstreamAnswer::Trouble(trouble) = answer else { return };
        let pause = match (trouble.retry_after, trouble.kind) {
            (Some(asked), _) => asked.min(LONGEST),
            (None, TroubleKind::Busy) => UNSAID,
            (None, _) => return,
        };
        let now = Instant::now();
        let mut resting = self.0.lock().expect("no code panics while holding this lock");
        resting.retain(|_, until| *until > now);
        let until = resting.entry(origin).or_insert(now);
        *until = (*until).max(now + pause);
    }

    /// Until when a host is to be left alone, if it is.
    pub(super) fn rests_until(&self, origin: &Origin) -> Option<Instant> {
        let resting = self.0.lock().expect("no code panics while holding this lock");
        resting.get(origin).copied().filter(|until| *until > Instant::now())
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
        for (host, kind, asked, rests) in [
            ("a.test", TroubleKind::Busy, Some(7), Some(7)),
            ("b.test", TroubleKind::Busy, None, Some(60)),
            ("c.test", TroubleKind::Busy, Some(1_000_000), Some(3_600)),
            ("d.test", TroubleKind::ServerError, None, None),
            ("e.test", TroubleKind::ServerError, Some(5), Some(5)),
        ] {
            origins.note(origin(host), &answer(kind, asked));
            assert_eq!(left(host), rests.map(Duration::from_secs), "{host}");
        }
        origins.note(origin("b.test"), &answer(TroubleKind::Busy, Some(1)));
        assert_eq!(left("b.test"), Some(Duration::from_mins(1)), "a shorter pause ends no longer one");
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(left("a.test"), None);
        assert_eq!(left("x.test"), None);
    }
}
