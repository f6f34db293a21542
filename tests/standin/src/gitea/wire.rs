//! A repository as the API prints it, version by version.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Gitea;
use super::auth::Doer;
use super::state::Repository;
use crate::clock::rfc3339;
use crate::duration;
use crate::profile::Profile;

/// Go's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";

impl Gitea {
    pub(super) fn repository_json(&self, repository: &Repository, doer: Option<&Doer>) -> Value {
        let state = self.state();
        let owns = doer.is_some_and(|doer| state.owns(doer.id, repository.owner));
        let owner = state.account_of(repository.owner).map_or(Value::Null, |owner| self.user(owner, false));
        let full_name = state.full_name(repository);
        drop(state);
        let root = &self.inner.root_url;
        let archived = rfc3339(repository.archived.unwrap_or(Timestamp::UNIX_EPOCH));
        let mirror = repository.mirror.as_ref();
        let mut value = json!({
            "id": repository.id, "owner": owner, "name": repository.name, "full_name": full_name,
            "description": repository.description, "empty": repository.empty, "private": repository.private,
            "fork": false, "template": false, "mirror": repository.is_mirror, "size": repository.size, "language": "",
            "languages_url": format!("{root}/api/v1/repos/{full_name}/languages"),
            "html_url": format!("{root}/{full_name}"), "url": format!("{root}/api/v1/repos/{full_name}"), "link": "",
            "ssh_url": self.ssh_url(&full_name), "clone_url": format!("{root}/{full_name}.git"),
            "original_url": repository.original_url, "website": "", "stars_count": 0, "forks_count": 0,
            "watchers_count": 1, "open_issues_count": 0, "open_pr_counter": 0, "release_counter": 0,
            "default_branch": repository.default_branch, "archived": repository.archived.is_some(),
            "created_at": rfc3339(repository.created), "updated_at": rfc3339(repository.updated), "archived_at": archived,
            "permissions": { "admin": owns, "push": owns, "pull": true },
            "avatar_url": "", "internal": false,
            "mirror_interval": mirror.map(|m| duration::print(m.interval)).unwrap_or_default(),
            "object_format_name": "sha1",
            "mirror_updated": mirror.map_or_else(|| NEVER.to_owned(), |m| rfc3339(m.updated)),
        });
        self.add_units(&mut value, repository);
        self.add_versioned(&mut value, repository, &full_name);
        value
    }

    fn ssh_url(&self, full_name: &str) -> String {
        if self.inner.profile.is_forgejo() {
            format!("ssh://gituser@localhost/{full_name}.git")
        } else {
            format!("gituser@localhost:{full_name}.git")
        }
    }

    fn add_units(&self, value: &mut Value, repository: &Repository) {
        let full = !(repository.units_of_mirror && self.inner.profile.mirrors_lack_units());
        merge(
            value,
            json!({
                "has_issues": true,
                "internal_tracker": {
                    "enable_time_tracker": true, "allow_only_contributors_to_track_time": true,
                    "enable_issue_dependencies": true,
                },
                "has_wiki": true, "has_pull_requests": full, "has_projects": true, "has_releases": true,
                "has_packages": true, "has_actions": full, "ignore_whitespace_conflicts": false,
                "allow_merge_commits": full, "allow_rebase": full, "allow_rebase_explicit": full,
                "allow_squash_merge": full, "allow_fast_forward_only_merge": full, "allow_rebase_update": full,
                "default_delete_branch_after_merge": false, "default_merge_style": "merge",
                "default_allow_maintainer_edit": false,
            }),
        );
    }

    /// The members that only some versions have.
    fn add_versioned(&self, value: &mut Value, repository: &Repository, full_name: &str) {
        let profile = self.inner.profile;
        let root = &self.inner.root_url;
        if profile.is_forgejo() {
            merge(
                value,
                json!({
                    "parent": null, "repo_transfer": null, "wiki_branch": "main", "globally_editable_wiki": false,
                    "default_update_style": "merge", "topics": null,
                }),
            );
            if profile == Profile::Forgejo16 {
                merge(
                    value,
                    json!({
                        "topics": [], "has_wiki_contents": false,
                        "wiki_clone_url": format!("{root}/{full_name}.wiki.git"),
                        "wiki_ssh_url": format!("ssh://gituser@localhost/{full_name}.wiki.git"),
                    }),
                );
            }
            return;
        }
        value["projects_mode"] = json!("all");
        if matches!(profile, Profile::Gitea121 | Profile::Gitea122) {
            merge(value, json!({ "parent": null, "repo_transfer": null }));
        } else {
            merge(value, json!({ "topics": [], "licenses": [] }));
        }
        if profile.has_branch_count() {
            merge(
                value,
                json!({
                    "has_code": true, "branch_count": repository.branches.len(),
                    "allow_manual_merge": repository.units_of_mirror, "autodetect_manual_merge": false,
                }),
            );
        }
        if profile.has_last_sync() {
            let never =
                if repository.is_mirror && repository.mirror.is_some() { "1970-01-01T00:00:00Z" } else { NEVER };
            let last = repository.mirror.as_ref().and_then(|m| m.last_sync).map_or_else(|| never.to_owned(), rfc3339);
            merge(
                value,
                json!({
                    "mirror_last_sync_at": last, "default_update_style": "merge",
                    "allow_merge_update": !repository.units_of_mirror,
                }),
            );
        }
    }
}

fn merge(value: &mut Value, more: Value) {
    if let (Value::Object(value), Value::Object(more)) = (value, more) {
        value.extend(more);
    }
}
