//! Mirrors that are pinned, severed and let follow again in the midst of it all.

use std::time::Duration;

use http::{Method, StatusCode};

use super::oracle::NEEDS_A_PERSON;
use super::rng::Rng;
use super::story::Story;
use super::{OWNER, REPO};

/// How long a word may take to be carried out once all is well: a sync that was asked for before has its time.
const SOON: Duration = Duration::from_mins(12);

impl Story {
    /// Says how the mirror is to be run, and hangs up at once.
    pub(super) async fn sets_a_mode(&mut self, rng: &mut Rng) {
        let who = usize::try_from(rng.below(self.services.len() as u64)).unwrap();
        let mode = *rng.pick(&["pinned", "severed", "follow"]);
        self.say(who, mode).await;
    }

    async fn say(&mut self, who: usize, mode: &'static str) {
        let service = &self.services[who];
        if !service.runs() {
            return;
        }
        if mode == "follow" {
            self.shared.state().still.remove(&who);
        }
        self.shared.slot(self.services.len(), "").await;
        let body = format!("{{\"mode\":\"{mode}\"}}");
        let put = service.send(Method::PUT, "/mirrors/one/mode", &body);
        let answer = tokio::time::timeout(Duration::from_millis(50), put).await;
        let answer = answer.map(|answer| answer.map(|(status, _)| status));
        let now = self.mode_of(who).await;
        self.shared.note(&format!("s{who} PUT mode {mode} -> {answer:?}, it is {now:?}"));
        if now.as_deref() == Some(mode) && mode != "follow" {
            self.shared.state().still.insert(who, mode);
        }
    }

    async fn mode_of(&self, who: usize) -> Option<String> {
        let (status, mirror) = self.services[who].send(Method::GET, "/status/one", "").await?;
        (status == StatusCode::OK).then(|| mirror["mode"].as_str().unwrap().to_owned())
    }

    /// A mirror that must stand still does, whoever has had it synced, once somebody has looked and nothing is in the way.
    /// Two services that were told different things have no such promise.
    pub(super) async fn stand_still(&mut self) {
        let still = self.shared.state().still.get(&0).copied();
        let (Some(mode), 1) = (still, self.services.len()) else { return };
        // what Gitea had begun ends, and then somebody looks
        for _ in 0..5 {
            self.pass(Duration::from_secs(75)).await;
            self.mode_of(0).await;
        }
        self.pass(Duration::from_secs(15)).await;
        let ours = self.shared.upstream.url("one");
        let moves = self.shared.gitea.repository(OWNER, REPO).filter(|view| {
            let mirror = view.mirror && !view.placeholder && view.original_url == ours;
            mirror && view.interval != Some(Duration::ZERO)
        });
        if let Some(view) = moves {
            let (_, told) = self.services[0].send(Method::GET, "/status/one", "").await.unwrap_or_default();
            let what = format!("a mirror that is {mode} has the interval {:?}: {told}", view.interval);
            self.shared.broken(&what);
        }
    }

    /// Every mirror follows again, in Gitea, too.
    pub(super) async fn all_follow(&mut self) {
        if self.setting.modes {
            // one that was stopped by a service that has lost its journal since is found so by whoever looks next
            for _ in 0..2 {
                for who in 0..self.services.len() {
                    self.mode_of(who).await;
                }
                self.pass(Duration::from_secs(75)).await;
            }
        }
        let began = tokio::time::Instant::now();
        for who in 0..self.services.len() {
            self.say(who, "follow").await;
        }
        for who in 0..self.services.len() {
            loop {
                let Some((_, mirror)) = self.services[who].send(Method::GET, "/status/one", "").await else { return };
                let change = &mirror["modeChange"];
                let problem = change["problem"]["error"].as_str().unwrap_or_default().to_owned();
                if mirror["mode"] == "follow" && change["applied"] == true {
                    break;
                }
                if NEEDS_A_PERSON.contains(&problem.as_str()) && mirror["phase"] == "idle" {
                    break;
                }
                // another service may have found it stopped before this one had set it going
                if mirror["mode"] != "follow" {
                    self.say(who, "follow").await;
                }
                if began.elapsed() > SOON {
                    self.shared.broken(&format!("a mirror is not let follow although all is well: {mirror}"));
                    return;
                }
                self.pass(Duration::from_secs(2)).await;
            }
        }
    }
}
