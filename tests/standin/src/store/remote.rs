//! The client side of git in memory: what `git clone --mirror` and `git fetch` make of upstream's answers, sound or
//! not. An answer that git takes for a repository without refs is one here, too: with pruning it costs every ref.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use axum::Router;
use axum::body::Body;
use base64::Engine;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use tower::ServiceExt;
use url::Url;

use super::Remote;
use super::memory::{Memory, Repo};
use super::wire::{AGENT, Pack, Packet, next, packet};
use crate::fault::{Cut, Unreached};
use crate::git::Output;

/// What git says before it gives up.
struct Fatal(String);

/// What upstream is understood to have.
#[derive(Default)]
struct List {
    refs: BTreeMap<String, String>,
    /// The full name of the branch that `HEAD` names, where that is told.
    head: Option<String>,
}

/// One fetch.
struct Session<'a> {
    memory: &'a Memory,
    /// Without the credential.
    base: Url,
    credential: Option<(String, Option<String>)>,
    /// Whether it was asked for.
    authorized: bool,
    follow: bool,
}

impl Memory {
    pub(super) async fn clone_mirror(&self, remote: &Remote<'_>, folder: &Path) -> Output {
        let work = async {
            let (list, objects) = Session::new(self, remote.address, remote.follow).get(&Repo::default(), true).await?;
            let head = list.head.unwrap_or_else(|| "refs/heads/master".to_owned());
            Ok(Repo { refs: list.refs, head, objects, remote: Some(remote.address.clone()) })
        };
        // git makes the folder before it asks anybody, and removes it when it fails
        self.init(folder, "master");
        match self.in_time(work).await {
            Ok(repo) => {
                self.put(folder, repo);
                ended(0, "")
            }
            Err(output) => {
                self.remove(folder);
                output
            }
        }
    }

    pub(super) async fn fetch(&self, folder: &Path, follow: bool, prune: bool) -> Output {
        let before = self.repo(folder).unwrap_or_default();
        let Some(remote) = before.remote.clone() else {
            return ended(128, "fatal: 'origin' does not appear to be a git repository\n");
        };
        match self.in_time(Session::new(self, &remote, follow).get(&before, false)).await {
            Ok((list, objects)) => self
                .change(folder, |repo| store(repo, list, objects, prune))
                .unwrap_or_else(|| ended(128, "fatal: not a git repository\n")),
            Err(output) => output,
        }
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Fatal>>) -> Result<T, Output> {
        match tokio::time::timeout(self.limit, work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Fatal(text))) => Err(ended(128, &text)),
            Err(_) => Err(Output { timed_out: true, ..ended(-1, "") }),
        }
    }
}

fn ended(code: i32, stderr: &str) -> Output {
    Output { ok: code == 0, code, stdout: Vec::new(), stderr: stderr.to_owned(), timed_out: false }
}

/// Pruning comes first and makes room; a ref that is blocked all the same is left out, and the others are not.
fn store(repo: &mut Repo, list: List, objects: Pack, prune: bool) -> Output {
    repo.objects.extend(objects);
    if prune {
        repo.refs.retain(|name, _| list.refs.contains_key(name));
    }
    let mut errors = String::new();
    for (name, id) in list.refs {
        match repo.blocking(&name) {
            Some(other) => {
                let error = format!("error: cannot lock ref '{name}': '{other}' exists; cannot create '{name}'\n");
                errors.push_str(&error);
            }
            None => drop(repo.refs.insert(name, id)),
        }
    }
    ended(i32::from(!errors.is_empty()), &errors)
}

impl<'a> Session<'a> {
    fn new(memory: &'a Memory, address: &Url, follow: bool) -> Self {
        let user = Some(address.username().to_owned()).filter(|user| !user.is_empty());
        let credential = user.map(|user| (user, address.password().map(str::to_owned)));
        let mut base = address.clone();
        // neither can fail: the address has a host
        let _ = base.set_username("");
        let _ = base.set_password(None);
        Self { memory, base, credential, authorized: false, follow }
    }

