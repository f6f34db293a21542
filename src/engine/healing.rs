//! Healing: a mirror that observations have seen behind for too long gets a run that nobody has asked for.
//!
//! Owns how many such runs there are at once. It is a run like any other, with every guard of one; when it is due is the
//! domain's to say.

use super::Ask;
use super::coordinator::Coordinator;
use crate::domain::duration::GoDuration;
use crate::domain::healing::{Healing, is_due};
use crate::domain::problem::Code;
use crate::domain::run::{End, Trigger};
use crate::domain::spec::{OnLegacy, RunOptions};
use crate::domain::status::Facts;

/// How many at once. When Gitea's queue hangs every mirror is behind; those that find no room here are seen again.
const AT_ONCE: usize = 8;

/// Who asks.
const OURSELVES: &str = "cutover-api";

impl Coordinator {
    /// Begins a run on a mirror that was just observed, if one is due.
    pub(super) async fn heal_if_due(&mut self, mirror: usize) {
        let status = &self.mirrors[mirror].status;
        let (facts, spec) = (&status.facts, &status.spec);
        let (now, after) = (self.around.clock.now(), self.around.policy.heals_after(spec.interval));
        let due = facts.behind.as_ref().is_some_and(|behind| is_due(behind, facts.healing.as_ref(), after, now));
        if !due || !status.mode.follows() || self.heals() >= AT_ONCE {
            return;
        }
        let healing = Healing::begun(facts.healing.as_ref(), after, now);
        let (name, since) = (spec.name.clone(), facts.behind.as_ref().map(|behind| behind.since.to_string()));
        let ask = Ask {
            mirrors: Some(vec![name.to_string()]),
            // what stands in its place is renamed only for somebody who asks, also where that is configured
            options: RunOptions { on_legacy: Some(OnLegacy::Refuse), ..RunOptions::default() },
            key: None,
            requested_by: OURSELVES.to_owned(),
            trigger: Trigger::Heal,
        };
        match self.ask(ask).await {
            Ok(accepted) => {
                let run = accepted.run.id;
                tracing::info!(mirror = %name, %run, behind_since = since, again = healing.runs, "behind for too long: healing");
                self.metrics.heals();
                std::sync::Arc::make_mut(&mut self.mirrors[mirror].status).facts.healing = Some(healing);
                self.observing.unwritten(mirror);
            }
            // it is observed again, and then it is still due
            Err(error) => {
                tracing::warn!(mirror = %name, error = %error, "behind for too long, and no run can be begun");
            }
        }
    }

    /// How many of these runs are under way.
    fn heals(&self) -> usize {
        self.in_flight.values().filter(|one| one.run.trigger == Trigger::Heal).count()
    }

    /// A run that failed in what asking again does not mend is no reason to ask again soon. One that was refused because
    /// the mirror is to stand still has tried nothing.
    pub(super) fn note_in_vain(&self, facts: &mut Facts, interval: GoDuration, end: &End) {
        if let (End::Failed { problem }, Some(healing)) = (end, facts.healing)
            && !problem.retryable
            && problem.code != Code::ModeRefuses
        {
            let after = self.around.policy.heals_after(interval);
            facts.healing = Some(healing.in_vain(after, self.around.clock.now()));
        }
    }
}
