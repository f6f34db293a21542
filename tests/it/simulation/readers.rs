//! Who reads where things stand, and so has observations made among the faults; and what must hold of what readers are
//! told. The record of the wire, not the service, is believed.

use std::time::Duration;

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::Value;
use standin::Refs;
use tokio::time::Instant;

use super::shared::{Reading, Shared};
use super::story::Story;

impl Story {
    /// Somebody reads where things stand, at one of the services or at all of them, and is told the truth at once.
    pub(super) async fn readers(&mut self) {
        for who in 0..self.services.len() {
            self.shared.slot(self.services.len(), "").await;
            let asked = Instant::now();
            let Some((status, body)) = self.services[who].send(Method::GET, "/status", "").await else { continue };
            if status != StatusCode::OK || asked.elapsed() > Duration::ZERO {
                self.shared.broken(&format!("a reader was kept waiting for {:?}: {status}", asked.elapsed()));
            }
            let freshness = &body["mirrors"][0]["freshness"];
            self.shared.note(&format!("s{who} tells {} {}", freshness["state"], freshness["reason"]));
            *self.freshness.entry(freshness["state"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
            judge_freshness(&self.shared, who, &body["mirrors"][0], self.setting.prune);
        }
    }

    /// All is well, and a run has just proven it: no reader is told anything else, now or when that is old.
    pub(super) async fn stays_fresh(&mut self, who: usize) {
        for pause in [0, 65, 15] {
            self.pass(Duration::from_secs(pause)).await;
            self.readers().await;
            let Some((_, mirror)) = self.services[who].send(Method::GET, "/status/one", "").await else { continue };
            if mirror["freshness"]["state"] != "fresh" {
                self.shared.broken(&format!("all is well and proven, and readers are told {}", mirror["freshness"]));
            }
        }
    }
}

/// Judges what is told of the mirror: `fresh` only by a proof, whoever made it. That is a reading of one side at that
/// very time and one of the other side since, in which Gitea held what upstream had.
fn judge_freshness(shared: &Shared, who: usize, mirror: &Value, prune: bool) {
    let freshness = &mirror["freshness"];
    let (state, behind) = (freshness["state"].as_str().unwrap_or_default(), &freshness["behindSince"]);
    if (state == "behind") == behind.is_null()
        || (state == "fresh") != (freshness["refsBehind"] == 0 && behind.is_null())
    {
        shared.broken(&format!("a freshness that contradicts itself: {freshness}"));
    }
    if state != "fresh" {
        return;
    }
    let Some(at) = freshness["provenAt"].as_str().and_then(|at| at.parse::<Timestamp>().ok()) else {
        shared.broken(&format!("fresh without a proof: {freshness}"));
        return;
    };
    let equal = {
        let state = shared.state();
        let mine = |one: &&Reading| one.who == who && one.wall >= at;
        let equal = |upstream: &Refs, gitea: &Refs| {
            let there = upstream.iter().all(|(name, id)| gitea.get(name) == Some(id));
            !upstream.is_empty() && there && (!prune || gitea.len() == upstream.len())
        };
        state.readings.iter().filter(mine).filter(|one| one.wall == at).any(|one| {
            state.readings.iter().filter(mine).filter(|other| other.of_gitea != one.of_gitea).any(|other| {
                let (upstream, gitea) = if one.of_gitea { (other, one) } else { (one, other) };
                upstream.held.iter().any(|theirs| gitea.held.iter().any(|ours| equal(theirs, ours)))
            })
        })
    };
    if !equal {
        shared.broken(&format!("fresh, and the refs were not equal at {at}: {freshness}"));
    }
}