    /// Upstream's refs, and the objects that are not here yet.
    async fn get(mut self, here: &Repo, is_clone: bool) -> Result<(List, Pack), Fatal> {
        let list = self.list(is_clone).await?;
        let missing: BTreeSet<&String> = list.refs.values().filter(|id| !here.objects.contains_key(*id)).collect();
        if missing.is_empty() {
            return Ok((list, Pack::new()));
        }
        let wants: String = missing.iter().map(|id| packet(&format!("want {id}"))).collect();
        let body = self.post(format!("{}0001{wants}{}0000", packet("command=fetch"), packet("done"))).await?;
        let pack =
            serde_json::from_str(&body).map_err(|_| Fatal("fatal: early EOF\nfatal: index-pack failed\n".into()))?;
        Ok((list, pack))
    }

    async fn list(&mut self, is_clone: bool) -> Result<List, Fatal> {
        let (content_type, body) = self.discover().await?;
        if content_type != "application/x-git-upload-pack-advertisement" {
            // Taken for a plain file server's list: a line each, and no line is no ref.
            return if body.contains('\n') {
                let url = &self.base;
                Err(Fatal(format!("fatal: {url}/info/refs not valid: is this a git repository?\n")))
            } else {
                // a plain file server has its `HEAD` in a file; one that names nothing is no ref either
                drop(self.send(&Method::GET, &format!("{}/HEAD", self.base), Bytes::new()).await);
                Ok(List::default())
            };
        }
        let mut rest = body.as_str();
        let mut first = next(&mut rest);
        if first == Some(Packet::Line("# service=git-upload-pack")) {
            while let Some(Packet::Line(_)) = next(&mut rest) {}
            first = next(&mut rest);
        } else if first != Some(Packet::Line("version 2")) {
            return Err(Fatal("fatal: invalid server response; expected service, got flush packet\n".into()));
        }
        match first {
            None => Err(Fatal("fatal: the remote end hung up upon initial contact\n".into())),
            Some(Packet::Line("version 2")) => {
                while let Some(packet) = next(&mut rest) {
                    if packet == Packet::Flush {
                        return self.ls_refs(is_clone).await;
                    }
                }
                Err(hung_up())
            }
            Some(first) => v0(first, rest),
        }
    }

