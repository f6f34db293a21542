//! How a mirror is run, by whose word, and how far that word has been carried out.
//!
//! Owns the three modes and which word counts: the latest, of whoever has a say. The configuration's word counts until
//! somebody asks for another mode, and again from when it is changed; its `severed` is never overruled, since a journal
//! can be lost and a configuration is kept with the cluster.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::names::MirrorName;
use super::problem::{Code, Problem};
use super::run::{RunId, labelled};

/// The most characters of a reason.
pub const LONGEST_REASON: usize = 300;

labelled! {
    /// How a mirror is run.
    #[derive(Default)]
    Mode {
        /// Gitea follows upstream, and we help.
        #[default]
        Follow = "follow",
        /// Gitea's interval is `0s`, and it is asked for no sync; drift is shown and not healed.
        Pinned = "pinned",
        /// As pinned, and upstream is not called at all.
        Severed = "severed",
    }
}

impl Mode {
    /// Whether upstream is called.
    #[must_use]
    pub const fn asks_upstream(self) -> bool {
        match self {
            Self::Follow | Self::Pinned => true,
            Self::Severed => false,
        }
    }

    /// Whether we see to it that Gitea follows upstream.
    #[must_use]
    pub const fn follows(self) -> bool {
        match self {
            Self::Follow => true,
            Self::Pinned | Self::Severed => false,
        }
    }
}

labelled! {
    /// Who has a say in a mirror's mode.
    Source {
        /// A caller of the API.
        Api = "api",
        /// The configuration.
        Configuration = "configuration",
        /// Somebody in Gitea: an interval of `0s` was found there that is not ours.
        Gitea = "gitea",
        /// The journal, whose latest change cannot be read: what it was is not known.
        Journal = "journal",
    }
}

/// Somebody's word on how a mirror is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeChange {
    /// Its id, which stands in the journal's intents where a run's does.
    pub id: RunId,
    /// How.
    pub mode: Mode,
    /// Who has said so.
    pub source: Source,
    /// The name of the token that asked.
    pub by: Option<String>,
    /// Why, in that caller's words.
    pub reason: Option<String>,
    /// When it was written down.
    pub at: Timestamp,
    /// What the configuration said then.
    pub configured: Mode,
    /// Whether the mirror is to be made a regular repository.
    pub convert: bool,
    /// When Gitea was first seen to stand as it must, after it was told.
    pub applied_at: Option<Timestamp>,
    /// What has kept it from being carried out, when that was last given up.
    #[serde(default)]
    pub problem: Option<Problem>,
}

impl ModeChange {
    /// What stands in place of a change that cannot be read. It may have severed the mirror, so that nothing is synced and
    /// upstream is not called; and it proves nothing, so that nothing is changed in Gitea. `None`: the configuration's word
    /// counts, whatever it was.
    #[must_use]
    pub fn unreadable(configured: Mode, now: Timestamp) -> Option<Self> {
        (configured != Mode::Severed).then(|| Self {
            id: RunId(Uuid::nil()),
            mode: Mode::Severed,
            source: Source::Journal,
            by: None,
            reason: None,
            at: now,
            configured,
            convert: false,
            applied_at: Some(now),
            problem: None,
        })
    }

    /// Whether it says what is to be done in Gitea.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.source != Source::Journal
    }

    /// Whether it still counts beside what the configuration says now.
    #[must_use]
    pub fn counts(&self, configured: Mode) -> bool {
        self.configured == configured && (configured != Mode::Severed || self.mode == Mode::Severed)
    }

    /// Whether a journal that is lost would take it along: what Gitea shows of a severed mirror is that it is pinned.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        self.mode != Mode::Severed || self.configured == Mode::Severed
    }

    /// Whether nothing is left to do for it, or nothing is being done any more.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.applied_at.is_some() || self.problem.is_some()
    }

    fn whose(&self) -> String {
        let by = match (self.source, &self.by) {
            (Source::Api, Some(by)) => format!("by {by}"),
            (Source::Api, None) => "by a caller".to_owned(),
            (Source::Configuration, _) => "by the configuration".to_owned(),
            (Source::Gitea, _) => "since its interval is 0s in Gitea, and not by us".to_owned(),
            (Source::Journal, _) => "because the journal's record of its mode cannot be read".to_owned(),
        };
        self.reason.as_ref().map_or_else(|| by.clone(), |reason| format!("{by}: {reason}"))
    }
}

