//! The three servers of the demo, and what is done with them.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, SystemTime};

use cutover_api::app;
use cutover_api::config;
use cutover_api::shutdown::Shutdown;
use cutover_api::transport::{Call, HttpTransport, Route, Transport as _};
use hmac::{Hmac, Mac as _};
use http::{Request, header};
use serde_json::{Value, json};
use sha2::Sha256;
use standin::{Gitea, Options, Served, Upstream, UpstreamFault};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::Failure;
use crate::events::{Events, Following};
use crate::output::moved;

/// A token is a secret everywhere but here, where there is nothing to guard.
const TOKEN: &str = "demo-operator-token";

/// What upstream signs its webhooks with.
const SECRET: &str = "demo-webhook-secret-of-upstream-and-service";

/// Upstream, Gitea and the service.
pub(crate) struct Stage {
    folder: TempDir,
    upstream: Upstream,
    gitea: Served,
    gitea_token: String,
    service: SocketAddr,
    serving: JoinHandle<Result<app::Ended, app::StartError>>,
    shutdown: Shutdown,
    transport: HttpTransport,
    events: Events,
    asked: Instant,
}

impl Stage {
    /// Starts all three.
    pub(crate) async fn set() -> Result<Self, Failure> {
        #[expect(clippy::disallowed_methods, reason = "the demo plays in the real world")]
        let now = SystemTime::now();
        let folder = TempDir::with_prefix("cutover-demo-")?;
        let upstream = Upstream::start(now);
        upstream.create("openova");
        upstream.commit("openova", "main", 300);
        for branch in ["release/1.0", "release/1.1", "develop"] {
            upstream.branch("openova", branch, "main");
        }
        for minor in 0..12 {
            upstream.annotated_tag("openova", &format!("v1.{minor}.0"), "main", "a release");
        }
        let gitea = Gitea::new(Options { base: now, ..Options::default() });
        gitea.add_user("cutover-bot", "unused-password", false);
        let token = gitea.add_token("cutover-bot", &["write:repository", "write:organization", "read:user"]);
        let gitea = gitea.serve_in_background("127.0.0.1:0".parse()?)?;

        fs::write(folder.path().join("gitea-token"), &token)?;
        fs::write(folder.path().join("webhook-secret"), SECRET)?;
        fs::write(folder.path().join("tokens"), format!("operator demo {TOKEN}\n"))?;
        fs::write(
            folder.path().join("config.yaml"),
            format!(
                "gitea:\n  url: {}\n  tokenFile: {}\nmirrors:\n  - name: openova\n    upstream: {{ url: {}, branch: main }}\n    target: {{ owner: openova, repo: openova }}\n    webhook: {{ secretFiles: [{}] }}\n",
                gitea.url,
                folder.path().join("gitea-token").display(),
                upstream.url("openova"),
                folder.path().join("webhook-secret").display(),
            ),
        )?;
        let options = config::Options {
            config: Some(folder.path().join("config.yaml")),
            tokens_file: Some(folder.path().join("tokens")),
            state_dir: folder.path().join("state"),
            listen: "127.0.0.1:0".into(),
            ..config::Options::default()
        };
        let loaded = config::load(&options, &|_| None).map_err(|faults| faults.to_string())?;
        let shutdown = Shutdown::new();
        let (tell, told) = oneshot::channel();
        let ending = shutdown.clone();
        let serving = tokio::spawn(async move {
            app::serve(&loaded.config, ending, |address| {
                let _ = tell.send(address);
            })
            .await
        });
        let service = told.await?;
        let transport = HttpTransport::new(None).map_err(|trouble| trouble.detail)?;
        let request = Request::get(format!("http://{service}/events"));
        let answer = transport.stream(call(request, bytes::Bytes::new(), Duration::from_secs(20))?).await;
        let events = Events::of(answer.map_err(|trouble| trouble.detail)?.into_body());
        let (gitea_token, asked) = (token, Instant::now());
        Ok(Self { folder, upstream, gitea, gitea_token, service, serving, shutdown, transport, events, asked })
    }

    pub(crate) fn upstream_url(&self) -> String {
        self.upstream.url("openova")
    }

    pub(crate) fn gitea_url(&self) -> &str {
        &self.gitea.url
    }

    pub(crate) fn service_url(&self) -> String {
        format!("http://{}", self.service)
    }

    pub(crate) fn upstream_refs(&self) -> usize {
        self.upstream.heads_and_tags("openova").len()
    }

    /// Three commits and a tag.
    pub(crate) fn push(&self) {
        self.upstream.commit("openova", "main", 3);
        self.upstream.annotated_tag("openova", "v1.12.0", "main", "a release");
    }

    pub(crate) fn upstream_goes_bad(&self) {
        self.upstream.fault(UpstreamFault::EmptyV0);
    }

    pub(crate) fn upstream_recovers(&self) {
        self.upstream.clear_faults();
    }

