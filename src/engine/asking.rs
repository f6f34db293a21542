//! Accepting runs: which mirrors, whether a run that is asked for is there already, and what stands in its way.
//!
//! What is accepted is written down, with its key, before anybody is told. A refused request leaves no trace.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::coordinator::{Coordinator, open_parts};
use super::in_flight::InFlight;
use super::{Accepted, Ask, NotAccepted};
use crate::domain::event::Event;
use crate::domain::key::Keyed;
use crate::domain::names::MirrorName;
use crate::domain::run::{Run, RunId, Trigger};
use crate::domain::spec::RunOptions;
use crate::journal::JournalError;

impl Coordinator {
    pub(super) async fn ask(&mut self, ask: Ask) -> Result<Accepted, NotAccepted> {
        self.has_resumed()?;
        if let Some(keyed) = &ask.key
            && let Some(accepted) = self.asked_before(keyed).await?
        {
            return Ok(accepted);
        }
        let names = select(self.names(), ask.mirrors.as_deref())?;
        let now = self.around.clock.now();
        if let Some(same) = self.same(&names, &ask.options) {
            same.asked(&names, now);
            let accepted = same.given();
            self.hurry(&names);
            if let Some(keyed) = ask.key {
                let run = accepted.run.id;
                self.around.journal.remember_key(keyed, run, now).await.map_err(unavailable)?;
            }
            return Ok(accepted);
        }
        while let Some((run, mirror)) = self.in_conflict(&names, &ask.options) {
            if self.in_flight.get(&run).is_none_or(|one| one.wanted) {
                return Err(NotAccepted::Conflict { run, mirror });
            }
            // nobody has asked for that one, and somebody does for this one
            self.cancel(run).await?;
        }
        let id = self.ids.next(now);
        let mut run = Run::accepted(id, ask.trigger, ask.requested_by, now, names.iter().cloned());
        run.options = ask.options;
        for name in &names {
            // work that is under way already is joined where it stands
            let slot = &self.mirrors[self.index[name]];
            if slot.driven.is_some() {
                run.enters(name, slot.status.phase, now);
            }
        }
        let run = Arc::new(run);
        let events = self.story.record(now, [Event::RunAccepted(Arc::clone(&run))]);
        self.around.journal.accept(Arc::clone(&run), ask.key, events.clone()).await.map_err(unavailable)?;
        self.story.tell(events);
        let in_flight = InFlight::new(Arc::clone(&run));
        let accepted = Accepted { coalesced: false, ..in_flight.given() };
        self.in_flight.insert(id, in_flight);
        self.latest = Some(Arc::clone(&run));
        self.hurry(&names);
        self.refuse_by_mode(&names).await;
        let still_open: Vec<MirrorName> =
            self.in_flight.get(&id).map(|one| open_parts(&one.run).cloned().collect()).unwrap_or_default();
        for name in &still_open {
            self.start(name, id, &run.options, None);
        }
        self.publish();
        Ok(accepted)
    }

    /// Tells those who are at work on these mirrors that they are asked for once more.
    pub(super) fn hurry(&self, names: &[MirrorName]) {
        for name in names {
            if let Some(driven) = &self.mirrors[self.index[name]].driven {
                driven.hurry.notify_one();
            }
        }
    }

    /// The run that was given for this very request under this key.
    async fn asked_before(&mut self, keyed: &Keyed) -> Result<Option<Accepted>, NotAccepted> {
        let now = self.around.clock.now();
        let known = self.around.journal.request_of(keyed.clone(), now).await.map_err(unavailable)?;
        let Some(known) = known else { return Ok(None) };
        if known.request != keyed.request {
            return Err(NotAccepted::KeyReused);
        }
        let accepted = match self.in_flight.get(&known.run) {
            Some(in_flight) => Some(in_flight.given()),
            None => self.around.journal.run(known.run).await.map_err(unavailable)?.map(Accepted::ended_before),
        };
        Ok(accepted.map(|accepted| Accepted { replayed: true, ..accepted }))
    }

    /// The run in flight that asks for exactly the same. One that we have begun by ourselves says in so many words what a
    /// person may leave out.
    fn same(&mut self, names: &[MirrorName], options: &RunOptions) -> Option<&mut InFlight> {
        let (mirrors, index) = (&self.mirrors, &self.index);
        let agree = |run: &Run| {
            let agrees = |name| run.options.agree_with(options, mirrors[index[name]].mirror.spec.on_legacy);
            run.options == *options || run.trigger == Trigger::Heal && names.iter().all(agrees)
        };
        self.in_flight
            .values_mut()
            .filter(|one| !one.is_tired())
            .find(|one| agree(&one.run) && one.run.parts.iter().map(|part| &part.name).eq(names.iter()))
    }

    /// A run in flight that may do something else to one of these mirrors: one driver cannot obey both.
    fn in_conflict(&self, names: &[MirrorName], options: &RunOptions) -> Option<(RunId, MirrorName)> {
        let configured = |name: &MirrorName| self.mirrors[self.index[name]].mirror.spec.on_legacy;
        self.in_flight.values().find_map(|one| {
            let conflict =
                |name: &&MirrorName| names.contains(name) && !one.run.options.agree_with(options, configured(name));
            let mirror = open_parts(&one.run).find(conflict)?;
            Some((one.run.id, mirror.clone()))
        })
    }
}

/// The mirrors that are asked for, in the order of the configuration, each once.
pub(super) fn select<'a>(
    configured: impl Iterator<Item = &'a MirrorName> + Clone,
    asked: Option<&[String]>,
) -> Result<Vec<MirrorName>, NotAccepted> {
    let Some(asked) = asked else { return Ok(configured.cloned().collect()) };
    let asked: BTreeSet<&str> = asked.iter().map(String::as_str).collect();
    let chosen: Vec<MirrorName> = configured.clone().filter(|name| asked.contains(name.as_str())).cloned().collect();
    if chosen.len() == asked.len() && !chosen.is_empty() {
        Ok(chosen)
    } else {
        // enough to recognise one's own mistake by, however many there are
        Err(NotAccepted::UnknownMirror { configured: configured.take(20).map(ToString::to_string).collect() })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
pub(super) fn unavailable(error: JournalError) -> NotAccepted {
    NotAccepted::StateUnavailable(error.to_string())
}
