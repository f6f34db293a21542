//! Carrying out a mode: what is left to do in Gitea until a mirror stands there as somebody has said.
//!
//! Pure, as all of [`decide`](super): the interval is set, read back until it stands, and, where that was asked for,
//! the mirror made a regular repository. Looks at the repository alone: upstream has no part in it. Nothing that is no
//! mirror of our upstream is changed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::settings::{AFTER_A_500, PATCHES, SETTLED_AFTER};
use super::{Awaited, FEW_TRIES, Look, Table, Wait, failing};
use crate::domain::answer::{ConvertAnswer, PatchAnswer, Repository, RepositoryAnswer};
use crate::domain::duration::GoDuration;
use crate::domain::mode::{Mode, ModeChange};
use crate::domain::observation::{History, Observation, RepositorySeen};
use crate::domain::problem::{Code, Problem};
use crate::domain::run::Phase;
use crate::domain::spec::{MirrorSpec, Policy};

/// While a clone or a sync goes on in Gitea.
const POLLING: Duration = Duration::from_secs(5);

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrying {
    /// Look at something that has not been looked at yet.
    Look(Look),
    /// Wait, then look again.
    Wait(Wait),
    /// `PATCH` the interval, intent first.
    SetInterval(GoDuration),
    /// `POST convert`, intent first: the mirror becomes a regular repository, for good.
    Convert,
    /// Gitea stands as it must.
    Done,
    /// It cannot be done now.
    Failed(Box<Problem>),
}

/// Says what to do next for `change`.
#[must_use]
pub fn carry_out(
    spec: &MirrorSpec,
    change: &ModeChange,
    seen: &Observation,
    history: &History,
    policy: &Policy,
) -> Carrying {
    Carriage { table: Table { spec, seen, history, policy }, change }.next()
}

struct Carriage<'a> {
    table: Table<'a>,
    change: &'a ModeChange,
}

