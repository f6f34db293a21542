//! What befalls a story: one event after the other, drawn from its seed. Knows no rule; those are the oracles'.

use std::time::Duration;

use standin::{CallKind, Fault, Gitea, Reader, Unreached, UpstreamFault};

use super::rng::Rng;
use super::shared::{CrashPoint, Place};
use super::story::Story;
use super::{OWNER, REPO};

/// Calls that something may happen to.
const KINDS: &[CallKind] = &[
    CallKind::Any,
    CallKind::Api,
    CallKind::Git,
    CallKind::Version,
    CallKind::GetOrg,
    CallKind::CreateOrg,
    CallKind::Migrate,
    CallKind::Migrate,
    CallKind::GetRepository,
    CallKind::PatchRepository,
    CallKind::PatchRepository,
    CallKind::DeleteRepository,
    CallKind::MirrorSync,
    CallKind::MirrorSync,
    CallKind::Commits,
    CallKind::InfoRefs,
    CallKind::UploadPack,
];

const UNREACHED: &[Unreached] = &[Unreached::Refused, Unreached::NoSuchHost, Unreached::NoTls];

fn gitea_fault(rng: &mut Rng) -> Fault {
    let page = || "<html>\n<body>bad gateway</body>\n</html>\n".to_owned();
    let seconds = |rng: &mut Rng, most| Duration::from_secs(1 + rng.below(most));
    match rng.below(16) {
        0 | 1 => Fault::ExecuteThenCut,
        2 => Fault::CutBefore,
        3 => Fault::Hang,
        4 => Fault::ExecuteThenHang,
        5 => Fault::Html,
        6 => Fault::Status(*rng.pick(&[500, 502, 503]), "text/html", page()),
        7 => Fault::Status(500, "application/json", "{\"message\":\"\",\"url\":\"\"}".to_owned()),
        8 => Fault::ProxyTimeout(seconds(rng, 60)),
        9 => Fault::ExecuteThenStatus(*rng.pick(&[500, 502, 504]), "text/html", page()),
        10 => Fault::Delay(seconds(rng, 40)),
        11 => Fault::Truncate(usize::try_from(rng.below(200)).unwrap()),
        12 => Fault::EmptyBody,
        13 | 14 => Fault::Unreached(*rng.pick(UNREACHED)),
        _ => Fault::Status(404, "text/html", page()),
    }
}

fn upstream_fault(rng: &mut Rng) -> UpstreamFault {
    use UpstreamFault as F;
    let bytes = usize::try_from(rng.below(500)).unwrap();
    match rng.below(17) {
        0 => F::Empty200,
        1 => F::OneLine200,
        2 => F::EmptyPlain,
        3 => F::Html,
        4 => F::HtmlPage,
        5 => F::EmptyV0,
        6 => F::Drop,
        7 => F::Status(*rng.pick(&[401, 403, 404])),
        8 => F::Status(*rng.pick(&[429, 500, 502, 503])),
        9 => F::Hang,
        10 => F::Delay(Duration::from_secs(1 + rng.below(20))),
        11 => F::Redirect,
        12 => F::V0Only,
        13 => F::Truncate(bytes),
        14 | 15 => F::Unreached(*rng.pick(UNREACHED)),
        _ => F::CutAfter(bytes),
    }
}

/// Lets something happen.
pub(super) async fn happens(story: &mut Story) {
    let mut rng = story.rng.fork();
    match rng.below(100) {
        0..=27 => story.ask(&mut rng).await,
        28..=30 => {
            for _ in 0..20 {
                story.ask(&mut rng).await;
            }
        }
        31..=47 => upstream_moves(story, &mut rng),
        48..=56 => upstream_fails(story, &mut rng),
        57..=70 => gitea_fails(story, &mut rng),
        71..=80 => gitea_lives(story, &mut rng),
        92..=95 if story.setting.modes => story.sets_a_mode(&mut rng).await,
        81..=95 => we_fail(story, &mut rng).await,
        _ => somebody_else(story, &mut rng).await,
    }
}

