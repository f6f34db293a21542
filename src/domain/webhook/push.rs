//! What deliveries name: refs, and the objects to which they were pushed.
//!
//! Owns when such a push has been seen upstream. A forge may send its webhook before all of its servers show the push: a
//! list that still shows the old object proves nothing about the new one.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::refs::{ObjectId, RefList, RefName};

/// How long readings may go on showing the old object before the push counts as taken back.
const TAKEN_BACK_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// How many pushes of a mirror are remembered: the oldest that have been seen go first.
const KEPT: usize = 64;

/// A push to a branch or a tag, as a signed delivery names it. Zeros stand for a ref that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The ref.
    pub reference: RefName,
    /// Its object before; `None`: the delivery does not say.
    pub before: Option<ObjectId>,
    /// Its object since.
    pub after: ObjectId,
    /// The delivery names the commit of a tag, where a list of refs has the object of an annotated one.
    pub peeled: bool,
}

impl Push {
    /// Whether it removed the ref.
    #[must_use]
    pub fn is_deletion(&self) -> bool {
        is_absent(&self.after)
    }

    /// Whether a list with this object for the ref, where Gitea had `held`, is one of before the push.
    fn is_before(&self, shown: &ObjectId, held: &ObjectId) -> bool {
        let is = |object: &ObjectId| object == shown || is_absent(object) && is_absent(shown);
        // a tag that Gitea has and whose commit alone was named may be the very one that was pushed
        !is(&self.after) && (self.before.as_ref().is_some_and(is) || !self.peeled && is(held))
    }
}

fn is_absent(object: &ObjectId) -> bool {
    object.as_str().bytes().all(|digit| digit == b'0')
}

/// What a list has for a ref.
fn object(list: &RefList, name: &RefName) -> ObjectId {
    list.get(&name.to_bytes()).unwrap_or_else(|| ObjectId::parse(&"0".repeat(40)).expect("40 digits are an object id"))
}

/// A push of which a delivery told, and what readings of upstream have shown since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    push: Push,
    received_at: Timestamp,
    /// What Gitea had when upstream was first read after it; `None`: it was not read yet.
    held: Option<ObjectId>,
    /// Since when every reading has shown the object of before.
    old_since: Option<Timestamp>,
    /// It has been seen upstream, or will not be waited for any more.
    settled: bool,
}

impl Named {
    const fn is_lagging(&self) -> bool {
        !self.settled && self.old_since.is_some()
    }

    /// Whether that push, whose delivery arrives late, was made before this one: this one begins with it, or with what it
    /// began with.
    fn has_overtaken(&self, other: &Push, received_at: Timestamp) -> bool {
        let began_with = [self.push.before.as_ref(), self.held.as_ref()];
        let began_alike = || other.before.is_some() && began_with.contains(&other.before.as_ref());
        let lately = || received_at.duration_since(self.received_at) < TAKEN_BACK_AFTER;
        self.push.before.as_ref() == Some(&other.after) || began_alike() && lately()
    }

    fn is(&self, other: &Self) -> bool {
        self.push == other.push && self.received_at == other.received_at
    }
}

/// The pushes of which deliveries for one mirror told, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pushes(Vec<Named>);

impl Pushes {
    /// Takes note of a push that a delivery names, and says whether there is something new to wait for. It takes the
    /// place of an earlier push to that ref.
    pub fn add(&mut self, push: Push, received_at: Timestamp) -> bool {
        let of_the_ref = || self.0.iter().rev().filter(|named| named.push.reference == push.reference);
        let follows = of_the_ref().next().is_some_and(|latest| push.before.as_ref() == Some(&latest.push.after));
        if !follows && of_the_ref().any(|named| named.push == push || named.has_overtaken(&push, received_at)) {
            return false;
        }
        let waits = !push.is_deletion();
        for named in self.0.iter_mut().filter(|named| named.push.reference == push.reference) {
            named.settled = true;
        }
        self.0.push(Named { push, received_at, held: None, old_since: None, settled: !waits });
        while self.0.len() > KEPT {
            let oldest = self.0.iter().position(|named| named.settled).unwrap_or(0);
            self.0.remove(oldest);
        }
        waits
    }

    /// Takes note of what a reading of upstream shows, beside Gitea's refs. One of before a delivery says nothing of it.
    pub fn read(&mut self, upstream: &RefList, at: Timestamp, gitea: &RefList) {
        for named in self.0.iter_mut().filter(|named| !named.settled && named.received_at <= at) {
            let name = &named.push.reference;
            let held = named.held.get_or_insert_with(|| object(gitea, name));
            if named.push.is_before(&object(upstream, name), held) {
                let since = *named.old_since.get_or_insert(at);
                named.settled = at.duration_since(since) >= TAKEN_BACK_AFTER;
            } else {
                named.old_since = None;
            }
        }
    }

