//! The calls of the API that read refs: branches from the branch table, the others from git itself.

use std::collections::HashMap;
use std::path::PathBuf;

use axum::response::Response;
use http::{HeaderName, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Gitea;
use super::answer::{Refusal, set};
use super::auth::Doer;
use super::gate::Asked;
use super::state::Repository;
use crate::clock::rfc3339;
use crate::profile::Profile;
use crate::refs::Ref;

/// `MAX_RESPONSE_ITEMS`, whatever `limit` asks for.
const LARGEST_PAGE: usize = 50;
/// `DEFAULT_PAGING_NUM`.
const USUAL_PAGE: usize = 30;

impl Gitea {
    fn folder(&self, repository: &Repository) -> (PathBuf, String) {
        let full_name = self.state().full_name(repository);
        let (owner, name) = full_name.split_once('/').unwrap_or_default();
        (self.git_dir_of(owner, name), full_name)
    }

    pub(super) async fn branches(&self, asked: &Asked, doer: Option<&Doer>) -> Result<Response, Refusal> {
        let repository = self.assigned(asked, doer, "read:repository")?;
        if repository.empty {
            return Ok(counted(self.ok(&Value::Null), 0));
        }
        let (folder, full_name) = self.folder(&repository);
        let total = repository.branches.len();
        let page: Vec<_> = page(asked, &repository.branches).to_vec();
        let ids: Vec<String> = page.iter().map(|(_, id)| id.clone()).collect();
        let commits = self.fields_of(folder, ids).await?;
        let list: Vec<Value> = page
            .iter()
            .map(|(name, id)| {
                json!({
                    "name": name, "commit": self.commit_json(&full_name, id, commits.get(id)), "protected": false,
                    "required_approvals": 0, "enable_status_check": false, "status_check_contexts": [],
                    "user_can_push": true, "user_can_merge": true, "effective_branch_protection_name": "",
                })
            })
            .collect();
        let answer = counted(self.ok(&Value::Array(list)), total);
        Ok(linked(answer, asked, &self.inner.root_url, total))
    }

    /// The fields of commits, by object id: author, its address, committer, its address, time, message.
    async fn fields_of(&self, folder: PathBuf, ids: Vec<String>) -> Result<HashMap<String, Vec<String>>, Refusal> {
        let store = self.inner.store.clone();
        self.inner.store.run(move || store.commits(&folder, &ids)).await.map_err(|_| self.hidden_500())
    }

    fn commit_json(&self, full_name: &str, id: &str, fields: Option<&Vec<String>>) -> Value {
        let field = |index: usize| fields.and_then(|fields| fields.get(index)).cloned().unwrap_or_default();
        let person = |name: usize| json!({ "name": field(name), "email": field(name + 1), "username": "" });
        json!({
            "id": id, "message": field(5), "url": format!("{}/{full_name}/commit/{id}", self.inner.root_url),
            "author": person(0), "committer": person(2),
            "verification": {
                "verified": false, "reason": "gpg.error.not_signed_commit", "signature": "", "signer": null, "payload": "",
            },
            "timestamp": time(field(4).parse().unwrap_or_default()), "added": null, "removed": null, "modified": null,
        })
    }

    pub(super) async fn tags(&self, asked: &Asked, doer: Option<&Doer>) -> Result<Response, Refusal> {
        let repository = self.assigned(asked, doer, "read:repository")?;
        let (mut tags, full_name) = self.refs_of(&repository, "refs/tags").await?;
        // The newest first; of two of one second the later name.
        tags.sort_by(|a, b| (b.created, &b.name).cmp(&(a.created, &a.name)));
        let root = &self.inner.root_url;
        let list: Vec<Value> = page(asked, &tags)
            .iter()
            .map(|tag| {
                let name = tag.name.trim_start_matches("refs/tags/");
                let end = if tag.kind == "tag" && self.inner.profile == Profile::Gitea127 { "\n" } else { "" };
                let mut value = json!({
                    "name": name, "message": format!("{}{end}", tag.subject), "id": tag.id,
                    "commit": {
                        "url": format!("{root}/api/v1/repos/{full_name}/git/commits/{}", tag.id), "sha": tag.commit,
                        "created": time(tag.created),
                    },
                    "zipball_url": format!("{root}/{full_name}/archive/{name}.zip"),
                    "tarball_url": format!("{root}/{full_name}/archive/{name}.tar.gz"),
                });
                if self.inner.profile.is_forgejo() {
                    value["archive_download_count"] = json!({ "zip": 0, "tar_gz": 0 });
                }
                value
            })
            .collect();
        let answer = counted(self.ok(&Value::Array(list)), tags.len());
        Ok(linked(answer, asked, root, tags.len()))
    }

    /// Every matching ref in one answer, without pages. A single exact match is an object, not a list.
    pub(super) async fn git_refs(&self, asked: &Asked, doer: Option<&Doer>) -> Result<Response, Refusal> {
        let repository = self.assigned(asked, doer, "read:repository")?;
        let (all, full_name) = self.refs_of(&repository, "refs").await?;
        let wanted = format!("refs/{}", asked.route.rest);
        let found: Vec<&Ref> = all.iter().filter(|r| r.name.starts_with(&wanted)).collect();
        let base = format!("{}/api/v1/repos/{full_name}/git", self.inner.root_url);
        let one = |r: &&Ref| {
            json!({
                "ref": r.name, "url": format!("{base}/{}", r.name),
                "object": { "type": r.kind, "sha": r.id, "url": format!("{base}/{}s/{}", r.kind, r.id) },
            })
        };
        match found.as_slice() {
            [] => Err(self.not_found()),
            [exact] if exact.name == wanted => Ok(self.ok(&one(exact))),
            several => Ok(self.ok(&Value::Array(several.iter().map(one).collect()))),
        }
    }

    /// The refs under a prefix; a 500 when the folder is gone.
    async fn refs_of(&self, repository: &Repository, prefix: &'static str) -> Result<(Vec<Ref>, String), Refusal> {
        let (folder, full_name) = self.folder(repository);
        let store = self.inner.store.clone();
        let read = self.inner.store.run(move || store.exists(&folder).then(|| store.list(&folder, &[prefix]))).await;
        match read {
            Ok(Some(found)) => Ok((found, full_name)),
            Ok(None) | Err(_) => Err(self.hidden_500()),
        }
    }

    /// `/compare/{a}...{b}`: what `b` has and `a` has not.
    pub(super) async fn compare(&self, asked: &Asked, doer: Option<&Doer>) -> Result<Response, Refusal> {
        let repository = self.assigned(asked, doer, "read:repository")?;
        let profile = self.inner.profile;
        let rest = asked.route.rest.as_str();
        let three_dots = rest.contains("...");
        let Some((base, head)) = rest.split_once("...").or_else(|| rest.split_once("..")) else {
            return Err(self.not_found());
        };
        let (folder, full_name) = self.folder(&repository);
        let (Some(from), Some(to)) = (self.commit_of(&repository, base), self.commit_of(&repository, head)) else {
            return Err(self.not_found_in("BaseNotExist", None));
        };
        if repository.is_mirror && !profile.compares_mirrors() {
            return Err(self.not_found_in("Can't read pulls or can't read UnitTypeCode", None));
        }
        let (store, place) = (self.inner.store.clone(), folder.clone());
        let look = move || (store.range(&place, &from, &to), store.are_related(&place, &from, &to));
        let (range, related) = self.inner.store.run(look).await.map_err(|_| self.hidden_500())?;
        let ids = match range {
            None => return Err(self.not_found_in("BaseNotExist", None)),
            Some(_) if !related && three_dots && !profile.compares_unrelated() => return Err(self.hidden_500()),
            Some(_) if !related && three_dots => Vec::new(),
            Some(ids) => ids,
        };
        let total = ids.len();
        let shown: Vec<String> = ids.into_iter().take(LARGEST_PAGE).collect();
        let commits = self.fields_of(folder, shown.clone()).await?;
        let list: Vec<Value> = shown
            .iter()
            .map(|id| json!({ "sha": id, "commit": self.commit_json(&full_name, id, commits.get(id)) }))
            .collect();
        Ok(self.json(StatusCode::OK, &json!({ "total_commits": total, "commits": list, "files": [] })))
    }

    /// `/commits?sha={a}&not={b}`: what `a` has and `b` has not, a page of it.
    pub(super) async fn commits(&self, asked: &Asked, doer: Option<&Doer>) -> Result<Response, Refusal> {
        let repository = self.assigned(asked, doer, "read:repository")?;
        if repository.empty {
            let body = json!({ "message": "Git Repository is empty.", "url": self.swagger() });
            return Ok(self.json(StatusCode::CONFLICT, &body));
        }
        let named = |name| asked.query(name).and_then(|value| Self::id_of(&repository, &value));
        let (Some(sha), Some(not)) = (named("sha"), named("not")) else {
            return Err(self.unknown_commit());
        };
        let (folder, full_name) = self.folder(&repository);
        if !self.fields_of(folder.clone(), vec![sha.clone()]).await?.contains_key(&sha) {
            return Err(self.unknown_commit());
        }
        let (store, place, from) = (self.inner.store.clone(), folder.clone(), sha.clone());
        let ids = self.inner.store.run(move || store.range(&place, &not, &from)).await;
        // git fails where it does not know the other
        let ids = ids.ok().flatten().ok_or_else(|| self.hidden_500())?;
        let shown = page(asked, &ids).to_vec();
        let commits = self.fields_of(folder, shown.clone()).await?;
        let list: Vec<Value> = shown
            .iter()
            .map(|id| json!({ "sha": id, "commit": self.commit_json(&full_name, id, commits.get(id)) }))
            .collect();
        Ok(counted(self.ok(&Value::Array(list)), ids.len()))
    }

    fn unknown_commit(&self) -> Refusal {
        if self.inner.profile.unknown_commit() == StatusCode::NOT_FOUND { self.not_found() } else { self.hidden_500() }
    }

    /// A branch's commit, or an object id as it is.
    fn id_of(repository: &Repository, name: &str) -> Option<String> {
        if let Some((_, id)) = repository.branches.iter().find(|(branch, _)| branch == name) {
            return Some(id.clone());
        }
        let is_id = name.len() == 40 && name.bytes().all(|b| b.is_ascii_hexdigit());
        is_id.then(|| name.to_owned())
    }

    /// The same, where this version's `/compare` takes object ids.
    fn commit_of(&self, repository: &Repository, name: &str) -> Option<String> {
        let is_branch = repository.branches.iter().any(|(branch, _)| branch == name);
        (is_branch || self.inner.profile.compares_object_ids()).then(|| Self::id_of(repository, name)).flatten()
    }
}

fn counted(mut response: Response, total: usize) -> Response {
    set(&mut response, HeaderName::from_static("x-total-count"), &total.to_string());
    response
}

/// The `Link` header of a list that goes on. Its addresses are built on `ROOT_URL`, which need not be an
/// address that the caller can reach.
fn linked(mut response: Response, asked: &Asked, root: &str, total: usize) -> Response {
    let (number, limit) = paging(asked);
    let last = total.div_ceil(limit);
    let mut links = Vec::new();
    let path = asked.parts.uri.path();
    let mut link = |page: usize, rel: &str| {
        links.push(format!("<{root}{path}?limit={limit}&page={page}>; rel=\"{rel}\""));
    };
    if number < last {
        link(number + 1, "next");
        link(last, "last");
    }
    if number > 1 {
        link(1, "first");
        link(number - 1, "prev");
    }
    if !links.is_empty() {
        set(&mut response, header::LINK, &links.join(","));
    }
    response
}

fn time(second: i64) -> String {
    rfc3339(Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// What `?page=` and `?limit=` ask for, as far as it is granted: the page's number and its size.
fn paging(asked: &Asked) -> (usize, usize) {
    let number = |name| asked.query(name).and_then(|value| value.parse::<usize>().ok()).filter(|number| *number > 0);
    let limit = number("limit").map_or(USUAL_PAGE, |limit| limit.min(LARGEST_PAGE));
    (number("page").unwrap_or(1), limit)
}

fn page<'a, T>(asked: &Asked, all: &'a [T]) -> &'a [T] {
    let (number, limit) = paging(asked);
    let start = (number - 1).saturating_mul(limit).min(all.len());
    &all[start..all.len().min(start + limit)]
}
