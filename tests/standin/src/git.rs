//! The only place that starts `git`: with an environment of our own making, so that no configuration of
//! the machine changes an answer, and inside `spawn_blocking`, so that paused time stands still meanwhile.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

/// A fixed date for everything that a stand-in itself commits, so that object ids repeat.
pub(crate) const FIRST_COMMIT: i64 = 1_767_323_045;

/// How a finished git ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) ok: bool,
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// Killed by us, at the limit of `[git.timeout]`.
    pub(crate) timed_out: bool,
}

impl Output {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// Runs git with a home folder of its own.
#[derive(Clone, Debug)]
pub(crate) struct Git {
    home: PathBuf,
    limit: Duration,
}

/// How often a child is looked at while it runs.
const LOOK_EVERY: Duration = Duration::from_millis(2);

impl Git {
    /// `limit` is real time, since a child knows no other.
    pub(crate) fn new(home: &Path, limit: Duration) -> Self {
        Self { home: home.to_owned(), limit }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("git");
        command.env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        let date = format!("{FIRST_COMMIT} +0000");
        command
            .env("HOME", &self.home)
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "u")
            .env("GIT_AUTHOR_EMAIL", "u@example.test")
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_NAME", "u")
            .env("GIT_COMMITTER_EMAIL", "u@example.test")
            .env("GIT_COMMITTER_DATE", &date);
        command
    }

    /// Runs to the end on this thread. For fixtures, and inside `spawn_blocking`.
    pub(crate) fn run_here(&self, folder: &Path, args: &[&str], stdin: &[u8]) -> io::Result<Output> {
        let mut command = self.command();
        command.current_dir(folder).args(args);
        self.finish(command, stdin)
    }

    /// As [`Git::run_here`]; a failure is a broken fixture and says what git said.
    pub(crate) fn must(&self, folder: &Path, args: &[&str], stdin: &[u8]) -> String {
        match self.run_here(folder, args, stdin) {
            Ok(output) if output.ok => output.text(),
            Ok(output) => panic!("git {args:?} in {}: {}", folder.display(), output.stderr),
            Err(error) => panic!("git {args:?} in {}: {error}", folder.display()),
        }
    }

    /// Runs git off the runtime's threads.
    pub(crate) async fn run(&self, folder: &Path, args: &[&str]) -> io::Result<Output> {
        let (git, folder) = (self.clone(), folder.to_owned());
        let args: Vec<String> = args.iter().map(|&a| a.to_owned()).collect();
        blocking(move || {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            git.run_here(&folder, &args, b"")
        })
        .await
    }

    fn finish(&self, mut command: Command, stdin: &[u8]) -> io::Result<Output> {
        // A group of its own, because git's transport helpers keep the pipes open when only git is killed.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (mut input, mut out, mut err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                if let Some(mut pipe) = input.take() {
                    // A git that stops reading early has its own reasons, told by its exit.
                    drop(pipe.write_all(stdin));
                }
            });
            let out = scope.spawn(move || read_all(out.as_mut()));
            let err = scope.spawn(move || read_all(err.as_mut()));
            let (status, timed_out) = wait(&mut child, self.limit)?;
            let stdout = out.join().unwrap_or_default();
            let stderr = err.join().unwrap_or_default();
            Ok(Output {
                ok: status.success(),
                code: status.code().unwrap_or(-1),
                stdout,
                stderr: String::from_utf8_lossy(&stderr).into_owned(),
                timed_out,
            })
        })
    }

    /// Answers one smart HTTP request with `git http-backend`.
    pub(crate) async fn http_backend(&self, request: Backend) -> Response {
        let git = self.clone();
        let answer = blocking(move || {
            let mut command = git.command();
            command
                .arg("http-backend")
                .env("GIT_PROJECT_ROOT", &request.folder)
                .env("GIT_HTTP_EXPORT_ALL", "1")
                .env("PATH_INFO", request.path_info)
                .env("QUERY_STRING", &request.query)
                .env("REQUEST_METHOD", &request.method)
                .env("CONTENT_TYPE", &request.content_type)
                .env("CONTENT_LENGTH", request.body.len().to_string())
                // What both Gitea and the public forges allow.
                .env("GIT_CONFIG_COUNT", "2")
                .env("GIT_CONFIG_KEY_0", "uploadpack.allowFilter")
                .env("GIT_CONFIG_VALUE_0", "true")
                .env("GIT_CONFIG_KEY_1", "uploadpack.allowAnySHA1InWant")
                .env("GIT_CONFIG_VALUE_1", "true");
            if let Some(protocol) = &request.git_protocol {
                command.env("GIT_PROTOCOL", protocol);
            }
            if let Some(encoding) = &request.content_encoding {
                command.env("HTTP_CONTENT_ENCODING", encoding);
            }
            git.finish(command, &request.body)
        })
        .await;
        match answer {
            Ok(output) => from_cgi(output.stdout),
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

/// What `git http-backend` must know of a request.
pub(crate) struct Backend {
    pub(crate) folder: PathBuf,
    pub(crate) path_info: &'static str,
    pub(crate) method: String,
    pub(crate) query: String,
    pub(crate) content_type: String,
    pub(crate) content_encoding: Option<String>,
    pub(crate) git_protocol: Option<String>,
    pub(crate) body: Bytes,
}

/// Runs `work` where it may block, without letting paused time run on.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn read_all(pipe: Option<&mut impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What came before an error is all there is to show.
        drop(pipe.read_to_end(&mut bytes));
    }
    bytes
}

/// Waits for a child, and kills its whole group at the limit. Counts its looks instead of reading a
/// clock: the system's is banned here, and tokio's may be paused.
fn wait(child: &mut Child, limit: Duration) -> io::Result<(std::process::ExitStatus, bool)> {
    let looks = limit.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..looks {
        if let Some(status) = child.try_wait()? {
            return Ok((status, false));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let group = format!("-{}", child.id());
    Command::new("kill").args(["-9", "--", &group]).status()?;
    Ok((child.wait()?, true))
}

/// Reads a CGI answer: headers, an empty line, the body.
fn from_cgi(bytes: Vec<u8>) -> Response {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "git http-backend said nothing");
    };
    let bytes = Bytes::from(bytes);
    let mut response = Response::new(Body::from(bytes.slice(end + 4..)));
    for line in String::from_utf8_lossy(&bytes[..end]).lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        if name.eq_ignore_ascii_case("status") {
            let code = value.get(..3).and_then(|code| code.parse::<u16>().ok());
            *response.status_mut() =
                code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        } else if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// A text answer.
pub(crate) fn plain(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
