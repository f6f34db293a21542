//! The transport of a simulated service: latency, and every rule that concerns a single call. Each call
//! arrives and each answer returns in a millisecond of its own, so that the same seed plays the same story whatever
//! the machine's threads do. Never changes what is sent or answered.

use std::sync::Arc;

use bytes::Bytes;
use cutover_api::clock::Clock;
use cutover_api::domain::answer::Trouble;
use cutover_api::transport::{Call, Pieces, Transport, has_media_type};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use http::{Method, Response};
use standin::{CallKind, Refs};

use super::life::Life;
use super::shared::{Place, Reading, Sent, Shared, Shown};
use super::{GITEA, OWNER, REPO, service::SimClock};

/// One service's way to the network, for one life.
pub(super) struct Wire {
    pub(super) who: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<SimClock>,
    pub(super) life: Arc<Life>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

/// Which intents may stand for a call, and what it is to the stand-in.
fn kinds(method: &Method, path: &str, body: &str) -> (&'static [&'static str], CallKind) {
    match (method.as_str(), path) {
        ("POST", path) if path.ends_with("/orgs") => (&["create_organisation"], CallKind::CreateOrg),
        ("POST", path) if path.ends_with("/migrate") => (&["migrate"], CallKind::Migrate),
        ("POST", path) if path.ends_with("/mirror-sync") => (&["mirror_sync"], CallKind::MirrorSync),
        ("PATCH", _) if body.contains("\"default_branch\"") => (&["patch_default_branch"], CallKind::PatchRepository),
        ("PATCH", _) if body.contains("\"name\"") => (&["rename_aside", "give_back"], CallKind::PatchRepository),
        ("PATCH", _) => (&["patch_settings"], CallKind::PatchRepository),
        ("DELETE", _) => (&["delete_placeholder"], CallKind::DeleteRepository),
        _ => (&[], CallKind::Other),
    }
}

