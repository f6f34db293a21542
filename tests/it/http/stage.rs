//! The service on a real socket and on real time, with its stand-in Gitea and upstream, in this very process.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use cutover_api::app::{self, Ended};
use cutover_api::config;
use cutover_api::shutdown::Shutdown;
use standin::{Gitea, Options, Served, Upstream};
use tempfile::TempDir;
use tokio::time::Instant;

/// The operator's token. Nothing is guarded by it.
pub(crate) const OPERATOR: &str = "operator-token-0123456789abcdef";

/// The viewer's token.
pub(crate) const VIEWER: &str = "viewer-token-0123456789abcdef";

/// How long a test waits on real time for something that has to come.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Looks again until there is what is waited for; panics with what was seen last once [`PATIENCE`] is over.
#[track_caller]
pub(crate) fn wait_for<T>(mut look: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(began.elapsed() < PATIENCE, "nothing came within {PATIENCE:?}; last seen: {seen}"),
        }
        std::thread::yield_now();
    }
}

/// What a stage's service is started with, beside its mirror `openova`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setting<'a> {
    /// More of the configuration file.
    pub(crate) yaml: &'a str,
    /// Whether nobody needs a token.
    pub(crate) anonymous: bool,
}

/// The three servers; they end when it is dropped.
pub(crate) struct Stage {
    _folder: TempDir,
    pub(crate) upstream: Upstream,
    pub(crate) address: SocketAddr,
    _gitea: Served,
    shutdown: Shutdown,
    thread: Option<JoinHandle<Ended>>,
}

impl Stage {
    /// The service with one mirror, whose upstream has a few refs.
    pub(crate) fn set(setting: Setting<'_>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "sockets live on real time")]
        let base = SystemTime::now();
        let folder = TempDir::with_prefix("cutover-http-").unwrap();
        let upstream = Upstream::start(base);
        upstream.create_sample("openova");
        let gitea = Gitea::new(Options { base, speed: 4, ..Options::default() });
        gitea.add_user("bot", "unused-password", false);
        let token = gitea.add_token("bot", &["write:repository", "write:organization", "read:user"]);
        let gitea = gitea.serve_in_background("127.0.0.1:0".parse().unwrap()).unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("gitea-token"), token).unwrap();
        fs::write(path("tokens"), format!("operator ops {OPERATOR}\nviewer eyes {VIEWER}\n")).unwrap();
        let yaml = format!(
            "gitea:\n  url: {}\n  tokenFile: {}\nmirrors:\n  - name: openova\n    upstream: {{ url: {}, branch: main }}\n    target: {{ owner: openova, repo: openova }}\n{}",
            gitea.url,
            path("gitea-token").display(),
            upstream.url("openova"),
            setting.yaml,
        );
        fs::write(path("config.yaml"), yaml).unwrap();
        let options = config::Options {
            config: Some(path("config.yaml")),
            tokens_file: (!setting.anonymous).then(|| path("tokens")),
            auth: if setting.anonymous { config::AuthMode::None } else { config::AuthMode::Tokens },
            state_dir: path("state"),
            listen: "127.0.0.1:0".into(),
            ..config::Options::default()
        };
        let config = config::load(&options, &|_| None).unwrap_or_else(|faults| panic!("{faults}")).config;
        let shutdown = Shutdown::new();
        let (tell, told) = mpsc::channel();
        let ending = shutdown.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(app::serve(&config, ending, |address| tell.send(address).unwrap())).unwrap()
        });
        let address = told.recv_timeout(Duration::from_secs(20)).expect("the service starts");
        Self { _folder: folder, upstream, address, _gitea: gitea, shutdown, thread: Some(thread) }
    }

    /// A connection, on which nobody waits longer than a test may take.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends bytes on a connection of their own and reads the answer.
    pub(crate) fn say(&self, bytes: impl AsRef<[u8]>) -> Option<Reply> {
        let mut stream = self.connect();
        // it may have been closed in the middle, which is then the answer
        let _ = stream.write_all(bytes.as_ref());
        Reply::read(&mut stream)
    }

    /// A request as the operator, with more header lines, each with its end.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {OPERATOR}\r\nConnection: close\r\n{length}{headers}\r\n{body}"
        );
        self.say(request).expect("an answer")
    }

    /// The run at a path, once it has ended.
    #[track_caller]
    pub(crate) fn end_of(&self, path: &str) -> serde_json::Value {
        wait_for(|| {
            let run = self.ask("GET", path, "", "").json();
            if run["finishedAt"].is_null() { Err(run.to_string()) } else { Ok(run) }
        })
    }

    /// Asks the service to end.
    pub(crate) fn begin_the_end(&self) {
        self.shutdown.begin();
    }

    /// Ends the service, and says how it did.
    pub(crate) fn end(mut self) -> Ended {
        self.shutdown.begin();
        self.thread.take().expect("it ends once").join().unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shutdown.force();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Reads one answer; `None`: the connection ended without one.
    pub(crate) fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut seen = Vec::new();
        loop {
            if let Some(reply) = Self::parse(&seen) {
                return Some(reply);
            }
            let mut some = [0; 8_192];
            match stream.read(&mut some) {
                Ok(0) | Err(_) => return None,
                Ok(count) => seen.extend(&some[..count]),
            }
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let head_end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..head_end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let rest = &bytes[head_end + 4..];
        let body = if headers.iter().any(|(name, coding)| name == "transfer-encoding" && coding == "chunked") {
            Self::dechunked(rest)?
        } else {
            let length = headers.iter().find(|(name, _)| name == "content-length");
            let length = length.map_or(0, |(_, length)| length.parse().unwrap());
            rest.get(..length)?.to_vec()
        };
        Some(Self { status, headers, body })
    }

    /// The content of a chunked body; `None`: its end has not come yet.
    fn dechunked(mut rest: &[u8]) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = rest.windows(2).position(|two| two == b"\r\n")?;
            let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
            if length == 0 {
                return Some(body);
            }
            body.extend(rest.get(line + 2..line + 2 + length)?);
            rest = rest.get(line + 4 + length..)?;
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The code of the problem that this is; empty: it is none, and hyper's answer to what is no HTTP.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        if self.header("content-type") != Some("application/problem+json") {
            assert!(self.body.is_empty(), "neither a problem nor empty: {self:?}");
            return String::new();
        }
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["requestId"].as_str(), self.header("x-request-id"));
        let code = problem["error"].as_str().unwrap().to_owned();
        assert_eq!(problem["type"], format!("/problems/{code}"));
        for member in ["title", "detail", "remedy"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} is missing: {problem}");
        }
        code
    }
}
