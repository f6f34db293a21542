//! Version, settings and health: the calls that need neither an account nor a repository.

use axum::response::Response;
use http::{StatusCode, header};
use serde_json::json;

use super::Gitea;
use super::answer::{bare, set};
use crate::clock::rfc3339;
use crate::profile::Profile;

impl Gitea {
    pub(super) fn version(&self) -> Response {
        self.ok(&json!({ "version": self.inner.profile.version() }))
    }

    pub(super) fn forgejo_version(&self) -> Response {
        let content_type = match self.inner.profile {
            Profile::Forgejo11 => "text/plain; charset=utf-8",
            Profile::Forgejo16 => "application/json; charset=utf-8",
            Profile::Gitea121 | Profile::Gitea122 | Profile::Gitea124 | Profile::Gitea126 | Profile::Gitea127 => {
                return self.text(StatusCode::NOT_FOUND, "text/plain;charset=utf-8", "Not found.\n");
            }
        };
        let body = json!({ "version": self.inner.profile.version() });
        self.text(StatusCode::OK, content_type, &format!("{body}\n"))
    }

    pub(super) fn settings_of(&self, which: &str) -> Response {
        let profile = self.inner.profile;
        match which {
            "repository" => {
                let settings = self.state().settings.clone();
                let mut body = json!({
                    // Says nothing of DISABLE_NEW_PULL.
                    "mirrors_disabled": settings.mirror_feature_off,
                    "http_git_disabled": settings.http_git_disabled,
                    "migrations_disabled": settings.migrations_disabled,
                    "stars_disabled": false,
                    "time_tracking_disabled": false,
                    "lfs_disabled": true,
                });
                if profile.is_forgejo() {
                    body["forks_disabled"] = json!(false);
                }
                self.ok(&body)
            }
            "api" => {
                let mut body = json!({
                    "max_response_items": 50,
                    "default_paging_num": 30,
                    "default_git_trees_per_page": 1000,
                    "default_max_blob_size": 10_485_760,
                });
                if matches!(profile, Profile::Gitea124 | Profile::Gitea126 | Profile::Gitea127) {
                    body["default_max_response_size"] = json!(104_857_600);
                }
                self.ok(&body)
            }
            _ => self.unknown_route(),
        }
    }

    /// Healthy at all times: before the installation, too, and then without any check.
    pub(super) fn health(&self, not_installed: bool) -> Response {
        let mut body = json!({ "status": "pass", "description": "rec" });
        if !not_installed {
            let check = json!([{ "status": "pass", "time": rfc3339(self.inner.clock.now()) }]);
            body["checks"] = json!({ "cache:ping": check, "database:ping": check });
        }
        let mut response = bare(StatusCode::OK, "application/json", &body.to_string());
        if self.inner.profile.is_forgejo() {
            set(&mut response, header::CACHE_CONTROL, "no-store");
        }
        response
    }
}
