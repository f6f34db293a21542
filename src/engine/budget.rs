//! The memory of all lists of refs: one budget, whatever the number of mirrors.
//!
//! Owns who may read lists now. Each reader reserves for both sides in one step, in order of arrival, before it connects,
//! and never waits for more while it holds some. What a reservation allows is given back when it is dropped. How much a
//! mirror reserves first follows from its own lists; how much it may have in the end is the same for all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::domain::names::MirrorName;

/// The unit in which memory is handed out, in bytes.
const UNIT: usize = 1 << 10;

/// What a side is first given of a mirror whose lists are not known: some thousand refs.
const FIRST: usize = 512 << 10;

/// The room beside a quarter of its size in which a list may grow before it is read twice.
const SLACK: usize = 128 << 10;

/// The budget.
#[derive(Debug)]
pub(super) struct Budget {
    units: Arc<Semaphore>,
    /// The most that one side may take.
    most: usize,
    /// What a side of a mirror needed last.
    needed: Mutex<HashMap<MirrorName, usize>>,
    /// How many wait.
    waiting: watch::Sender<usize>,
}

/// A right to hold the two lists of one mirror, each within a share.
#[derive(Debug)]
pub(super) struct Reservation {
    permit: OwnedSemaphorePermit,
    share: usize,
}

impl Reservation {
    /// How many bytes each side may take.
    pub(super) const fn share(&self) -> usize {
        self.share
    }
}

impl Budget {
    /// For lists of at most so many bytes: one mirror's two fit.
    pub(super) fn of(most: usize) -> Self {
        let units = Arc::new(Semaphore::new(units(most) as usize));
        Self { units, most, needed: Mutex::default(), waiting: watch::Sender::new(0) }
    }

    /// Waits for its turn, and reserves for both sides of a mirror: as much as its lists needed last, or, for lists that
    /// did not fit into that, as much as there may be.
    pub(super) async fn reserve(&self, mirror: &MirrorName, whole: bool) -> Reservation {
        let share = self.first_share(mirror, whole);
        let _waiting = Waiting::at(&self.waiting);
        let permit = Arc::clone(&self.units).acquire_many_owned(units(share)).await;
        Reservation { permit: permit.expect("the semaphore is never closed"), share }
    }

    /// The same, unless it would have to wait.
    pub(super) fn reserve_at_once(&self, mirror: &MirrorName, whole: bool) -> Option<Reservation> {
        let share = self.first_share(mirror, whole);
        let permit = Arc::clone(&self.units).try_acquire_many_owned(units(share)).ok()?;
        Some(Reservation { permit, share })
    }

    fn first_share(&self, mirror: &MirrorName, whole: bool) -> usize {
        let known = self.needed.lock().expect("no code panics while holding this lock").get(mirror).copied();
        if whole { self.most } else { known.unwrap_or(FIRST).min(self.most) }
    }

    /// Takes note that lists did not fit into a reservation. `true`: no larger one can be had.
    pub(super) fn did_not_fit(&self, mirror: &MirrorName, reservation: &Reservation) -> bool {
        self.note(mirror, self.most);
        reservation.share >= self.most
    }

    /// Gives back what a mirror does not need for lists of which the larger has so many bytes.
    pub(super) fn fit(&self, mirror: &MirrorName, reservation: &mut Reservation, bytes: usize) {
        let share = (bytes + bytes / 4 + SLACK).min(self.most);
        self.note(mirror, share);
        if share < reservation.share {
            let surplus = reservation.permit.num_permits().saturating_sub(units(share) as usize);
            drop(reservation.permit.split(surplus));
            reservation.share = share;
        }
    }

    /// Ends once somebody waits: lists that are kept for later are given up then.
    pub(super) async fn is_wanted(&self) {
        let wanted = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await.is_ok();
        debug_assert!(wanted, "its sender is here");
    }