impl Wire {
    /// No changing call without an intent of its own, written just before. Takes note of the call.
    fn intended(&self, method: &Method, path: &str, body: &str) {
        let from = self.shared.gitea.done().len();
        let mut state = self.shared.state();
        let newest = state.journals[&self.who].query_row(
            "SELECT seq, kind, answer IS NULL, run FROM intents ORDER BY seq DESC LIMIT 1",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?, row.get(3)?)),
        );
        let before = state.last_intent.get(&self.who).copied().unwrap_or_default();
        let (kinds, kind) = kinds(method, path, body);
        let why = match newest {
            Err(error) => Some(format!("no intent is in the journal ({error})")),
            Ok((seq, ..)) if seq <= before => Some("the newest intent was another call's".to_owned()),
            Ok((_, _, false, _)) => Some("the newest intent has its answer already".to_owned()),
            Ok((_, kind, ..)) if !kinds.contains(&kind.as_str()) => Some(format!("the intent is one to {kind}")),
            Ok((seq, intent, _, run)) => {
                state.last_intent.insert(self.who, seq);
                state.sent.push(Sent { who: self.who, run, intent, kind, from, done: false });
                None
            }
        };
        drop(state);
        if let Some(why) = why {
            self.shared.broken(&format!("{method} {path} without an intent: {why}"));
        }
    }

    /// A DELETE needs a placeholder of our own making that nothing is filling. Somebody else's that nothing fills any more
    /// may be taken for one of ours by a service that does not know what became of its own migrate.
    fn may_delete(&self, path: &str) {
        let name = path.trim_start_matches("/api/v1/repos/");
        let views = self.shared.gitea.repositories();
        let Some(view) = views.iter().find(|view| view.full_name == name) else { return };
        let (ours, doubtful) = {
            let state = self.shared.state();
            let made = state.makers.get(&view.id).is_some_and(|makers| makers.contains(&self.who));
            let strange = state.strangers.contains(&view.id);
            (made && !strange, strange && state.doubtful.contains(&self.who))
        };
        if !view.placeholder || view.cloning || !ours && !doubtful {
            let (placeholder, cloning) = (view.placeholder, view.cloning);
            let what = format!("placeholder {placeholder}, being filled {cloning}, made by this service {ours}");
            self.shared.broken(&format!("DELETE of {name} ({}) without proof: {what}", view.id));
        }
    }

    /// No sync beside an upstream that answered wrongly, nor beside a silent one with pruning on.
    fn may_sync(&self) {
        let shown = self.shared.state().shown.get(&self.who).copied().unwrap_or(Shown::Nothing);
        let prunes = self.shared.gitea.repository(OWNER, REPO).and_then(|view| view.enable_prune) == Some(true);
        let risky = match shown {
            // that a sync which was running has written the old pruning back cannot be seen
            Shown::Sound => false,
            Shown::Silence => prunes,
            Shown::Nothing | Shown::Nonsense => true,
        };
        if risky {
            self.shared
                .broken(&format!("a sync was asked for beside an upstream that was {shown:?}, pruning {prunes}"));
        }
    }

    /// On a mirror that stands still nothing is fetched, and a severed one is not even looked at upstream.
    fn stands_still(&self, to_gitea: bool, changes: bool, path: &str) {
        let still = self.shared.state().still.get(&self.who).copied();
        let fetches = changes && (path.ends_with("/mirror-sync") || path.ends_with("/migrate"));
        if still.is_some() && fetches || still == Some("severed") && !to_gitea {
            self.shared.broken(&format!("{path} was called although the mirror is {still:?}"));
        }
    }

    fn understand(&self, result: &Result<Response<Bytes>, Trouble>, path: &str) {
        let shown = match result {
            Err(_) => Shown::Silence,
            Ok(answer) if answer.status().is_server_error() || answer.status() == 429 => Shown::Silence,
            Ok(answer) => {
                let text = String::from_utf8_lossy(answer.body());
                let git = answer.headers().get("content-type").is_some_and(|kind| {
                    kind.to_str().is_ok_and(|kind| kind.starts_with("application/x-git-upload-pack-"))
                });
                let lists = text.contains(" refs/heads/") && text.ends_with("0000");
                // only half of a reading: its other half decides
                let capabilities = path.contains("info/refs") && text.contains("version 2") && text.ends_with("0000");
                if answer.status() == 200 && git && (lists || capabilities) { Shown::Sound } else { Shown::Nonsense }
            }
        };
        self.shared.state().shown.insert(self.who, shown);
    }

    fn changed(&self, path: &str, result: &Result<Response<Bytes>, Trouble>) {
        let done = self.shared.gitea.done();
        let mut state = self.shared.state();
        state.changed.push((self.who, self.clock.now()));
        if let Some(sent) = state.sent.iter_mut().rev().find(|sent| sent.who == self.who) {
            sent.done = done[sent.from..].iter().any(|done| done.kind == sent.kind);
        }
        if path.ends_with("/migrate") {
            state.migrating.remove(&self.who);
            // whoever it was who answered with a page, or with nothing
            let told = result.as_ref().is_ok_and(|answer| has_media_type(answer, "application/json"));
            if !told {
                state.doubtful.insert(self.who);
            }
        }
    }

    async fn through(&self, call: Call) -> Result<Response<Bytes>, Trouble> {
        let (method, uri) = (call.request.method().clone(), call.request.uri().clone());
        let (path, body) = (uri.path().to_owned(), String::from_utf8_lossy(call.request.body()).into_owned());
        let to_gitea = uri.authority().is_some_and(|authority| authority == GITEA);
        let changes = to_gitea && method != Method::GET && !path.ends_with("/git-upload-pack");
        let reads = path.ends_with("/git-upload-pack") || path.ends_with("/info/refs");
        let asked = format!("{method} {uri} {body}");
        self.life.lasts().await;
        self.shared.slot(self.who, &asked).await;
        self.life.lasts().await;
        self.stands_still(to_gitea, changes, &path);
        if changes {
            self.intended(&method, &path, &body);
            if self.shared.crashes(self.who, Place::Call, false) {
                self.life.ends().await;
            }
            self.shared.state().changes += 1;
            match method.as_str() {
                "DELETE" => self.may_delete(&path),
                _ if path.ends_with("/mirror-sync") => self.may_sync(),
                _ if path.ends_with("/migrate") => drop(self.shared.state().migrating.insert(self.who)),
                _ => {}
            }
        }
        let holds = || match (reads, to_gitea) {
            (true, true) => self.shared.gitea.heads_and_tags(OWNER, REPO),
            (true, false) => self.shared.upstream.heads_and_tags("one"),
            _ => Refs::new(),
        };
        let before = holds();
        let mut sending = self.shared.in_process.send(call);
        // a migrate makes its row at once, whoever waits for its end
        let early = futures_util::poll!(&mut sending);
        self.shared.look();
        let result = match early {
            std::task::Poll::Ready(result) => result,
            std::task::Poll::Pending => sending.await,
        };
        self.shared.look();
        let held = [before, holds()];
        let what = match &result {
            Ok(answer) => answer.status().to_string(),
            Err(trouble) => format!("{:?}", trouble.kind),
        };
        let side = if to_gitea { "gitea" } else { "upstream" };
        self.shared.note(&format!("s{} {side:8} {method} {path} {body:.120?} -> {what}", self.who));
        if changes {
            self.changed(&path, &result);
            if self.shared.crashes(self.who, Place::Call, true) {
                self.life.ends().await;
            }
        }
        if reads && !to_gitea {
            self.understand(&result, &path);
        }
        self.shared.slot(self.who, &asked).await;
        if reads {
            let wall = self.clock.now();
            self.shared.state().readings.push(Reading { who: self.who, of_gitea: to_gitea, wall, held });
        }
        result
    }
}

impl Transport for Wire {
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Response<Bytes>, Trouble>> {
        Box::pin(self.through(call))
    }

    /// What was understood of the whole answer, in pieces of a size that no packet has.
    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Response<Pieces>, Trouble>> {
        const PIECE: usize = 61;
        Box::pin(async {
            let answer = self.through(call).await?;
            Ok(answer.map(|body| {
                let pieces: Vec<_> =
                    (0..body.len()).step_by(PIECE).map(|at| Ok(body.slice(at..body.len().min(at + PIECE)))).collect();
                stream::iter(pieces).boxed()
            }))
        })
    }
}
