//! Five scenes that one run plays to its end, each with an outcome of its own: what goes wrong in them is for whoever plays
//! them to say.

use std::collections::BTreeMap;

use axum::body::Body;
use http::{Request, header};
use serde_json::Value;
use standin::{Profile, Reader, UpstreamFault};
use tower::ServiceExt as _;

use super::oracle;
use super::rng::Rng;
use super::setting::{RENAMING_ASIDE, Setting};
use super::story::{Story, on_paused_time};
use super::{OWNER, REPO};

/// What there is to do, and so what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// Nothing is there, not even the organisation.
    Created,
    /// A mirror is there, upstream has moved, and somebody has changed its interval.
    Updated,
    /// An earlier run's migrate has failed and left its placeholder.
    Repaired,
    /// A regular repository has the name, and is to be renamed aside.
    Replaced,
    /// The same, and Gitea cannot clone upstream, whatever is tried.
    GivenBack,
}

/// What a scene came to.
pub(super) struct Played {
    pub(super) log: Vec<String>,
    pub(super) violations: Vec<String>,
    pub(super) run: Value,
    /// Of every use of the journal since the request: whether it wrote anything.
    pub(super) uses: Vec<bool>,
    /// How many changes of each kind Gitea has made since the request.
    pub(super) effects: BTreeMap<String, usize>,
}

impl Played {
    /// What its run ended as: the outcome of a success, else the problem.
    pub(super) fn end(&self) -> &str {
        let part = &self.run["mirrors"][0];
        part["outcome"].as_str().or_else(|| part["problem"]["error"].as_str()).unwrap_or("nothing")
    }

    /// What happened, for whoever wonders why it is not what happens otherwise.
    pub(super) fn beside(&self, otherwise: &Self) -> String {
        let (log, violations) = (self.log.join("\n"), &self.violations);
        let [this, that] = [self, otherwise].map(|played| format!("{} {:?}", played.end(), played.effects));
        format!("{log}\n{violations:#?}\n{this}, and else {that}")
    }

    /// Whether everything that may be done once only was done as often as in the other. Settings may be sent again where
    /// nobody knows whether they arrived, since Gitea does not show all of them.
    pub(super) fn did_the_same(&self, other: &Self) -> bool {
        let of = |played: &Self, what: &str| played.effects.get(what).copied().unwrap_or_default();
        let once = ["CreateOrg", "Migrate", "DeleteRepository", "Rename", "MirrorSync"];
        let (settings, before) = (of(self, "PatchRepository"), of(other, "PatchRepository"));
        once.iter().all(|what| of(self, what) == of(other, what)) && (before..=before + 1).contains(&settings)
    }
}

impl Scene {
    /// Plays it, after something was laid in its way, and then sees whether all comes right again.
    pub(super) fn play(self, profile: Profile, lay: impl FnOnce(&Story)) -> Played {
        on_paused_time(async {
            let mut story = self.prepared(profile).await;
            let from = (story.shared.state().uses.len(), story.shared.gitea.done().len());
            story.shared.note("-- the scene begins");
            lay(&story);
            let run = story.runs_to_its_end().await;
            let uses = story.shared.state().uses[from.0..].to_vec();
            let mut effects = BTreeMap::new();
            for effect in &story.shared.gitea.done()[from.1..] {
                let renames = effect.body.contains("\"name\"");
                let what = if renames { "Rename".to_owned() } else { format!("{:?}", effect.kind) };
                *effects.entry(what).or_default() += 1;
            }
            if self == Self::GivenBack {
                self.has_its_name_back(&story);
            }
            story.shared.state().crash = None;
            story.heal().await;
            story.succeeds_soon(0).await;
            oracle::judge_the_end(&story.shared, &story.precious, story.setting.prune);
            let told = story.end();
            Played { log: told.log, violations: told.violations, run, uses, effects }
        })
    }

    async fn prepared(self, profile: Profile) -> Story {
        let renames = matches!(self, Self::Replaced | Self::GivenBack);
        let plain = Setting::plain(profile);
        let setting = Setting { body: if renames { RENAMING_ASIDE } else { plain.body }, ..plain };
        let mut story = Story::set(setting, Rng::new(0));
        if self != Self::Created {
            story.has_an_organisation();
        }
        if renames {
            story.has_a_legacy_repository();
        }
        story.services[0].start().await;
        let upstream = story.shared.upstream.clone();
        match self {
            Self::Created | Self::Replaced => {}
            Self::Updated => {
                story.runs_to_its_end().await;
                change_the_interval(&story).await;
                upstream.commit("one", "main", 2);
            }
            Self::Repaired => {
                upstream.fault_for(Reader::Git, UpstreamFault::Status(404));
                story.runs_to_its_end().await;
                upstream.clear_faults();
            }
            Self::GivenBack => upstream.fault_for(Reader::Git, UpstreamFault::Status(404)),
        }
        story
    }

    fn has_its_name_back(self, story: &Story) {
        let view = story.shared.gitea.repository(OWNER, REPO);
        let legacy = view.is_some_and(|view| !view.mirror && story.precious.contains_key(&view.id));
        if !legacy {
            story.shared.broken(&format!("{self:?}, and the legacy repository does not have its name"));
        }
    }
}

/// Somebody does, by hand.
async fn change_the_interval(story: &Story) {
    let token = story.shared.gitea.add_token("other", &["all"]);
    let request = Request::patch(format!("/api/v1/repos/{OWNER}/{REPO}"))
        .header(header::AUTHORIZATION, format!("token {token}"))
        .body(Body::from("{\"mirror_interval\":\"20m\"}"));
    let Ok(response) = story.shared.gitea.router().oneshot(request.unwrap()).await;
    assert!(response.status().is_success());
}