fn upstream_moves(story: &mut Story, rng: &mut Rng) {
    let upstream = story.shared.upstream.clone();
    let refs = upstream.heads_and_tags("one");
    let has = |name: &str| refs.contains_key(name);
    let what = match rng.below(12) {
        0..=3 => {
            upstream.commit("one", "main", 1 + usize::try_from(rng.below(3)).unwrap());
            "pushes"
        }
        4 if has("refs/heads/main") => {
            upstream.force_push("one", "main");
            "force-pushes"
        }
        5 => {
            upstream.orphan("one", "main");
            "begins history anew"
        }
        6 | 7 if has("refs/heads/main") => {
            let name = format!("b{}", rng.below(4));
            upstream.branch("one", &name, "main");
            "makes a branch"
        }
        8 if has("refs/heads/main") => {
            let name = format!("t{}", rng.below(4));
            upstream.annotated_tag("one", &name, "main", &name);
            "makes a tag"
        }
        9 if has("refs/heads/feature") => {
            upstream.delete_ref("one", "refs/heads/feature");
            "deletes a branch"
        }
        10 if has("refs/heads/main") => {
            upstream.branch("one", "trunk", "main");
            upstream.set_head("one", if rng.percent(50) { "trunk" } else { "main" });
            "renames its default branch"
        }
        _ if story.setting.conflicts && has("refs/heads/main") => {
            let (old, new) = if has("refs/heads/rel") { ("rel", "rel/1") } else { ("rel/1", "rel") };
            if has(&format!("refs/heads/{old}")) {
                upstream.delete_ref("one", &format!("refs/heads/{old}"));
            }
            upstream.branch("one", new, "main");
            "replaces a branch by one that git cannot hold beside it"
        }
        _ if story.setting.empties => {
            for name in refs.keys() {
                upstream.delete_ref("one", name);
            }
            "is emptied"
        }
        _ => return,
    };
    story.shared.note(&format!("-- upstream {what}"));
}

fn upstream_fails(story: &mut Story, rng: &mut Rng) {
    let upstream = &story.shared.upstream;
    if rng.percent(35) {
        upstream.clear_faults();
        story.shared.note("-- upstream is well");
        return;
    }
    let (reader, fault) = (*rng.pick(&[Reader::Everyone, Reader::Git, Reader::Service]), upstream_fault(rng));
    story.shared.note(&format!("-- upstream answers {reader:?} with {fault:?}"));
    if rng.percent(50) { upstream.fault_once(reader, fault) } else { upstream.fault_for(reader, fault) }
}

fn gitea_fails(story: &mut Story, rng: &mut Rng) {
    let gitea = &story.shared.gitea;
    if rng.percent(20) {
        gitea.clear_faults();
        story.shared.note("-- Gitea is well");
        return;
    }
    let (kind, fault) = (*rng.pick(KINDS), gitea_fault(rng));
    let once = rng.percent(80);
    story.shared.note(&format!("-- Gitea's {kind:?} will be {fault:?}, once {once}"));
    if once { gitea.fault_once(kind, fault) } else { gitea.fault(kind, fault) }
}

fn gitea_lives(story: &mut Story, rng: &mut Rng) {
    let gitea = story.shared.gitea.clone();
    let what = match rng.below(12) {
        0 => {
            gitea.kill();
            "is killed".to_owned()
        }
        1 | 2 => {
            gitea.restart();
            "is started".to_owned()
        }
        3 => {
            gitea.kill();
            gitea.restart();
            "is restarted".to_owned()
        }
        4 | 5 => {
            let kind = *rng.pick(KINDS);
            gitea.before_next(kind, Gitea::kill);
            format!("will be killed by {kind:?}")
        }
        6 => {
            let stuck = rng.percent(50);
            gitea.set_stuck_queue(stuck);
            format!("has a stuck queue: {stuck}")
        }
        7 | 8 => {
            let delay = Duration::from_secs(rng.below(240));
            gitea.set_migrate_delay(delay);
            format!("clones for {delay:?}")
        }
        9 => {
            let delay = Duration::from_secs(rng.below(90));
            gitea.set_sync_delay(delay);
            format!("fetches for {delay:?}")
        }
        10 => {
            let token = story.token.clone();
            gitea.remove_token(&token);
            "knows our token no more".to_owned()
        }
        _ => {
            story.know_the_token();
            "knows our token".to_owned()
        }
    };
    story.shared.note(&format!("-- Gitea {what}"));
}

