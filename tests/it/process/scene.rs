//! The stage of tests of the process: stand-ins over sockets, and cutover-api as a process with its own log.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use standin::{Gitea, Options, Served, Upstream};
use tempfile::TempDir;

use crate::http::stage::wait_for;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_cutover-api");
pub(crate) const TOKEN: &str = "process-operator-token-0123456789";
pub(super) const VIEWER: &str = "process-viewer-token-0123456789";

/// Real time, for limits that are promised in it.
#[expect(clippy::disallowed_methods, reason = "limits of a process are promised in real time")]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

pub(crate) struct Scene {
    pub(crate) folder: TempDir,
    pub(crate) upstream: Upstream,
    pub(crate) gitea: Gitea,
    pub(super) served: Served,
    pub(super) gitea_token: String,
    /// Where the service listens, as it says itself; before that, a port at which nothing does.
    address: Mutex<SocketAddr>,
}

/// A port that no service may have, so that every connection to it is refused.
pub(crate) const CLOSED: &str = "127.0.0.1:1";

impl Scene {
    pub(crate) fn set() -> Self {
        #[expect(clippy::disallowed_methods, reason = "processes live on real time")]
        let base = SystemTime::now();
        let folder = TempDir::with_prefix("cutover-process-").unwrap();
        let upstream = Upstream::start(base);
        upstream.create_sample("one");
        let gitea = Gitea::new(Options { base, speed: 4, ..Options::default() });
        gitea.add_user("bot", "unused-password", false);
        let gitea_token = gitea.add_token("bot", &["write:repository", "write:organization", "read:user"]);
        let served = gitea.serve_in_background("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = Mutex::new(CLOSED.parse().unwrap());
        let scene = Self { folder, upstream, gitea, served, gitea_token, address };
        scene.write("gitea-token", &scene.gitea_token);
        scene.write("tokens", &format!("operator ops {TOKEN}\nviewer eyes {VIEWER}\n"));
        scene.write("operator", TOKEN);
        scene.write("viewer", VIEWER);
        scene.write(
            "config.yaml",
            &format!(
                "gitea:\n  url: {}\n  tokenFile: {}\nmirrors:\n  - name: one\n    upstream: {{ url: {}, branch: main }}\n    target: {{ owner: openova, repo: one }}\n",
                scene.served.url,
                scene.path("gitea-token").display(),
                scene.upstream.url("one")
            ),
        );
        scene
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    /// A command that inherits nothing of the environment that this program reads.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        for (name, _) in std::env::vars() {
            if ["CUTOVER_", "GITEA_", "UPSTREAM_", "MIRROR_"].iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.args(arguments).current_dir(self.folder.path()).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    pub(super) fn serve_command(&self, listen: &str) -> Command {
        let mut command = self.command(&["serve", "--listen", listen, "--config", "config.yaml"]);
        command.args(["--tokens-file", "tokens", "--state-dir", "state"]);
        // whatever may be logged is, so that whoever looks for secrets there looks at all of it
        command.env("CUTOVER_LOG", "debug");
        command
    }

    /// The service, ready.
    pub(crate) fn serve(&self) -> Service {
        self.serve_at("127.0.0.1:0")
    }

    /// The service again, at the address that it had before.
    pub(crate) fn serve_again(&self) -> Service {
        let address = self.address.lock().unwrap().to_string();
        self.serve_at(&address)
    }

    fn serve_at(&self, listen: &str) -> Service {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let before = self.log().len();
        let child = self.serve_command(listen).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let service = Service { child };
        self.learn_the_address(before);
        wait_for(|| {
            let healthy = self.command(&["healthcheck", "--url", &self.url("/readyz")]).output().unwrap();
            if healthy.status.success() { Ok(()) } else { Err(self.log()) }
        });
        service
    }

    /// Reads where the service listens from what its log says beyond `before`.
    pub(crate) fn learn_the_address(&self, before: usize) {
        *self.address.lock().unwrap() = wait_for(|| {
            let log = self.log();
            let address = log[before..].split("address").skip(1).find_map(|after| {
                let after = after.trim_start_matches(['=', '"', ':']);
                after[..after.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ':'))?].parse().ok()
            });
            address.ok_or(log)
        });
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address.lock().unwrap())
    }

    /// A client command as the operator.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        let url = self.url("");
        self.command(arguments).args(["--url", &url, "--token-file", "operator"]).output().unwrap()
    }

    /// A `GET` as the operator, by curl, as an operator would.
    pub(crate) fn get(&self, path: &str) -> Value {
        let header = format!("Authorization: Bearer {TOKEN}");
        let output = Command::new("curl").args(["-s", "-m", "10", "-H", &header, &self.url(path)]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    pub(crate) fn wait_for(&self, path: &str, mut what: impl FnMut(&Value) -> bool) -> Value {
        wait_for(|| {
            let seen = self.get(path);
            if what(&seen) { Ok(seen) } else { Err(format!("{seen:#}\n{}", self.log())) }
        })
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

pub(crate) struct Service {
    pub(super) child: Child,
}

impl Service {
    pub(super) fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Sends SIGTERM and waits for the end: its exit code, and how long it took.
    pub(crate) fn terminate(mut self) -> (Option<i32>, Duration) {
        let began = now();
        self.signal("-TERM");
        let code = self.child.wait().unwrap().code();
        (code, began.elapsed())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
