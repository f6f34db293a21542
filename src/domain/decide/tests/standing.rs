//! Whether a mirror is run in Gitea as its mode says: what an observation tells the engine beside what it has found.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::super::{Standing, standing};
use super::world::mirror;
use crate::domain::answer::{Repository, RepositoryAnswer};
use crate::domain::duration::GoDuration;
use crate::domain::mode::{Mode, ModeChange, Source};
use crate::domain::observation::{History, Observation, RepositorySeen};
use crate::domain::run::RunId;
use crate::domain::spec::Policy;
use crate::domain::tests::spec;

fn of(history: &History, answer: RepositoryAnswer) -> Standing {
    let repository = Some(RepositorySeen { answer, date: mirror().mirror_updated, dated: true });
    let seen = Observation { repository, ..Observation::default() };
    standing(&spec(), &seen, history, &Policy::default())
}

fn shown(history: &History, repository: Repository) -> Standing {
    of(history, RepositoryAnswer::Present(Box::new(repository)))
}

fn with(interval: &str) -> Repository {
    Repository { interval: GoDuration::parse(interval).ok(), ..mirror() }
}

fn run_as(mode: Mode) -> History {
    History { mode, ..History::default() }
}

#[test]
fn a_mirror_that_must_stand_still_does_so_only_with_an_interval_of_zero() {
    for mode in [Mode::Pinned, Mode::Severed] {
        let history = run_as(mode);
        for (repository, expected) in [
            (with("0s"), Standing::AsSaid),
            (with("10m"), Standing::NotAsSaid),
            (with("8h"), Standing::NotAsSaid),
            // a clone that is under way, a regular repository, somebody else's mirror, one that nothing can be set on
            (with(""), Standing::AsSaid),
            (Repository { mirror: false, ..with("10m") }, Standing::AsSaid),
            (Repository { original_url: "https://example.org/another".into(), ..with("10m") }, Standing::AsSaid),
            (Repository { archived: true, ..with("10m") }, Standing::AsSaid),
        ] {
            assert_eq!(shown(&history, repository.clone()), expected, "{mode} {repository:?}");
        }
        assert_eq!(of(&history, RepositoryAnswer::Absent), Standing::AsSaid);
    }
    let unseen = standing(&spec(), &Observation::default(), &run_as(Mode::Pinned), &Policy::default());
    assert_eq!(unseen, Standing::AsSaid);
}

#[test]
fn an_interval_of_zero_where_a_mirror_follows_is_somebodys_unless_the_journal_says_that_it_is_ours() {
    assert_eq!(shown(&run_as(Mode::Follow), with("10m")), Standing::AsSaid);
    assert_eq!(shown(&run_as(Mode::Follow), with("8h")), Standing::AsSaid, "a change of settings");
    assert_eq!(shown(&run_as(Mode::Follow), with("0s")), Standing::Stopped);
    assert_eq!(
        shown(&run_as(Mode::Follow), Repository { original_url: "https://example.org/x".into(), ..with("0s") }),
        Standing::AsSaid
    );
    let followed_again = |applied_at| ModeChange {
        id: RunId(Uuid::nil()),
        mode: Mode::Follow,
        source: Source::Api,
        by: None,
        reason: None,
        at: Timestamp::UNIX_EPOCH,
        configured: Mode::Follow,
        convert: false,
        applied_at,
        problem: None,
    };
    let sent = |before: i64| Some(mirror().mirror_updated - SignedDuration::from_secs(before));
    for (applied_at, settings_sent, expected) in [
        (None, None, Standing::NotAsSaid),
        // a sync has ended since, within the time that it may take
        (Some(Timestamp::UNIX_EPOCH), sent(1), Standing::NotAsSaid),
        (Some(Timestamp::UNIX_EPOCH), sent(600), Standing::NotAsSaid),
        (Some(Timestamp::UNIX_EPOCH), sent(601), Standing::Stopped),
        (Some(Timestamp::UNIX_EPOCH), sent(0), Standing::Stopped),
    ] {
        let mode_change = Some(Box::new(followed_again(applied_at)));
        let history = History { mode_change, settings_sent, ..run_as(Mode::Follow) };
        assert_eq!(shown(&history, with("0s")), expected, "{applied_at:?} {settings_sent:?}");
    }
}
