//! How long reads take with 200 mirrors: four times what a large service has. Both stand-ins keep their refs in memory.

use std::fs;
use std::time::{Duration, SystemTime};

use standin::{Gitea, Options, Served, Upstream};
use tempfile::TempDir;

use crate::bench::{PATIENCE, Service, TOKEN, Table, now, p99};

const MIRRORS: usize = 200;

/// How often each path is read.
const READS: usize = 300;

struct Stage {
    folder: TempDir,
    _gitea: Served,
    _upstream: Upstream,
}

/// A Gitea in which every mirror is there, and the configuration.
fn stage() -> Stage {
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
        for mirror in 0..MIRRORS {
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
    for mirror in 0..MIRRORS {
        yaml += &format!(
            "  - {{ name: m{mirror}, upstream: {{ url: {url} }}, target: {{ owner: ours, repo: m{mirror} }} }}\n"
        );
    }
    fs::write(folder.path().join("config.yaml"), yaml).unwrap();
    Stage { folder, _gitea: served, _upstream: upstream }
}

/// Adds the figures.
pub(crate) fn figures(table: &mut Table) {
    let stage = stage();
    let service = Service::start(stage.folder.path());
    let began = now();
    // the first read starts their observations
    while service.get("/metrics").0.matches("state=\"fresh\"} 1\n").count() < MIRRORS {
        assert!(began.elapsed() < PATIENCE, "not all of {MIRRORS} mirrors were observed");
        std::thread::sleep(Duration::from_millis(20));
    }
    for path in ["/status", "/metrics"] {
        let took = (0..READS).map(|_| service.get(path).1).collect();
        table.figure(&format!("GET {path}, {MIRRORS} mirrors, p99"), p99(took), 10.0, "ms");
    }
    table.figure("resident memory, 200 mirrors", service.resident_mib(), 48.0, "MiB");
}