impl Carriage<'_> {
    fn next(&self) -> Carrying {
        let next = self.go_on();
        if let Carrying::Wait(wait) = next { Carrying::Wait(self.table.wait_in_time(wait)) } else { next }
    }

    fn go_on(&self) -> Carrying {
        let history = self.table.history;
        if history.elapsed >= self.table.policy.run {
            return failed(self.table.deadline());
        }
        let Some(RepositorySeen { answer, date, .. }) = &self.table.seen.repository else {
            return Carrying::Look(Look::Repository);
        };
        match answer {
            RepositoryAnswer::Trouble(trouble) => match self.table.waiting_for_gitea(trouble, self.table.troubles()) {
                Ok(wait) => Carrying::Wait(wait),
                Err(problem) => Carrying::Failed(problem),
            },
            RepositoryAnswer::Refused(refusal) => failed(failing::refused(refusal)),
            // nothing follows there, and no run makes it follow
            RepositoryAnswer::Absent => Carrying::Done,
            RepositoryAnswer::Present(repository) if !repository.mirror => Carrying::Done,
            RepositoryAnswer::Present(repository)
                if !self.table.spec.upstream.is_the_upstream_of(&repository.original_url) =>
            {
                let name = self.table.spec.full_name();
                failed(Problem::new(
                    Code::UpstreamMismatch,
                    format!("{name} mirrors {}: it is not ours to stop or start", repository.original_url),
                ))
            }
            RepositoryAnswer::Present(repository) => match repository.interval {
                None => self.placeholder(repository, *date),
                Some(interval) => self.mirror(repository, interval, *date),
            },
        }
    }

    /// A clone that is under way gets its interval at its end; a dead one follows nothing.
    fn placeholder(&self, repository: &Repository, date: Timestamp) -> Carrying {
        let age = Duration::try_from(date.duration_since(repository.created_at)).unwrap_or_default();
        if age >= self.table.policy.dead_placeholder {
            return Carrying::Done;
        }
        let name = self.table.spec.full_name();
        let detail = format!("the migration of {name} has not ended, and its interval can only be set after that");
        polling(Phase::Migrating, Problem::new(Code::BrokenMirror, detail))
    }

    fn mirror(&self, repository: &Repository, interval: GoDuration, date: Timestamp) -> Carrying {
        let (spec, history) = (self.table.spec, self.table.history);
        if repository.archived {
            return failed(failing::archived(&spec.full_name()));
        }
        let wanted = if self.change.mode.follows() { spec.interval } else { GoDuration::ZERO };
        let Some(patch) = &history.patch else {
            // one that is still on its way may land on what looks right: ours is sent after it, and read back
            let stands = interval == wanted && !history.settings_in_doubt;
            return if stands { self.settled(repository, date) } else { Carrying::SetInterval(wanted) };
        };
        if let Some(problem) = failing::patch(&patch.answer, &wanted.to_string()) {
            return failed(problem);
        }
        let since = history.since(patch.at);
        if interval == wanted {
            return match SETTLED_AFTER.checked_sub(since).filter(|left| *left > Duration::ZERO) {
                Some(left) => wait(left),
                None => self.settled(repository, date),
            };
        }
        if history.patches >= PATCHES {
            return failed(match &patch.answer {
                PatchAnswer::Unknown(trouble) => failing::gitea_trouble(trouble),
                PatchAnswer::Done
                | PatchAnswer::ServerError
                | PatchAnswer::NotAMirror
                | PatchAnswer::Gone
                | PatchAnswer::BelowMinimum { .. }
                | PatchAnswer::Invalid { .. }
                | PatchAnswer::Refused(_) => Problem::new(
                    Code::SettingsReverted,
                    format!(
                        "the interval of {} was set to {wanted} {PATCHES} times and did not stay",
                        spec.full_name()
                    ),
                ),
            });
        }
        match AFTER_A_500.checked_sub(since).filter(|left| *left > Duration::ZERO) {
            Some(left) => wait(left),
            None => Carrying::SetInterval(wanted),
        }
    }

    /// The interval is right. It stays so, once no sync can write an older one back.
    fn settled(&self, repository: &Repository, date: Timestamp) -> Carrying {
        if !self.change.mode.follows()
            && let Some(wait) = self.until_our_sync_ends(repository, date)
        {
            return wait;
        }
        // asked for once: what is a mirror again later was made one by somebody
        let convert = self.change.convert && self.change.mode == Mode::Severed && self.change.applied_at.is_none();
        if convert { self.convert() } else { Carrying::Done }
    }

    /// A sync that a run of ours asked for and whose end has not been seen: when it ends, it writes the interval back
    /// with which it began.
    fn until_our_sync_ends(&self, repository: &Repository, date: Timestamp) -> Option<Carrying> {
        // it was only asked for in a second after that of the last move
        let asked = self.table.history.sync_asked.filter(|asked| repository.mirror_updated < *asked)?;
        let limit = SignedDuration::try_from(self.table.policy.sync).unwrap_or(SignedDuration::MAX);
        let name = self.table.spec.full_name();
        (date.duration_since(asked) < limit).then(|| {
            let detail =
                format!("a sync of {name} that we asked for may be under way, and would write its interval back");
            polling(Phase::Patching, Problem::new(Code::SettingsReverted, detail))
        })
    }

    fn convert(&self) -> Carrying {
        let history = self.table.history;
        let not_offered = || failed(failing::convert_not_offered());
        if history.server.is_some_and(|server| !server.converts_mirrors()) {
            return not_offered();
        }
        let Some(last) = &history.convert else {
            return Carrying::Convert;
        };
        let name = self.table.spec.full_name();
        match &last.answer {
            ConvertAnswer::NotOffered => return not_offered(),
            ConvertAnswer::Refused(refusal) => return failed(failing::refused(refusal)),
            ConvertAnswer::Unknown(trouble) if history.converts >= FEW_TRIES => {
                return failed(failing::gitea_trouble(trouble));
            }
            ConvertAnswer::Done | ConvertAnswer::NotAMirror | ConvertAnswer::Gone if history.converts >= FEW_TRIES => {
                return failed(Problem::new(
                    Code::GiteaError,
                    format!("{FEW_TRIES} calls to make {name} a regular repository were answered, and it is a mirror"),
                ));
            }
            ConvertAnswer::Unknown(_) | ConvertAnswer::Done | ConvertAnswer::NotAMirror | ConvertAnswer::Gone => {}
        }
        match AFTER_A_500.checked_sub(history.since(last.at)).filter(|left| *left > Duration::ZERO) {
            Some(left) => wait(left),
            None => Carrying::Convert,
        }
    }
}

fn failed(problem: Problem) -> Carrying {
    Carrying::Failed(Box::new(problem))
}

fn polling(phase: Phase, because: Problem) -> Carrying {
    let (pause, awaited, because) = (POLLING, Awaited::Work, Some(Box::new(because)));
    Carrying::Wait(Wait { phase, pause, least: pause, awaited, because })
}

