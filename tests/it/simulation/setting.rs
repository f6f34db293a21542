//! Where a story is set: which server, which upstream, how many services, and what stands in Gitea at the beginning.

use std::sync::Arc;
use std::time::Duration;

use standin::{CallKind, Fault, Gitea, Options, Profile, Upstream};

use super::rng::Rng;
use super::service::Sut;
use super::shared::Shared;
use super::story::Story;
use super::{GITEA, OWNER, REPO, UPSTREAM};
use crate::world::{InProcess, OPERATOR, VIEWER};

/// When Gitea gives up on a child that hangs.
pub(super) const GIT_TIMEOUT: Duration = Duration::from_mins(5);

/// A placeholder counts as dead after this; the shortest that is configurable would be told by the same rules.
pub(super) const DEAD: Duration = Duration::from_mins(5);

const UPSTREAM_TOKEN: &str = "upstream-secret-5b1f0c9a7e";
const SCOPES: [&str; 3] = ["write:repository", "write:organization", "read:user"];

/// What every request asks for.
pub(super) const PLAINLY: &str = "{}";
pub(super) const RENAMING_ASIDE: &str = "{\"onLegacy\":\"renameAside\"}";

/// What a story is played on.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a chance of its own")]
pub(super) struct Setting {
    pub(super) profile: Profile,
    pub(super) prune: bool,
    /// Whether a second service works on the same Gitea.
    pub(super) twins: bool,
    pub(super) private: bool,
    /// Whether upstream ever has refs that git cannot hold beside each other.
    pub(super) conflicts: bool,
    /// Whether upstream is ever emptied.
    pub(super) empties: bool,
    /// Whether anybody ever says how the mirror is to be run.
    pub(super) modes: bool,
    /// What every request asks for.
    pub(super) body: &'static str,
}

impl Setting {
    /// One service on a server, a public upstream, and nothing out of the common.
    pub(super) const fn plain(profile: Profile) -> Self {
        Self {
            profile,
            prune: false,
            twins: false,
            private: false,
            conflicts: false,
            empties: false,
            modes: false,
            body: PLAINLY,
        }
    }

    fn drawn(rng: &mut Rng) -> Self {
        Self {
            profile: *rng.pick(&Profile::ALL),
            prune: rng.percent(25),
            twins: rng.percent(20),
            private: rng.percent(15),
            conflicts: rng.percent(15),
            empties: rng.percent(15),
            modes: rng.percent(30),
            body: *rng.pick(&[PLAINLY, RENAMING_ASIDE]),
        }
    }
}

impl Story {
    /// The story of a seed, with its services running.
    pub(super) async fn drawn(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let setting = Setting::drawn(&mut rng);
        let mut story = Self::set(setting, rng);
        story.shared.note(&format!("seed {seed}: {setting:?}"));
        story.furnish().await;
        for service in &mut story.services {
            service.start().await;
        }
        story
    }

    /// A story with nothing in Gitea, and nothing running.
    pub(super) fn set(setting: Setting, mut rng: Rng) -> Self {
        let options = Options { profile: setting.profile, git_timeout: GIT_TIMEOUT, ..Options::default() };
        let base = options.base;
        let (gitea, upstream) = (Gitea::in_memory(options), Upstream::in_memory(base, UPSTREAM));
        gitea.reach(UPSTREAM, upstream.router());
        gitea.add_user("bot", "Passw0rd-test", false);
        gitea.add_user("other", "Passw0rd-test", true);
        upstream.create_sample("one");
        upstream.create_sample("two");
        if setting.private {
            upstream.require(Some(("oauth2", UPSTREAM_TOKEN)));
        }
        let token = gitea.add_token("bot", &SCOPES);
        let in_process = InProcess::default().at(GITEA, gitea.router()).at(UPSTREAM, upstream.router());
        let shared = Arc::new(Shared::new(gitea, upstream, in_process));
        let files = [
            ("gitea-token", token.clone()),
            ("tokens", format!("operator ops {OPERATOR}\nviewer eyes {VIEWER}\n")),
            ("upstream-token", UPSTREAM_TOKEN.to_owned()),
        ];
        let secret = if setting.private { ", tokenFile: {folder}/upstream-token" } else { "" };
        let (url, prune) = (shared.upstream.url("one"), setting.prune);
        let yaml = format!(
            "gitea:\n  url: http://{GITEA}\n  tokenFile: {{folder}}/gitea-token\nlimits: {{ deadPlaceholder: {}s }}\nmirrors:\n  \
             - name: one\n    prune: {prune}\n    upstream: {{ url: {url}, branch: main{secret} }}\n    \
             target: {{ owner: {OWNER}, repo: {REPO} }}\n",
            DEAD.as_secs(),
        );
        let count = if setting.twins { 2 } else { 1 };
        let base = base.try_into().unwrap();
        let services = (0..count).map(|who| Sut::new(who, &shared, base, &files, &yaml)).collect();
        for who in 0..=count {
            shared.seed(who, rng.fork());
        }
        Self::of(setting, rng, shared, services, token)
    }

    /// What stands in Gitea at the beginning.
    async fn furnish(&mut self) {
        let chance = self.rng.below(100);
        if chance < 45 {
            return;
        }
        self.has_an_organisation();
        let (address, kind) = match chance {
            45..=64 => return,
            65..=74 => {
                self.has_a_legacy_repository();
                return;
            }
            75..=79 => (self.shared.upstream.url("two"), "a mirror of another upstream"),
            80..=84 => {
                self.shared.gitea.fault_once(CallKind::Migrate, Fault::Delay(Duration::ZERO));
                (self.shared.upstream.url("none"), "somebody's failed migrate")
            }
            _ => (self.shared.upstream.url("one"), "somebody's mirror of our upstream"),
        };
        let status = self.shared.gitea.migrate_as("other", OWNER, REPO, &address).await;
        self.shared.note(&format!("-- {kind} has the name: {status}"));
        if kind != "somebody's mirror of our upstream" {
            self.holds_dear(REPO);
        }
        self.shared.look();
    }

    /// The organisation is there, with somebody's repository in it.
    pub(super) fn has_an_organisation(&mut self) {
        self.shared.gitea.add_org(OWNER, "bot");
        self.shared.gitea.add_repository(OWNER, "bystander");
        self.holds_dear("bystander");
    }

    /// A regular repository stands where the mirror should be.
    pub(super) fn has_a_legacy_repository(&mut self) {
        self.shared.gitea.add_repository(OWNER, REPO);
        self.holds_dear(REPO);
        self.shared.note("-- a regular repository has the name");
    }

    pub(super) fn know_the_token(&self) {
        self.shared.gitea.set_token("bot", &self.token, &SCOPES);
    }
}