async fn we_fail(story: &mut Story, rng: &mut Rng) {
    let at = usize::try_from(rng.below(story.services.len() as u64)).unwrap();
    let what = match rng.below(16) {
        0..=2 => {
            story.services[at].crash();
            story.services[at].start().await;
            "crashes and starts"
        }
        3 => {
            story.services[at].crash();
            "crashes"
        }
        4..=7 => {
            let count = usize::try_from(rng.below(3)).unwrap();
            story.shared.state().crash =
                Some(CrashPoint { who: at, place: Place::Call, count, after: rng.percent(50) });
            "will crash at a changing call"
        }
        12..=14 => {
            // from a request's acceptance to its run's end there are some dozens
            let count = usize::try_from(rng.below(40)).unwrap();
            story.shared.state().crash =
                Some(CrashPoint { who: at, place: Place::Journal, count, after: rng.percent(50) });
            "will crash at a use of its journal"
        }
        15 => {
            story.services[at].is_asked_to_end().await;
            story.services[at].start().await;
            "is asked to end and starts"
        }
        8 | 9 => {
            const YEARS: i64 = 10 * 365 * 24 * 3_600;
            story.services[at].clock.jump(*rng.pick(&[-YEARS, YEARS, -3_600, 3_600, -1, 0, 0]));
            "has its clock set"
        }
        10 if story.services[at].runs() => {
            let table = *rng.pick(&["intents", "runs", "mirrors"]);
            story.fill_the_disk(at, table);
            "has no room for its journal"
        }
        _ if rng.percent(25) => {
            story.services[at].lose_the_journal();
            story.services[at].start().await;
            "has lost its journal"
        }
        _ => return,
    };
    story.shared.note(&format!("-- s{at} {what}"));
}

async fn somebody_else(story: &mut Story, rng: &mut Rng) {
    let gitea = story.shared.gitea.clone();
    let there = gitea.repository(OWNER, REPO);
    let what = match rng.below(5) {
        0 => {
            gitea.before_next(CallKind::CreateOrg, |gitea| {
                if gitea.repository(OWNER, "x").is_none() && !gitea.has_owner(OWNER) {
                    gitea.add_org(OWNER, "bot");
                }
            });
            "will make the organisation just before us"
        }
        1 if there.is_none() && gitea.has_owner(OWNER) => {
            gitea.add_repository(OWNER, REPO);
            story.holds_dear(REPO);
            "makes a repository of that name"
        }
        2 | 3 if there.is_none() && gitea.has_owner(OWNER) && !story.setting.private => {
            let delay = Duration::from_secs(rng.below(240));
            gitea.set_migrate_delay(delay);
            story.shared.strange_clone().await;
            "migrates our upstream to that name, slowly"
        }
        _ if story.precious.is_empty() && there.is_some_and(|view| view.mirror && !view.placeholder) => {
            gitea.cron_tick();
            gitea.sync_now(OWNER, REPO);
            "has the mirror synced"
        }
        _ => return,
    };
    story.shared.note(&format!("-- somebody {what}"));
}

impl Story {
    /// Nothing can be written into a table of a journal any more.
    pub(super) fn fill_the_disk(&mut self, who: usize, table: &'static str) {
        if self.full.contains(&(who, table)) {
            return;
        }
        for event in ["INSERT", "UPDATE"] {
            let trigger = format!("CREATE TRIGGER full_{table}_{event} BEFORE {event} ON {table}");
            self.shared.tamper(who, &format!("{trigger} BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"));
        }
        self.full.push((who, table));
    }

    /// There is room again.
    pub(super) fn make_room(&mut self) {
        for (who, table) in self.full.drain(..) {
            for event in ["INSERT", "UPDATE"] {
                self.shared.tamper(who, &format!("DROP TRIGGER IF EXISTS full_{table}_{event}"));
            }
        }
    }
}