/// The mode that counts: of the latest word, if it still does, else the configuration's.
#[must_use]
pub fn standing(configured: Mode, latest: Option<&ModeChange>) -> Mode {
    latest.filter(|change| change.counts(configured)).map_or(configured, |change| change.mode)
}

/// Why a run on a mirror that does not follow is not done, and how to have it follow.
#[must_use]
pub fn refusal(name: &MirrorName, mode: Mode, change: Option<&ModeChange>) -> Problem {
    let whose = change.map(|change| format!(" {}", change.whose())).unwrap_or_default();
    let problem = Problem::new(Code::ModeRefuses, format!("{name} is {mode}{whose}"));
    match change {
        Some(change) if change.configured == Mode::Severed => problem.with_remedy(SEVERED_BY_CONFIGURATION),
        Some(_) | None => problem.with_remedy(&format!(
            "PUT /mirrors/{name}/mode with {{\"mode\": \"follow\"}} as an operator, and ask again once it answers 200."
        )),
    }
}

/// An interval of `0s` in Gitea that nobody has asked us for.
#[must_use]
pub fn found_stopped(name: &MirrorName) -> Problem {
    Problem::new(Code::ModeRefuses, format!("the interval of {name} is 0s in Gitea, and not by us: it is kept as pinned"))
        .with_remedy(&format!(
            "Find out who stopped it, and why. To follow again: PUT /mirrors/{name}/mode with {{\"mode\": \"follow\"}} as an operator, and ask again once it answers 200."
        ))
}

/// What to do about a mirror that the configuration has severed.
pub const SEVERED_BY_CONFIGURATION: &str = "The configuration has severed this mirror, and nothing else may turn that back: set `mode: follow` there (mirrors[].mode) and restart us.";

#[cfg(test)]
mod tests {
    use super::*;

    fn change(mode: Mode, source: Source, configured: Mode) -> ModeChange {
        ModeChange {
            id: RunId(Uuid::nil()),
            mode,
            source,
            by: (source == Source::Api).then(|| "ops".to_owned()),
            reason: None,
            at: Timestamp::UNIX_EPOCH,
            configured,
            convert: false,
            applied_at: None,
            problem: None,
        }
    }

    #[test]
    fn the_latest_word_counts_and_a_changed_configuration_is_one() {
        use Mode::{Follow, Pinned, Severed};
        for (configured, said, then, counts) in [
            (Follow, Pinned, Follow, Pinned),
            (Follow, Severed, Follow, Severed),
            // a caller has unpinned what the configuration pins
            (Pinned, Follow, Pinned, Follow),
            // the configuration was changed since: it has the last word
            (Severed, Pinned, Follow, Severed),
            (Follow, Pinned, Severed, Follow),
            (Pinned, Follow, Follow, Pinned),
            // however it came about, nothing overrules a configured `severed`
            (Severed, Follow, Severed, Severed),
        ] {
            let change = change(said, Source::Api, then);
            assert_eq!(standing(configured, Some(&change)), counts, "{configured} {said} {then}");
        }
        assert_eq!(standing(Pinned, None), Pinned);
    }

    #[test]
    fn only_what_gitea_itself_shows_or_the_configuration_says_outlives_the_journal() {
        for (mode, configured, lasting) in [
            (Mode::Pinned, Mode::Follow, true),
            (Mode::Severed, Mode::Follow, false),
            (Mode::Severed, Mode::Severed, true),
            (Mode::Follow, Mode::Pinned, true),
        ] {
            assert_eq!(change(mode, Source::Api, configured).is_lasting(), lasting, "{mode} {configured}");
        }
    }

    #[test]
    fn a_refusal_says_by_whom_why_and_what_to_do() {
        let name = MirrorName::parse("openova").unwrap();
        let mut pinned = change(Mode::Pinned, Source::Api, Mode::Follow);
        pinned.reason = Some("release freeze".into());
        let problem = refusal(&name, Mode::Pinned, Some(&pinned));
        assert_eq!(problem.detail, "openova is pinned by ops: release freeze");
        assert!(problem.remedy.contains("PUT /mirrors/openova/mode"), "{}", problem.remedy);
        let severed = change(Mode::Severed, Source::Configuration, Mode::Severed);
        let problem = refusal(&name, Mode::Severed, Some(&severed));
        assert_eq!(problem.detail, "openova is severed by the configuration");
        assert!(problem.remedy.contains("mirrors[].mode"), "{}", problem.remedy);
    }
}
