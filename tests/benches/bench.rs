//! The bed on which figures are measured: servers, raw calls by curl and git, and the table.

use std::cell::RefCell;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use cutover_api::domain::webhook::sign;
use serde_json::Value;
use standin::{Gitea, Options, Served, Upstream};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_cutover-api");
pub(crate) const TOKEN: &str = "bench-operator-token";
/// The longest that anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(10);
const HOOK_SECRET: &str = "a webhook's secret that is long enough";

/// A clock for figures: nothing of ours is decided by it.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1_000.0
}

/// The middle one.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The value that 99 of 100 do not exceed.
pub(crate) fn p99(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() * 99 / 100 - 1]
}

/// Gitea, upstream and the configuration, for as many mirrors as there are rounds.
pub(crate) struct Bed {
    folder: TempDir,
    upstream: Upstream,
    gitea: Served,
    gitea_token: String,
}

impl Bed {
    /// A stand-in Gitea and an upstream of 5,000 commits.
    pub(crate) fn new(rounds: usize) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the stand-in starts at the real time")]
        let base = SystemTime::now();
        let folder = TempDir::with_prefix("cutover-bench-").unwrap();
        let upstream = Upstream::start(base);
        upstream.create("big");
        upstream.commit("big", "main", 5_000);
        let gitea = Gitea::new(Options { base, ..Options::default() });
        gitea.add_user("bot", "unused", false);
        let gitea_token = gitea.add_token("bot", &["write:repository", "write:organization", "read:user"]);
        let gitea = gitea.serve_in_background("127.0.0.1:0".parse().unwrap()).unwrap();
        fs::write(folder.path().join("gitea-token"), &gitea_token).unwrap();
        fs::write(folder.path().join("tokens"), format!("operator bench {TOKEN}\n")).unwrap();
        let hook = folder.path().join("webhook");
        fs::write(&hook, HOOK_SECRET).unwrap();
        let mut yaml = format!(
            "gitea: {{ url: {}, tokenFile: {} }}\nmirrors:\n",
            gitea.url,
            folder.path().join("gitea-token").display()
        );
        for round in 0..rounds {
            yaml += &format!(
                "  - name: m{round}\n    upstream: {{ url: {}, branch: main }}\n    target: {{ owner: ours, repo: m{round} }}\n    webhook: {{ secretFiles: [{}] }}\n",
                upstream.url("big"),
                hook.display()
            );
        }
        fs::write(folder.path().join("config.yaml"), yaml).unwrap();
        Self { folder, upstream, gitea, gitea_token }
    }

    /// The release binary, serving; returns when it is ready.
    pub(crate) fn serve(&self) -> Service {
        Service::start(self.folder.path())
    }

    /// From the start of a process until it is ready, in milliseconds.
    pub(crate) fn start_to_ready(&self) -> f64 {
        let began = now();
        drop(self.serve());
        milliseconds(began)
    }

    /// One run on one mirror, from the POST to the end, in milliseconds.
    #[expect(clippy::unused_self, reason = "reads as what is done on the bed")]
    pub(crate) fn cut_over(&self, service: &Service, round: usize) -> f64 {
        let began = now();
        let (status, run) = service.call("POST", "/cutover/mirror", &format!("{{\"mirrors\":[\"m{round}\"]}}"));
        assert_eq!(status, 202, "{run}");
        let path = format!("/cutover/runs/{}", run["id"].as_str().unwrap());
        loop {
            let (_, run) = service.call("GET", &path, "");
            if !run["finishedAt"].is_null() {
                assert_eq!(run["status"], "succeeded", "{run}");
                return milliseconds(began);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The same by hand: curl makes the organisation and the mirror and switches pruning off, git reads both sides.
    pub(crate) fn raw_cut_over(&self, round: usize) -> f64 {
        let began = now();
        self.curl(&["-X", "GET", &self.api(&format!("/repos/raw{round}/m"))]);
        self.curl(&["-d", &format!("{{\"username\":\"raw{round}\"}}"), &self.api("/orgs")]);
        let migrate = format!(
            "{{\"clone_addr\":\"{}\",\"repo_owner\":\"raw{round}\",\"repo_name\":\"m\",\"service\":\"git\",\"mirror\":true,\"mirror_interval\":\"10m0s\"}}",
            self.upstream.url("big")
        );
        self.curl(&["-d", &migrate, &self.api("/repos/migrate")]);
        let settings = "{\"mirror_interval\":\"10m0s\",\"enable_prune\":false}";
        self.curl(&["-X", "PATCH", "-d", settings, &self.api(&format!("/repos/raw{round}/m"))]);
        self.curl(&["-X", "GET", &self.api(&format!("/repos/raw{round}/m"))]);
        self.ls_remote(&format!("{}/raw{round}/m.git", self.gitea.url));
        self.ls_remote(&self.upstream.url("big"));
        milliseconds(began)
    }

    /// A noop by hand: one look at the repository, and both sides read by git.
    pub(crate) fn raw_noop(&self, round: usize) -> f64 {
        let began = now();
        self.curl(&["-X", "GET", &self.api(&format!("/repos/raw{round}/m"))]);
        self.ls_remote(&format!("{}/raw{round}/m.git", self.gitea.url));
        self.ls_remote(&self.upstream.url("big"));
        milliseconds(began)
    }

    /// From a push upstream, told of by its webhook, until the run that it leads to has proven the refs equal, in
    /// milliseconds.
    pub(crate) fn push_by_webhook(&self, service: &Service, round: usize) -> f64 {
        let commit = self.upstream.commit("big", "main", 1);
        let body = format!("{{\"ref\":\"refs/heads/main\",\"after\":\"{commit}\"}}");
        let began = now();
        let (status, hooked) = service.hook(&format!("/hooks/m{round}"), &body);
        assert_eq!(status, 202, "{hooked}");
        let path = format!("/cutover/runs/{}", hooked["run"].as_str().unwrap());
        loop {
            let (_, run) = service.call("GET", &path, "");
            if !run["finishedAt"].is_null() {
                assert_eq!(run["mirrors"][0]["evidence"]["trackedCommit"], commit, "{run}");
                return milliseconds(began);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The same by hand: curl asks Gitea for a sync, and git is asked for Gitea's refs until they are upstream's.
    pub(crate) fn push_by_hand(&self, round: usize) -> f64 {
        let commit = self.upstream.commit("big", "main", 1);
        let began = now();
        self.curl(&["-X", "POST", &self.api(&format!("/repos/ours/m{round}/mirror-sync"))]);
        let gitea = format!("{}/ours/m{round}.git", self.gitea.url);
        while !self.heads(&gitea).contains(&commit) {
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(self.heads(&self.upstream.url("big")).contains(&commit));
        milliseconds(began)
    }

    #[expect(clippy::unused_self, reason = "reads as what is done on the bed")]
    fn heads(&self, url: &str) -> String {
        let done = Command::new("git").args(["ls-remote", "-q", "--heads", "--tags", url]).output().unwrap();
        assert!(done.status.success());
        String::from_utf8(done.stdout).unwrap()
    }

    fn api(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.gitea.url)
    }

    fn curl(&self, arguments: &[&str]) {
        let header = format!("Authorization: token {}", self.gitea_token);
        let done = Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-H", &header, "-H", "Content-Type: application/json"])
            .args(arguments)
            .status()
            .unwrap();
        assert!(done.success());
    }

    #[expect(clippy::unused_self, reason = "reads as what is done on the bed")]
    fn ls_remote(&self, url: &str) {
        let done =
            Command::new("git").args(["ls-remote", "-q", "--heads", "--tags", url]).stdout(Stdio::null()).status();
        assert!(done.unwrap().success());
    }
}

/// The release binary at work; ended when dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: SocketAddr,
    buffer: RefCell<Vec<u8>>,
}

impl Service {
    /// The release binary on the configuration in a folder; returns when it is ready.
    pub(crate) fn start(folder: &Path) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(BINARY)
            .args(["serve", "--listen", &address.to_string()])
            .arg("--config")
            .arg(folder.join("config.yaml"))
            .arg("--tokens-file")
            .arg(folder.join("tokens"))
            .arg("--state-dir")
            .arg(folder.join("state"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let service = Self { child, address, buffer: RefCell::default() };
        let began = now();
        while service.try_call("GET", "/readyz").is_none_or(|(status, _)| status != 200) {
            assert!(began.elapsed() < Duration::from_secs(20), "the service does not get ready");
            std::thread::sleep(Duration::from_micros(500));
        }
        service
    }

    /// A signed webhook.
    fn hook(&self, path: &str, body: &str) -> (u16, Value) {
        #[expect(clippy::disallowed_methods, reason = "a signature holds the real time")]
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let id = format!("bench-{now}");
        let signature = sign(&HOOK_SECRET.into(), &id, i64::try_from(now).unwrap(), body);
        let headers = format!(
            "webhook-id: {id}\r\nwebhook-timestamp: {now}\r\nwebhook-signature: {signature}\r\nContent-Type: application/json\r\n"
        );
        self.try_call_with_headers("POST", path, &headers, body).expect("the service answers")
    }

    fn try_call_with(&self, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
        let media = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        self.try_call_with_headers(method, path, media, body)
    }

    fn try_call_with_headers(&self, method: &str, path: &str, headers: &str, body: &str) -> Option<(u16, Value)> {
        let (status, body) = self.exchange(method, path, headers, body)?;
        Some((status, serde_json::from_str(&body).unwrap_or_default()))
    }

    /// A request by hand, on a connection of its own.
    fn exchange(&self, method: &str, path: &str, headers: &str, body: &str) -> Option<(u16, String)> {
        self.answered(method, path, headers, body).map(|(status, body, _)| (status, body))
    }

    /// The answer's status and body, and when its last byte had come, in milliseconds from the request's first.
    fn answered(&self, method: &str, path: &str, headers: &str, body: &str) -> Option<(u16, String, f64)> {
        let began = now();
        let mut stream = TcpStream::connect(self.address).ok()?;
        let length = body.len();
        // HTTP/1.0: an answer of unknown length ends with the connection, so that reading it is no work of ours
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).ok()?;
        // nor is growing a buffer: the next answer is read into the memory of this one
        let mut answer = self.buffer.take();
        answer.clear();
        stream.read_to_end(&mut answer).ok()?;
        let took = milliseconds(began);
        let text = std::str::from_utf8(&answer).ok()?;
        let status = text.split(' ').nth(1)?.parse().ok()?;
        let body = text.split_once("\r\n\r\n")?.1.to_owned();
        self.buffer.replace(answer);
        Some((status, body, took))
    }

    /// What a path answers, and how long that took in milliseconds.
    pub(crate) fn get(&self, path: &str) -> (String, f64) {
        let (status, text, took) = self.answered("GET", path, "", "").expect("the service answers");
        assert_eq!(status, 200, "{path}: {text:.300}");
        (text, took)
    }

    fn try_call(&self, method: &str, path: &str) -> Option<(u16, Value)> {
        self.try_call_with(method, path, "")
    }

    fn call(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        self.try_call_with(method, path, body).expect("the service answers")
    }

    /// Resident memory, in MiB.
    pub(crate) fn resident_mib(&self) -> f64 {
        self.memory("VmRSS:")
    }

    /// The most resident memory that there was, in MiB.
    pub(crate) fn peak_mib(&self) -> f64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, which: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(which)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // SIGTERM by the shell's own kill: the standard library only knows SIGKILL, which would leave a lock to wait for
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// The binary's size, in MB.
pub(crate) fn binary_size() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a size in megabytes needs no more digits")]
    let bytes = fs::metadata(BINARY).unwrap().len() as f64;
    bytes / 1_000_000.0
}

/// What was measured, line by line.
#[derive(Default)]
pub(crate) struct Table {
    lines: Vec<(String, bool)>,
}

impl Table {
    /// A figure with its limit.
    pub(crate) fn figure(&mut self, what: &str, value: f64, limit: f64, unit: &str) {
        self.lines.push((format!("{what:36} {value:9.1} {unit:4} limit {limit:9.1} {unit}"), value <= limit));
    }

    /// A time beside that of the raw calls, with the limit that follows from it; milliseconds.
    pub(crate) fn beside(&mut self, what: &str, ours: f64, raw: f64, limit: f64) {
        let ratio = ours / raw;
        self.lines.push((
            format!("{what:36} {ours:9.1} ms   limit {limit:9.1} ms   raw calls {raw:.1} ms, ratio {ratio:.2}"),
            ours <= limit,
        ));
    }

    /// Whether every figure is within its limit.
    pub(crate) fn holds(&self) -> bool {
        self.lines.iter().all(|(_, holds)| *holds)
    }

    /// Prints it.
    pub(crate) fn print(&self) {
        for (line, holds) in &self.lines {
            println!("{} {line}", if *holds { "ok  " } else { "OVER" });
        }
    }
}