    fn note(&self, mirror: &MirrorName, share: usize) {
        self.needed.lock().expect("no code panics while holding this lock").insert(mirror.clone(), share);
    }
}

/// The units of two shares.
fn units(share: usize) -> u32 {
    u32::try_from((2 * share).div_ceil(UNIT)).unwrap_or(u32::MAX)
}

/// Counts one that waits, for as long as it does.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn at(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|waiting| *waiting += 1);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const MOST: usize = 1 << 20;

    fn name(text: &str) -> MirrorName {
        MirrorName::parse(text).unwrap()
    }

    #[tokio::test]
    async fn all_reservations_together_never_exceed_the_budget() {
        let budget = Budget::of(MOST);
        let (one, two, three) = (name("one"), name("two"), name("three"));
        let first = budget.reserve(&one, false).await;
        let second = budget.reserve(&two, false).await;
        assert_eq!((first.share(), second.share()), (FIRST, FIRST));
        assert!(budget.reserve(&three, false).now_or_never().is_none(), "both halves are taken");
        drop(first);
        assert!(budget.reserve(&three, false).now_or_never().is_some());
        assert!(budget.reserve(&three, true).now_or_never().is_none(), "the other half is still taken");
        drop(second);
        assert_eq!(budget.reserve(&three, true).await.share(), MOST);
    }

    #[tokio::test]
    async fn they_are_given_in_order_of_arrival_and_one_that_gives_up_stands_in_no_ones_way() {
        let budget = Budget::of(MOST);
        let (one, two, three) = (name("one"), name("two"), name("three"));
        let first = budget.reserve(&one, false).await;
        let mut whole = Box::pin(budget.reserve(&two, true));
        let mut small = Box::pin(budget.reserve(&three, false));
        assert!(
            (&mut whole).now_or_never().is_none() && (&mut small).now_or_never().is_none(),
            "the large one is first"
        );
        assert!(budget.reserve_at_once(&three, false).is_none(), "there is room, and others wait for it");
        drop(whole);
        assert!(small.now_or_never().is_some());
        assert!(budget.reserve_at_once(&three, false).is_some(), "nobody waits");
        drop(first);
    }

    #[tokio::test]
    async fn what_lists_do_not_need_is_given_back_and_they_reserve_as_much_the_next_time() {
        let budget = Budget::of(MOST);
        let (one, two) = (name("one"), name("two"));
        let mut held = budget.reserve(&one, true).await;
        budget.fit(&one, &mut held, 100 << 10);
        let share = (125 << 10) + SLACK;
        assert_eq!(held.share(), share);
        assert!(budget.reserve(&two, false).now_or_never().is_some());
        drop(held);
        assert_eq!(budget.reserve(&one, false).await.share(), share);
        assert_eq!(budget.units.available_permits(), units(MOST) as usize, "all of it is back");
    }

    #[tokio::test]
    async fn lists_that_do_not_fit_have_the_whole_the_next_time_whoever_else_reads() {
        let budget = Budget::of(MOST);
        let one = name("one");
        let held = budget.reserve(&one, false).await;
        assert!(!budget.did_not_fit(&one, &held), "there is more to be had");
        drop(held);
        let held = budget.reserve(&one, false).await;
        assert_eq!(held.share(), MOST);
        assert!(budget.did_not_fit(&one, &held));
    }

    #[tokio::test]
    async fn who_keeps_lists_hears_that_somebody_waits() {
        let budget = Budget::of(MOST);
        let (one, two) = (name("one"), name("two"));
        let held = budget.reserve(&one, true).await;
        assert!(budget.is_wanted().now_or_never().is_none());
        let mut waits = Box::pin(budget.reserve(&two, false));
        assert!((&mut waits).now_or_never().is_none());
        assert!(budget.is_wanted().now_or_never().is_some());
        drop(waits);
        assert!(budget.is_wanted().now_or_never().is_none(), "it has given up");
        drop(held);
    }
}
