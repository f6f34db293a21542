//! Webhooks' deliveries: to which run each leads, and which have come before.
//!
//! A delivery says that upstream has just changed, so that only a proof read after it answers it. A burst of them is
//! one piece of work: each joins the run in flight, which is proven anew once when upstream had been read before. Owns
//! what is remembered of deliveries' names, which is bounded, and lost at no cost but a look too many. The pushes that they
//! name are facts of the mirror: a push that upstream does not show yet is owed, across runs and restarts.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::asking::unavailable;
use super::coordinator::Coordinator;
use super::{Ask, Delivered, Delivery, NotAccepted};
use crate::domain::names::MirrorName;
use crate::domain::run::{RunId, Status, Trigger};
use crate::domain::spec::RunOptions;
use crate::domain::webhook::{Push, Reason};
use crate::journal::KnownDelivery;

/// How many deliveries are remembered.
const KEPT: usize = 4_096;

/// How long a forge gets to show a change of which its webhook names no object: some send their webhooks before every
/// one of their servers knows.
pub(super) const NOT_SHOWN_YET: Duration = Duration::from_secs(2);

type Name = (MirrorName, Box<str>);

/// What is remembered of deliveries.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    runs: HashMap<Name, RunId>,
    /// Oldest first.
    order: VecDeque<Name>,
    /// Those of which the journal does not know.
    unwritten: Vec<KnownDelivery>,
}

impl Deliveries {
    /// Those that an earlier process has written down, oldest first.
    pub(super) fn known(deliveries: Vec<KnownDelivery>) -> Self {
        let mut new = Self::default();
        for one in deliveries {
            new.remember((one.mirror, one.id), one.run);
        }
        new
    }

    fn remember(&mut self, name: Name, run: RunId) {
        if self.runs.insert(name.clone(), run).is_some() {
            return;
        }
        self.order.push_back(name);
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.runs.remove(&oldest);
        }
    }
}

impl Coordinator {
    /// Takes in a delivery.
    pub(super) async fn deliver(&mut self, delivery: Delivery) -> Result<Delivered, NotAccepted> {
        self.has_resumed()?;
        let Delivery { mirror, vendor, id, pushes } = delivery;
        let mode = self.index.get(&mirror).map(|at| self.mirrors[*at].status.mode);
        if let Some(reason) = mode.and_then(Reason::of_mode) {
            return Ok(Delivered::Ignored(reason, None));
        }
        let name = id.map(|id| (mirror.clone(), id));
        if let Some(run) = self.answered_before(name.as_ref(), &pushes).await? {
            return Ok(Delivered::Ignored(Reason::Duplicate, Some(run)));
        }
        let now = self.around.clock.now();
        let names_nothing = pushes.is_empty();
        self.owe(&mirror, pushes, now).await?;
        let ask = Ask {
            mirrors: Some(vec![mirror.to_string()]),
            options: RunOptions::default(),
            key: None,
            requested_by: vendor.label().to_owned(),
            trigger: Trigger::Webhook,
        };
        let accepted = match self.ask(ask).await {
            // whatever else that run may do, it proves the mirror
            Err(NotAccepted::Conflict { run, .. }) if self.in_flight.contains_key(&run) => {
                let one = self.in_flight.get_mut(&run).expect("it was just seen");
                one.asked([&mirror], now);
                let given = one.given();
                self.hurry(std::slice::from_ref(&mirror));
                given
            }
            answer => answer?,
        };
        let run = accepted.run.id;
        if let Some(one) = self.in_flight.get_mut(&run).filter(|_| names_nothing) {
            one.owes_a_change(&mirror);
        }
        if let Some(name) = name {
            let (mirror, id) = name.clone();
            self.deliveries.unwritten.push(KnownDelivery { mirror, id, run, received_at: now });
            self.deliveries.remember(name, run);
        }
        Ok(Delivered::Run(accepted))
    }

    /// Writes down what a delivery names, before anything is said of it: it is waited for also after a crash.
    async fn owe(&mut self, mirror: &MirrorName, pushes: Vec<Push>, now: Timestamp) -> Result<(), NotAccepted> {
        let Some(at) = self.index.get(mirror).copied() else { return Ok(()) };
        let mut facts = self.mirrors[at].status.facts.clone();
        for push in pushes {
            facts.pushes.add(push, now);
        }
        if facts.pushes == self.mirrors[at].status.facts.pushes {
            return Ok(());
        }
        let to_write = vec![(mirror.clone(), facts.clone())];
        self.around.journal.write_facts(to_write, Vec::new()).await.map_err(unavailable)?;
        self.mirrors[at].take_up(facts);
        Ok(())
    }

    /// The run that this very delivery was given, if that has done its work or is at it. One that has come to nothing is
    /// no answer: whoever sends the delivery once more wants it tried again. Nor is one that has not seen the push.
    async fn answered_before(&mut self, name: Option<&Name>, pushes: &[Push]) -> Result<Option<RunId>, NotAccepted> {
        let Some(run) = name.and_then(|name| self.deliveries.runs.get(name)).copied() else { return Ok(None) };
        if self.in_flight.contains_key(&run) {
            return Ok(Some(run));
        }
        let mirror = name.and_then(|(mirror, _)| self.index.get(mirror));
        if mirror.is_some_and(|at| self.mirrors[*at].status.facts.pushes.owes_any(pushes)) {
            return Ok(None);
        }
        let ended = self.around.journal.run(run).await.map_err(unavailable)?;
        Ok(ended.filter(|ended| ended.status() == Status::Succeeded).map(|ended| ended.id))
    }

    /// Writes the deliveries of which the journal does not know: once an end of a mirror rather than once each, since a
    /// burst may have a thousand.
    pub(super) async fn write_deliveries(&mut self) {
        let unwritten = std::mem::take(&mut self.deliveries.unwritten);
        if unwritten.is_empty() {
            return;
        }
        if let Err(error) = self.around.journal.write_deliveries(unwritten).await {
            tracing::warn!(error = %error, "deliveries of webhooks will not be known again after a restart");
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn no_number_of_deliveries_fills_the_memory_and_the_oldest_go_first() {
        let mirror = MirrorName::parse("openova").unwrap();
        let name = |number: usize| (mirror.clone(), format!("d{number}").into());
        let mut deliveries = Deliveries::default();
        for number in 0..KEPT + 5 {
            deliveries.remember(name(number), RunId(Uuid::nil()));
            deliveries.remember(name(number), RunId(Uuid::max()));
        }
        assert_eq!((deliveries.runs.len(), deliveries.order.len()), (KEPT, KEPT));
        assert!(!deliveries.runs.contains_key(&name(4)));
        assert_eq!(deliveries.runs[&name(5)], RunId(Uuid::max()));
    }
}
