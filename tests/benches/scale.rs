//! How time and memory grow with the number of mirrors: a service with so many, all of them there and proven by observations
//! alone. Both stand-ins keep their refs in memory, since ten thousand repositories would be more work than the service.

use std::fs;
use std::time::{Duration, SystemTime};

use standin::{Gitea, Options, Served, Upstream};
use tempfile::TempDir;

use crate::bench::{Service, TOKEN, Table, milliseconds, now};

/// The longest that all mirrors may take to be observed.
const PATIENCE: Duration = Duration::from_mins(10);

/// How often each is asked for each page.
const ROUNDS: usize = 25;

/// What was measured with one number of mirrors: milliseconds and MiB.
struct Figures {
    ready: f64,
    idle: f64,
    page: f64,
    status: f64,
    metrics: f64,
    observed: f64,
    resident: f64,
}

struct Stage {
    folder: TempDir,
    _gitea: Served,
    _upstream: Upstream,
}

fn stage(count: usize) -> Stage {
    #[expect(clippy::disallowed_methods, reason = "the stand-in starts at the real time")]
    let base = SystemTime::now();
    let folder = TempDir::with_prefix("cutover-scale-").unwrap();
    let upstream = Upstream::in_memory(base, "nowhere.test");
    upstream.create_sample("one");
    upstream.serve_in_background().unwrap();
    let url = upstream.url("one");
    let gitea = Gitea::in_memory(Options { base, ..Options::default() });
    gitea.reach(url.trim_start_matches("http://").trim_end_matches("/one.git"), upstream.router());
    gitea.add_user("bot", "unused", false);
    gitea.add_org("ours", "bot");
    let token = gitea.add_token("bot", &["write:repository", "write:organization", "read:user"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for mirror in 0..count {
            let status = gitea.migrate_as("bot", "ours", &format!("m{mirror}"), &url).await;
            assert_eq!(status, 201, "mirror {mirror}");
        }
    });
    let served = gitea.serve_in_background("127.0.0.1:0".parse().unwrap()).unwrap();
    fs::write(folder.path().join("gitea-token"), token).unwrap();
    fs::write(folder.path().join("tokens"), format!("operator bench {TOKEN}\n")).unwrap();
    let secret = folder.path().join("gitea-token");
    let mut yaml = format!("gitea: {{ url: {}, tokenFile: {} }}\n", served.url, secret.display());
    yaml += "observation: { ttl: 1h }\nmirrors:\n";
    for mirror in 0..count {
        yaml += &format!(
            "  - {{ name: m{mirror}, upstream: {{ url: {url} }}, target: {{ owner: ours, repo: m{mirror} }} }}\n"
        );
    }
    fs::write(folder.path().join("config.yaml"), yaml).unwrap();
    Stage { folder, _gitea: served, _upstream: upstream }
}

/// A service with so many mirrors, all of them observed, and what that took.
struct Running {
    count: usize,
    _stage: Stage,
    service: Service,
    of: Figures,
}

fn run(count: usize) -> Running {
    let stage = stage(count);
    let began = now();
    let service = Service::start(stage.folder.path());
    let ready = milliseconds(began);
    let idle = service.resident_mib();
    let began = now();
    // the first look starts them all
    while observed(&service.get("/metrics").0) < count {
        assert!(began.elapsed() < PATIENCE, "{} of {count} mirrors observed", observed(&service.get("/metrics").0));
        std::thread::sleep(Duration::from_millis(if count > 1_000 { 500 } else { 20 }));
    }
    let observed = milliseconds(began);
    let (text, _) = service.get("/metrics");
    assert_eq!(text.matches("state=\"fresh\"} 1\n").count(), count, "every mirror is there, and proven");
    let never = f64::INFINITY;
    let of = Figures { ready, idle, page: never, status: never, metrics: never, observed, resident: 0.0 };
    Running { count, _stage: stage, service, of }
}

/// Asks all of them in turns, so that whatever else the machine does meets them alike, and takes the best of each: it
/// only ever adds.
fn ask_in_turns(all: &mut [Running]) {
    for _ in 0..ROUNDS {
        for Running { service, of, .. } in &mut *all {
            let best = |path: &str, before: &mut f64| *before = before.min(service.get(path).1);
            best("/status?limit=100", &mut of.page);
            best("/status", &mut of.status);
            best("/metrics", &mut of.metrics);
        }
    }
    for Running { service, of, .. } in all {
        of.resident = service.resident_mib();
    }
}

/// How many observations have ended, by what is scraped.
fn observed(text: &str) -> usize {
    let lines = text.lines().filter(|line| line.starts_with("cutover_observations_total{"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
}

/// Adds the figures at 1, 100, 1,000 and 10,000 mirrors.
pub(crate) fn figures(table: &mut Table) {
    let mut all = [1, 100, 1_000, 10_000].map(run);
    ask_in_turns(&mut all);
    for Running { count, of, .. } in &all {
        table.line(&format!(
            "{count:>6} mirrors: ready {:.0} ms, {:.1} MiB; page of 100 {:.1} ms, /status {:.1} ms, /metrics {:.1} ms; observed \
             in {:.0} ms, then {:.1} MiB",
            of.ready, of.idle, of.page, of.status, of.metrics, of.observed, of.resident
        ));
    }
    let [_, _, Running { of: thousand, .. }, Running { of: most, .. }] = &all;
    table.figure("resident memory, 10,000 mirrors", most.resident, 96.0, "MiB");
    table.figure("/metrics, 10,000 beside 1,000", most.metrics / thousand.metrics, 11.0, "x");
    table.figure("/status, 10,000 beside 1,000", most.status / thousand.status, 11.0, "x");
    table.figure("observing, 10,000 beside 1,000", most.observed / thousand.observed, 11.0, "x");
    table.figure("start, 10,000 beside 1,000", most.ready / thousand.ready, 11.0, "x");
}