    /// Asks the service for a run.
    pub(crate) async fn asks(&mut self) -> Result<Following<'_>, Failure> {
        self.asked = Instant::now();
        let request = Request::post(format!("{}/cutover/mirror", self.service_url()));
        let run = self.send(request, bytes::Bytes::new()).await?;
        self.follow(&run["id"])
    }

    /// Tells the service of a push, as GitHub does.
    pub(crate) async fn is_told_of_a_push(&mut self) -> Result<Following<'_>, Failure> {
        self.asked = Instant::now();
        let push = json!({"ref": "refs/heads/main", "repository": {"clone_url": self.upstream_url()}});
        let push = push.to_string();
        let mut signature = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
        signature.update(push.as_bytes());
        let request = Request::post(format!("{}/hooks/openova", self.service_url()))
            .header("X-GitHub-Event", "push")
            .header("X-Hub-Signature-256", format!("sha256={:x}", signature.finalize().into_bytes()))
            .header(header::CONTENT_TYPE, "application/json");
        let taken = self.send(request, push.into()).await?;
        moved(self.asked.elapsed(), "the webhook is taken");
        self.follow(&taken["run"])
    }

    fn follow(&mut self, run: &Value) -> Result<Following<'_>, Failure> {
        let run = run.as_str().ok_or("no run's id in the answer")?.to_owned();
        Ok(Following { events: &mut self.events, run, began: self.asked })
    }

    /// When Gitea last synced, as it says.
    pub(crate) async fn gitea_synced_at(&self) -> Result<Value, Failure> {
        let repository = self.send_to_gitea(Request::get(self.repository())).await?;
        Ok(serde_json::from_slice::<Value>(&repository)?["mirror_updated"].take())
    }

    /// Has Gitea sync as it does at every interval, without asking the service, and waits for the end of that. `before` is
    /// when it last did so, and has to be so still.
    pub(crate) async fn gitea_polls_by_itself(&self, before: &Value) -> Result<(), Failure> {
        // the moment of a sync has a resolution of one second
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        if self.gitea_synced_at().await? != *before {
            return Err("a sync was asked for beside a bad upstream".into());
        }
        self.send_to_gitea(Request::post(format!("{}/mirror-sync", self.repository()))).await?;
        let end = Instant::now() + Duration::from_secs(20);
        while self.gitea_synced_at().await? == *before {
            if Instant::now() > end {
                return Err("Gitea did not sync".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn repository(&self) -> String {
        format!("{}/api/v1/repos/openova/openova", self.gitea.url)
    }

    async fn send_to_gitea(&self, request: http::request::Builder) -> Result<bytes::Bytes, Failure> {
        let request = request.header(header::AUTHORIZATION, format!("token {}", self.gitea_token));
        let call = call(request, bytes::Bytes::new(), Duration::from_secs(10))?;
        Ok(self.transport.send(call).await.map_err(|trouble| trouble.detail)?.into_body())
    }

    async fn send(&self, request: http::request::Builder, body: bytes::Bytes) -> Result<Value, Failure> {
        let answer = self.transport.send(call(request, body, Duration::from_secs(10))?).await;
        Ok(serde_json::from_slice(answer.map_err(|trouble| trouble.detail)?.body())?)
    }

    /// Asks git itself, on both sides.
    pub(crate) fn compare_with_git(&self) -> Result<(), Failure> {
        let ours = ls_remote(&format!("{}/openova/openova.git", self.gitea.url))?;
        let theirs = ls_remote(&self.upstream_url())?;
        match theirs.iter().find(|(name, id)| ours.get(*name) != Some(id)) {
            None => Ok(()),
            Some((name, _)) => Err(format!("git says that {name} differs").into()),
        }
    }

    /// Commands to try.
    pub(crate) fn curl_lines(&self) -> Vec<String> {
        let (url, bearer) = (self.service_url(), format!("-H 'Authorization: Bearer {TOKEN}'"));
        vec![
            format!("curl -s {bearer} -X POST {url}/cutover/mirror"),
            format!("curl -s {bearer} {url}/status"),
            format!("curl -s {bearer} '{url}/cutover/runs?limit=3'"),
            format!("curl -sN {bearer} {url}/events"),
            format!("curl -s {url}/metrics"),
            format!("git clone {}/openova/openova.git", self.gitea.url),
            format!("git -C {} log --oneline -3 main", self.upstream.git_dir("openova").display()),
        ]
    }

    /// Ends the service as SIGTERM does.
    pub(crate) async fn end(self) -> Result<(), Failure> {
        self.shutdown.begin();
        let ended = self.serving.await??;
        drop(self.folder);
        match ended {
            app::Ended::Clean => Ok(()),
            app::Ended::Forced | app::Ended::Broken => Err("the service did not end by itself".into()),
        }
    }
}

/// What a run has proven, in words.
pub(crate) fn proof(run: &Value) -> String {
    let mirror = &run["mirrors"][0];
    let commit = mirror["evidence"]["trackedCommit"].as_str().unwrap_or_default();
    format!(
        "{}: {} refs proven equal, main is {}",
        mirror["outcome"].as_str().unwrap_or_default(),
        mirror["evidence"]["refs"],
        commit.get(..12).unwrap_or(commit)
    )
}

/// How many seconds a run took, from when it was asked for.
pub(crate) fn took(run: &Value) -> Result<f64, Failure> {
    let at = |member: &str| run[member].as_str().unwrap_or_default().parse::<jiff::Timestamp>();
    Ok(at("finishedAt")?.duration_since(at("createdAt")?).as_secs_f64())
}

/// A call, as the operator unless it brings a credential of its own.
fn call(request: http::request::Builder, body: bytes::Bytes, timeout: Duration) -> Result<Call, Failure> {
    let mut request = request.body(body)?;
    let bearer = format!("Bearer {TOKEN}").parse()?;
    request.headers_mut().entry(header::AUTHORIZATION).or_insert(bearer);
    Ok(Call { operation: "demo", route: Route::Direct, request, bundle: None, timeout, largest: 1 << 24 })
}

fn ls_remote(url: &str) -> Result<BTreeMap<String, String>, Failure> {
    let output = Command::new("git")
        .args(["ls-remote", "--heads", "--tags", "--refs", url])
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()?;
    if !output.status.success() {
        return Err(format!("git ls-remote {url}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().filter_map(|line| line.split_once('\t')).map(|(id, name)| (name.into(), id.into())).collect())
}