    async fn ls_refs(&mut self, is_clone: bool) -> Result<List, Fatal> {
        let mut lines = vec!["peel", "symrefs"];
        lines.extend(is_clone.then_some("unborn"));
        lines.extend(["ref-prefix refs/", "ref-prefix refs/tags/"]);
        lines.extend(is_clone.then_some("ref-prefix HEAD"));
        let lines: String = lines.into_iter().map(packet).collect();
        let body = self.post(format!("{}0001{lines}0000", packet("command=ls-refs"))).await?;
        let (mut rest, mut list) = (body.as_str(), List::default());
        loop {
            match next(&mut rest) {
                Some(Packet::Flush) => return Ok(list),
                Some(Packet::Line(line)) => {
                    let mut words = line.split(' ');
                    let (id, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                    if name == "HEAD" {
                        list.head = words.find_map(|word| word.strip_prefix("symref-target:")).map(str::to_owned);
                    } else {
                        list.refs.insert(name.to_owned(), id.to_owned());
                    }
                }
                Some(Packet::Delimiter) | None => return Err(hung_up()),
            }
        }
    }

    /// `GET info/refs`, with git's answers to a refusal: the credential, or giving up.
    async fn discover(&mut self) -> Result<(String, String), Fatal> {
        let mut redirected = false;
        loop {
            let url = format!("{}/info/refs?service=git-upload-pack", self.base);
            let (status, headers, body) = self.send(&Method::GET, &url, Bytes::new()).await?;
            let base = &self.base;
            match status.as_u16() {
                200 => {
                    let body = String::from_utf8_lossy(&body).into_owned();
                    return Ok((text(&headers, header::CONTENT_TYPE), body));
                }
                401 if !self.authorized => self.authorize()?,
                401 => return Err(Fatal(format!("fatal: Authentication failed for '{base}/'\n"))),
                404 => return Err(Fatal(format!("fatal: repository '{base}/' not found\n"))),
                300..=399 if self.follow && !redirected => {
                    redirected = true;
                    let to = self.base.join(&text(&headers, header::LOCATION)).ok();
                    let to = to.as_ref().and_then(|to| to.as_str().split_once("/info/refs")).map(|(base, _)| base);
                    self.base = to.and_then(|to| Url::parse(to).ok()).ok_or_else(|| self.returned(status))?;
                }
                _ => return Err(self.returned(status)),
            }
        }
    }

    fn authorize(&mut self) -> Result<(), Fatal> {
        let host = &self.base[..url::Position::BeforePath];
        match &self.credential {
            Some((_, Some(_))) => self.authorized = true,
            Some((user, None)) => {
                let host = host.replacen("//", &format!("//{user}@"), 1);
                let text = format!("fatal: could not read Password for '{host}': terminal prompts disabled\n");
                return Err(Fatal(text));
            }
            None => {
                let text = format!("fatal: could not read Username for '{host}': terminal prompts disabled\n");
                return Err(Fatal(text));
            }
        }
        Ok(())
    }

    fn returned(&self, status: StatusCode) -> Fatal {
        let (url, status) = (&self.base, status.as_u16());
        Fatal(format!("fatal: unable to access '{url}/': The requested URL returned error: {status}\n"))
    }

    async fn post(&mut self, body: String) -> Result<String, Fatal> {
        let url = format!("{}/git-upload-pack", self.base);
        let (status, headers, body) = self.send(&Method::POST, &url, body.into()).await?;
        if status != StatusCode::OK {
            let text =
                format!("error: RPC failed; HTTP {0} curl 22 The requested URL returned error: {0}\n", status.as_u16());
            return Err(Fatal(format!("{text}fatal: expected flush after ref listing\n")));
        }
        if text(&headers, header::CONTENT_TYPE) != "application/x-git-upload-pack-result" {
            return Err(hung_up());
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    async fn send(&self, method: &Method, url: &str, body: Bytes) -> Result<(StatusCode, HeaderMap, Bytes), Fatal> {
        let (base, broken) =
            (&self.base, |what: &str| Fatal(format!("fatal: unable to access '{}/': {what}\n", self.base)));
        let authority = base.authority().to_owned();
        let router: Option<Router> =
            self.memory.network.lock().expect("no code panics while holding this lock").get(&authority).cloned();
        let Some(router) = router else {
            return Err(broken(&format!("Failed to connect to {authority}: Couldn't connect to server")));
        };
        let path = url.strip_prefix(&base[..url::Position::BeforePath]).unwrap_or(url);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &authority)
            .header(header::USER_AGENT, AGENT)
            .header("git-protocol", "version=2");
        if *method == Method::POST {
            request = request.header(header::CONTENT_TYPE, "application/x-git-upload-pack-request");
        }
        if let Some((user, Some(password))) = self.credential.as_ref().filter(|_| self.authorized) {
            let coded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            request = request.header(header::AUTHORIZATION, format!("Basic {coded}"));
        }
        let request = request.body(Body::from(body)).map_err(|_| broken("URL using bad/illegal format"))?;
        let Ok(response) = router.oneshot(request).await;
        match response.extensions().get::<Unreached>() {
            Some(Unreached::Refused) => {
                return Err(broken(&format!("Failed to connect to {authority}: Couldn't connect to server")));
            }
            Some(Unreached::NoSuchHost) => return Err(broken(&format!("Could not resolve host: {authority}"))),
            Some(Unreached::NoTls) => {
                return Err(broken("SSL certificate problem: unable to get local issuer certificate"));
            }
            None => {}
        }
        if response.extensions().get::<Cut>().is_some() {
            return Err(broken("Empty reply from server"));
        }
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| broken("transfer closed with outstanding read data remaining"))?;
        Ok((parts.status, parts.headers, body.to_bytes()))
    }
}

/// Protocol v0: the list is the advertisement.
fn v0(first: Packet<'_>, mut rest: &str) -> Result<List, Fatal> {
    let (mut list, mut now) = (List::default(), Some(first));
    loop {
        match now {
            Some(Packet::Flush) => return Ok(list),
            Some(Packet::Line(line)) => {
                let (line, capabilities) = line.split_once('\0').unwrap_or((line, ""));
                let symref = capabilities.split(' ').find_map(|one| one.strip_prefix("symref=HEAD:"));
                list.head = list.head.or_else(|| symref.map(str::to_owned));
                let (id, name) = line.split_once(' ').ok_or_else(hung_up)?;
                if name.starts_with("refs/") && !name.ends_with("^{}") {
                    list.refs.insert(name.to_owned(), id.to_owned());
                }
            }
            Some(Packet::Delimiter) | None => return Err(hung_up()),
        }
        now = next(&mut rest);
    }
}

fn hung_up() -> Fatal {
    Fatal("fatal: the remote end hung up unexpectedly\n".into())
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
