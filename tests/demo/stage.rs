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
use http::{Method, Request, header};
use serde_json::Value;
use standin::{Gitea, Options, Served, Upstream, UpstreamFault};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::Failure;
use crate::show::moved;

/// A token is a secret everywhere but here, where there is nothing to guard.
const TOKEN: &str = "demo-operator-token";

/// Upstream, Gitea and the service.
pub(crate) struct Stage {
    folder: TempDir,
    upstream: Upstream,
    gitea: Served,
    service: SocketAddr,
    serving: JoinHandle<Result<app::Ended, app::StartError>>,
    shutdown: Shutdown,
    transport: HttpTransport,
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

        fs::write(folder.path().join("gitea-token"), token)?;
        fs::write(folder.path().join("tokens"), format!("operator demo {TOKEN}\n"))?;
        fs::write(
            folder.path().join("config.yaml"),
            format!(
                "gitea:\n  url: {}\n  tokenFile: {}\nmirrors:\n  - name: openova\n    upstream: {{ url: {}, branch: main }}\n    target: {{ owner: openova, repo: openova }}\n",
                gitea.url,
                folder.path().join("gitea-token").display(),
                upstream.url("openova"),
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
        Ok(Self { folder, upstream, gitea, service, serving, shutdown, transport })
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
        self.upstream.fault(UpstreamFault::Html);
    }

    pub(crate) fn upstream_recovers(&self) {
        self.upstream.clear_faults();
    }

    /// Asks for a run, follows it, and demands this outcome.
    pub(crate) async fn run(&self, outcome: &str) -> Result<Value, Failure> {
        let run = self.follow().await?;
        if run["status"] == "succeeded" && run["mirrors"][0]["outcome"] == outcome {
            return Ok(run);
        }
        Err(format!("this should have ended as {outcome}: {run:#}").into())
    }

    /// Asks for a run, follows it, and demands this problem.
    pub(crate) async fn run_that_fails(&self, code: &str) -> Result<Value, Failure> {
        let run = self.follow().await?;
        if run["mirrors"][0]["problem"]["error"] == code {
            return Ok(run);
        }
        Err(format!("this should have failed with {code}: {run:#}").into())
    }

    async fn follow(&self) -> Result<Value, Failure> {
        let began = Instant::now();
        let mut run = self.call(Method::POST, "/cutover/mirror").await?;
        let path = format!("/cutover/runs/{}", run["id"].as_str().ok_or("no run's id in the answer")?);
        let mut shown = String::new();
        loop {
            let phase = run["mirrors"][0]["phase"].as_str().unwrap_or_default();
            if phase != shown {
                moved(began.elapsed(), phase);
                phase.clone_into(&mut shown);
            }
            if !run["finishedAt"].is_null() {
                return Ok(run);
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
            run = self.call(Method::GET, &path).await?;
        }
    }

    async fn call(&self, method: Method, path: &str) -> Result<Value, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.service_url()))
            .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
            .body(bytes::Bytes::new())?;
        let call = Call {
            operation: "demo",
            route: Route::Direct,
            request,
            timeout: Duration::from_secs(10),
            largest: 1 << 24,
        };
        let answer = self.transport.send(call).await.map_err(|trouble| trouble.detail)?;
        Ok(serde_json::from_slice(answer.body())?)
    }

    /// What a run has proven, in words.
    #[expect(clippy::unused_self, reason = "reads as what the stage shows")]
    pub(crate) fn proof(&self, run: &Value) -> String {
        let mirror = &run["mirrors"][0];
        let commit = mirror["evidence"]["trackedCommit"].as_str().unwrap_or_default();
        format!(
            "{}: {} refs proven equal, main is {}",
            mirror["outcome"].as_str().unwrap_or_default(),
            mirror["evidence"]["refs"],
            commit.get(..12).unwrap_or(commit)
        )
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