    /// The ref of a push that the latest reading does not show yet.
    #[must_use]
    pub fn lagging(&self) -> Option<&Push> {
        self.0.iter().find(|named| named.is_lagging()).map(|named| &named.push)
    }

    /// Since when readings show the object of before.
    #[must_use]
    pub fn lagging_since(&self) -> Option<Timestamp> {
        self.0.iter().filter(|named| named.is_lagging()).filter_map(|named| named.old_since).min()
    }

    /// Whether upstream, which shows the object of before, lags behind Gitea, which has the pushed one.
    #[must_use]
    pub fn is_ahead(&self, name: &RefName, gitea: Option<&ObjectId>) -> bool {
        self.0
            .iter()
            .any(|named| named.is_lagging() && named.push.reference == *name && gitea == Some(&named.push.after))
    }

    /// Whether a delivery named this object for a ref, and that was not proven yet.
    #[must_use]
    pub fn was_named(&self, name: &RefName, upstream: Option<&ObjectId>) -> bool {
        self.0
            .iter()
            .any(|named| !named.settled && named.push.reference == *name && upstream == Some(&named.push.after))
    }

    /// Whether upstream was not read since one of them was received.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        self.0.iter().any(|named| !named.settled && named.held.is_none())
    }

    /// Whether one of these pushes is waited for.
    #[must_use]
    pub fn owes_any(&self, pushes: &[Push]) -> bool {
        self.0.iter().any(|named| !named.settled && pushes.contains(&named.push))
    }

    /// Takes over what another, which knows no newer deliveries, has seen of the same ones.
    pub fn learn(&mut self, other: &Self) {
        for named in self.0.iter_mut().filter(|named| !named.settled) {
            if let Some(seen) = other.0.iter().find(|other| other.is(named)) {
                *named = seen.clone();
            }
        }
    }

    /// An attempt or an observation is over: what its latest reading showed needs to be waited for no longer.
    pub fn settle(&mut self) {
        for named in &mut self.0 {
            named.settled |= named.held.is_some() && named.old_since.is_none();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = "refs/heads/main";

    fn id(c: char) -> ObjectId {
        ObjectId::parse(&c.to_string().repeat(40)).unwrap()
    }

    fn push(reference: &str, before: Option<char>, after: char) -> Push {
        let reference = RefName::parse(reference).unwrap();
        Push { reference, before: before.map(id), after: id(after), peeled: false }
    }

    fn list(refs: &[(&str, char)]) -> RefList {
        RefList::complete(refs.iter().map(|(name, c)| (RefName::parse(name).unwrap(), id(*c))), None)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// Whether upstream at `shown` lags behind this push, where Gitea has `held`.
    fn lags(push: Push, shown: &[(&str, char)], held: &[(&str, char)]) -> bool {
        let mut pushes = Pushes::default();
        pushes.add(push, at(0));
        pushes.read(&list(shown), at(1), &list(held));
        pushes.lagging().is_some()
    }

    #[test]
    fn the_object_of_before_and_what_gitea_had_are_old_and_anything_else_is_new() {
        let a_to_c = || push(MAIN, Some('a'), 'c');
        assert!(lags(a_to_c(), &[(MAIN, 'a')], &[(MAIN, 'a')]));
        assert!(lags(push(MAIN, Some('b'), 'c'), &[(MAIN, 'a')], &[(MAIN, 'a')]), "two pushes behind");
        assert!(lags(push(MAIN, None, 'c'), &[(MAIN, 'a')], &[(MAIN, 'a')]), "it does not say what was before");
        assert!(!lags(a_to_c(), &[(MAIN, 'c')], &[(MAIN, 'a')]));
        assert!(!lags(a_to_c(), &[(MAIN, 'd')], &[(MAIN, 'a')]), "it has moved on");
        assert!(!lags(a_to_c(), &[], &[(MAIN, 'a')]), "it is gone");
        assert!(!lags(a_to_c(), &[(MAIN, 'c')], &[(MAIN, 'c')]), "it is there already");
        assert!(lags(push(MAIN, Some('0'), 'c'), &[], &[]), "a new branch");
        assert!(!lags(push(MAIN, Some('a'), '0'), &[(MAIN, 'a')], &[(MAIN, 'a')]), "a deletion");
        let long = |c: char| ObjectId::parse(&c.to_string().repeat(64)).unwrap();
        let new = Push { before: Some(long('0')), after: long('c'), ..a_to_c() };
        assert!(lags(new, &[], &[]), "zeros of SHA-256");
        let tag = "refs/tags/v1";
        let peeled = |before| Push { peeled: true, ..push(tag, Some(before), 'c') };
        assert!(lags(peeled('0'), &[], &[]));
        assert!(
            !lags(peeled('0'), &[(tag, 'e')], &[(tag, 'e')]),
            "the object of an annotated tag, named by its commit"
        );
        assert!(lags(push(tag, Some('0'), 'c'), &[(tag, 'e')], &[(tag, 'e')]), "a tag that was made anew");
    }

    #[test]
    fn readings_of_before_a_delivery_say_nothing_and_those_after_it_count_until_they_show_it() {
        let mut pushes = Pushes::default();
        assert!(pushes.add(push(MAIN, Some('a'), 'b'), at(10)));
        let (old, new) = (list(&[(MAIN, 'a')]), list(&[(MAIN, 'b')]));
        pushes.read(&new, at(9), &old);
        pushes.settle();
        assert!(pushes.has_unread() && pushes.owes_any(&[push(MAIN, Some('a'), 'b')]));
        pushes.read(&old, at(11), &old);
        assert_eq!(pushes.lagging_since(), Some(at(11)));
        // one server shows it, the next does not
        pushes.read(&new, at(12), &old);
        assert_eq!(pushes.lagging(), None);
        pushes.read(&old, at(13), &new);
        assert_eq!(pushes.lagging_since(), Some(at(13)));
        assert!(pushes.is_ahead(&RefName::parse(MAIN).unwrap(), Some(&id('b'))));
        pushes.settle();
        assert!(pushes.lagging().is_some());
        pushes.read(&old, at(13 + 599), &old);
        assert!(pushes.lagging().is_some());
        pushes.read(&old, at(13 + 600), &old);
        assert!(pushes.lagging().is_none() && !pushes.has_unread(), "it was taken back");
    }

    #[test]
    fn a_repeated_or_belated_delivery_is_not_waited_for_and_one_that_follows_is() {
        let (ab, bc, ca) = (push(MAIN, Some('a'), 'b'), push(MAIN, Some('b'), 'c'), push(MAIN, Some('c'), 'a'));
        let mut pushes = Pushes::default();
        assert!(pushes.add(bc.clone(), at(0)));
        assert!(!pushes.add(bc.clone(), at(1)), "the same again");
        assert!(!pushes.add(ab.clone(), at(2)), "the one before it, late");
        assert!(pushes.owes_any(std::slice::from_ref(&bc)));
        assert!(pushes.add(ca, at(3)) && pushes.add(ab.clone(), at(4)), "pushed to and fro");
        assert!(!pushes.owes_any(&[bc]) && pushes.owes_any(std::slice::from_ref(&ab)), "the latest counts");
        let mut late = Pushes::default();
        assert!(late.add(push(MAIN, Some('d'), 'e'), at(0)));
        late.read(&list(&[(MAIN, 'e')]), at(1), &list(&[(MAIN, 'a')]));
        late.settle();
        assert!(!late.add(ab.clone(), at(2)), "Gitea had what it begins with before the later one");
        assert!(late.add(push(MAIN, Some('a'), 'f'), at(700)), "it is too long ago to be the same story");
        assert!(!pushes.add(push(MAIN, Some('b'), '0'), at(5)), "a deletion is not waited for");
        assert!(!pushes.owes_any(&[ab]), "and takes the place of what was");
        for number in 0..1_000 {
            pushes.add(push(&format!("refs/heads/{number}"), None, 'a'), at(6));
        }
        assert_eq!(pushes.0.len(), KEPT);
    }

    #[test]
    fn what_one_reader_has_seen_is_learned_and_what_came_since_is_kept() {
        let mut known = Pushes::default();
        known.add(push(MAIN, Some('a'), 'b'), at(0));
        let mut reader = known.clone();
        reader.read(&list(&[(MAIN, 'a')]), at(1), &list(&[(MAIN, 'a')]));
        known.add(push("refs/heads/x", None, 'c'), at(2));
        known.learn(&reader);
        assert_eq!((known.lagging_since(), known.has_unread()), (Some(at(1)), true));
        known.add(push(MAIN, Some('b'), 'd'), at(3));
        known.learn(&reader);
        assert_eq!(known.lagging(), None, "it was replaced");
        let written = serde_json::to_string(&known).unwrap();
        assert_eq!(serde_json::from_str::<Pushes>(&written).unwrap(), known);
    }
}