fn wait(pause: Duration) -> Carrying {
    Carrying::Wait(Wait { phase: Phase::Patching, pause, least: pause, awaited: Awaited::Work, because: None })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::answer::{Refusal, Trouble, TroubleKind};
    use crate::domain::mode::Source;
    use crate::domain::run::RunId;
    use crate::domain::server::Server;
    use crate::domain::tests::spec;

    const NOW: i64 = 1_795_000_000;

    fn change(mode: Mode) -> ModeChange {
        ModeChange {
            id: RunId(Uuid::nil()),
            mode,
            source: Source::Api,
            by: None,
            reason: None,
            at: Timestamp::UNIX_EPOCH,
            configured: Mode::Follow,
            convert: false,
            applied_at: None,
            problem: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(NOW + second).unwrap()
    }

    fn mirror(interval: &str) -> Repository {
        Repository {
            id: 7,
            mirror: true,
            interval: GoDuration::parse(interval).ok(),
            mirror_updated: at(-3_600),
            last_sync: None,
            original_url: spec().upstream.to_string(),
            default_branch: "main".into(),
            created_at: at(-7_200),
            archived: false,
        }
    }

    fn next(change: &ModeChange, repository: &Repository, history: &History) -> Carrying {
        told(change, RepositoryAnswer::Present(Box::new(repository.clone())), history)
    }

    fn told(change: &ModeChange, answer: RepositoryAnswer, history: &History) -> Carrying {
        let repository = Some(RepositorySeen { answer, date: at(0), dated: true });
        let seen = Observation { repository, ..Observation::default() };
        carry_out(&spec(), change, &seen, history, &Policy::default())
    }

    fn patched(interval_before: &str, answer: PatchAnswer, ago: Duration) -> History {
        let mut history = History::default();
        history.patched(&spec(), &mirror(interval_before), answer);
        history.elapsed = ago;
        history
    }

    #[test]
    fn an_interval_is_set_read_back_for_three_seconds_and_then_it_counts() {
        let (pinned, fresh) = (change(Mode::Pinned), History::default());
        let nothing = carry_out(&spec(), &pinned, &Observation::default(), &fresh, &Policy::default());
        assert_eq!(nothing, Carrying::Look(Look::Repository));
        assert_eq!(next(&pinned, &mirror("10m"), &fresh), Carrying::SetInterval(GoDuration::ZERO));
        assert_eq!(next(&pinned, &mirror("0s"), &fresh), Carrying::Done);
        assert_eq!(next(&change(Mode::Follow), &mirror("0s"), &fresh), Carrying::SetInterval(spec().interval));
        assert_eq!(next(&change(Mode::Follow), &mirror("600s"), &fresh), Carrying::Done);
        let just = patched("10m", PatchAnswer::Done, Duration::from_secs(1));
        assert!(
            matches!(next(&pinned, &mirror("0s"), &just), Carrying::Wait(wait) if wait.pause == Duration::from_secs(2))
        );
        let settled = patched("10m", PatchAnswer::Done, Duration::from_secs(3));
        assert_eq!(next(&pinned, &mirror("0s"), &settled), Carrying::Done);
        // a sync that was running has written the old one back
        assert_eq!(next(&pinned, &mirror("10m"), &settled), Carrying::SetInterval(GoDuration::ZERO));
        // a call that nobody has heard of may land yet: one of ours goes after it, and is read back
        let mut doubt = History { settings_in_doubt: true, ..History::default() };
        assert_eq!(next(&pinned, &mirror("0s"), &doubt), Carrying::SetInterval(GoDuration::ZERO));
        doubt.patched(&spec(), &mirror("0s"), PatchAnswer::Done);
        assert!(matches!(next(&pinned, &mirror("0s"), &doubt), Carrying::Wait(_)));
    }

    #[test]
    fn nothing_but_a_mirror_of_our_upstream_is_ever_changed() {
        let other = Repository { original_url: "https://example.org/another".into(), ..mirror("10m") };
        let regular = Repository { mirror: false, interval: None, ..mirror("10m") };
        let young = Repository { interval: None, created_at: at(-60), ..mirror("10m") };
        let dead = Repository { interval: None, created_at: at(-3_600), ..mirror("10m") };
        let archived = Repository { archived: true, ..mirror("10m") };
        let trouble = RepositoryAnswer::Trouble(Trouble::maybe_sent(TroubleKind::Foreign, "404 with a web page"));
        let refused = RepositoryAnswer::Refused(Refusal::Unauthenticated { message: "bad".into() });
        for mode in [Mode::Follow, Mode::Pinned, Mode::Severed] {
            let change = ModeChange { convert: mode == Mode::Severed, ..change(mode) };
            let fresh = History::default();
            let code = |carrying: Carrying| match carrying {
                Carrying::Failed(problem) => Some(problem.code),
                Carrying::Look(_)
                | Carrying::Wait(_)
                | Carrying::SetInterval(_)
                | Carrying::Convert
                | Carrying::Done => None,
            };
            assert_eq!(code(next(&change, &other, &fresh)), Some(Code::UpstreamMismatch));
            assert_eq!(code(next(&change, &archived, &fresh)), Some(Code::Archived));
            assert_eq!(code(told(&change, refused.clone(), &fresh)), Some(Code::GiteaAuth));
            assert!(matches!(told(&change, trouble.clone(), &fresh), Carrying::Wait(_)));
            assert!(matches!(next(&change, &young, &fresh), Carrying::Wait(_)));
            for nothing_there in [&regular, &dead] {
                assert_eq!(next(&change, nothing_there, &fresh), Carrying::Done);
            }
            assert_eq!(told(&change, RepositoryAnswer::Absent, &fresh), Carrying::Done);
        }
    }

    #[test]
    fn a_sync_of_ours_whose_end_was_not_seen_is_waited_for_as_long_as_a_sync_may_take() {
        let asked = |ago: i64| History { sync_asked: Some(at(-ago)), ..History::default() };
        let pinned = change(Mode::Pinned);
        assert!(matches!(next(&pinned, &mirror("0s"), &asked(60)), Carrying::Wait(_)));
        assert_eq!(next(&pinned, &mirror("0s"), &asked(600)), Carrying::Done);
        let ended = Repository { mirror_updated: at(-60), ..mirror("0s") };
        assert_eq!(next(&pinned, &ended, &asked(60)), Carrying::Done);
        assert_eq!(next(&change(Mode::Follow), &mirror("10m"), &asked(60)), Carrying::Done);
    }

    #[test]
    fn a_mirror_is_converted_once_and_only_where_that_is_asked_for_and_offered() {
        let severed = ModeChange { convert: true, ..change(Mode::Severed) };
        let on = |version: &str| History { server: Some(Server::parse(version)), ..History::default() };
        let forgejo = on("16.0.0+gitea-1.22.0");
        assert_eq!(next(&severed, &mirror("10m"), &forgejo), Carrying::SetInterval(GoDuration::ZERO));
        assert_eq!(next(&severed, &mirror("0s"), &forgejo), Carrying::Convert);
        assert_eq!(next(&change(Mode::Severed), &mirror("0s"), &forgejo), Carrying::Done);
        let carried = ModeChange { applied_at: Some(at(0)), ..severed.clone() };
        assert_eq!(next(&carried, &mirror("0s"), &forgejo), Carrying::Done);
        assert!(
            matches!(next(&severed, &mirror("0s"), &on("1.26.4")), Carrying::Failed(problem) if problem.code == Code::ConvertNotOffered)
        );
        let mut tried = forgejo.clone();
        tried.converted(ConvertAnswer::NotOffered);
        assert!(
            matches!(next(&severed, &mirror("0s"), &tried), Carrying::Failed(problem) if problem.code == Code::ConvertNotOffered)
        );
        let mut lost = forgejo;
        lost.converted(ConvertAnswer::Unknown(Trouble::maybe_sent(TroubleKind::Cut, "cut")));
        assert!(matches!(next(&severed, &mirror("0s"), &lost), Carrying::Wait(_)));
        lost.elapsed = Duration::from_secs(2);
        assert_eq!(next(&severed, &mirror("0s"), &lost), Carrying::Convert);
    }

    #[test]
    fn what_gitea_refuses_is_told_and_what_does_not_stay_is_given_up() {
        let refused = patched("0s", PatchAnswer::BelowMinimum { minimum: None }, Duration::ZERO);
        let follow = change(Mode::Follow);
        assert!(
            matches!(next(&follow, &mirror("0s"), &refused), Carrying::Failed(problem) if problem.code == Code::IntervalTooShort)
        );
        let mut reverted = patched("10m", PatchAnswer::Done, Duration::from_mins(1));
        reverted.patches = PATCHES;
        let pinned = change(Mode::Pinned);
        assert!(
            matches!(next(&pinned, &mirror("10m"), &reverted), Carrying::Failed(problem) if problem.code == Code::SettingsReverted)
        );
        let late = History { elapsed: Policy::default().run, ..History::default() };
        assert!(
            matches!(next(&pinned, &mirror("10m"), &late), Carrying::Failed(problem) if problem.code == Code::DeadlineExceeded)
        );
    }
}
