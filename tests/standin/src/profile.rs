//! Which server is played, and every way in which the seven differ. A difference is a method here with the
//! versions in it; handlers never compare versions themselves. All but the oldest were recorded; that one is
//! as Gitea's source has it.

use http::StatusCode;

/// One of the servers that can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Profile {
    /// Gitea 1.21.11, from its source: what it has in common with 1.22 is as 1.22 was recorded.
    Gitea121,
    /// Gitea 1.22.6.
    Gitea122,
    /// Gitea 1.24.7.
    Gitea124,
    /// Gitea 1.26.4.
    Gitea126,
    /// Gitea 1.27.0 and 19 later commits.
    Gitea127,
    /// Forgejo 11.0.15.
    Forgejo11,
    /// Forgejo 16.0.0.
    Forgejo16,
}

use Profile::{Forgejo11, Forgejo16, Gitea121, Gitea122, Gitea124, Gitea126, Gitea127};

impl Profile {
    /// All of them, oldest first within each family.
    pub const ALL: [Self; 7] = [Gitea121, Gitea122, Gitea124, Gitea126, Gitea127, Forgejo11, Forgejo16];

    /// Those whose answers were recorded.
    pub const RECORDED: [Self; 6] = [Gitea122, Gitea124, Gitea126, Gitea127, Forgejo11, Forgejo16];

    /// The short name, such as `gitea-1.26`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Gitea121 => "gitea-1.21",
            Gitea122 => "gitea-1.22",
            Gitea124 => "gitea-1.24",
            Gitea126 => "gitea-1.26",
            Gitea127 => "gitea-1.27",
            Forgejo11 => "forgejo-11",
            Forgejo16 => "forgejo-16",
        }
    }

    /// What `/api/v1/version` answers.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Gitea121 => "1.21.11",
            Gitea122 => "1.22.6",
            Gitea124 => "1.24.7",
            Gitea126 => "1.26.4",
            Gitea127 => "1.27.0+19",
            Forgejo11 => "11.0.15+gitea-1.22.0",
            Forgejo16 => "16.0.0+gitea-1.22.0",
        }
    }

    /// Whether this is a Forgejo.
    #[must_use]
    pub const fn is_forgejo(self) -> bool {
        matches!(self, Forgejo11 | Forgejo16)
    }

    pub(crate) const fn cache_control(self) -> &'static str {
        match self {
            Gitea121 | Gitea122 | Gitea124 | Gitea126 | Forgejo11 => {
                "max-age=0, private, must-revalidate, no-transform"
            }
            Gitea127 | Forgejo16 => "max-age=0, private, must-revalidate",
        }
    }

    /// The newest Gitea servers answer an unknown route before any of their own headers are set.
    pub(crate) const fn unknown_route_is_bare(self) -> bool {
        matches!(self, Gitea126 | Gitea127)
    }

    /// `errors` of a 404 that has nothing to list: `null`, `[]`, or no such member.
    pub(crate) fn no_errors(self) -> Option<serde_json::Value> {
        match self {
            Gitea121 | Gitea122 | Gitea124 | Gitea126 => Some(serde_json::Value::Null),
            Forgejo11 | Forgejo16 => Some(serde_json::json!([])),
            Gitea127 => None,
        }
    }

    pub(crate) const fn not_found_text(self) -> &'static str {
        match self {
            Gitea126 | Gitea127 => "not found",
            Gitea121 | Gitea122 | Gitea124 | Forgejo11 | Forgejo16 => "The target couldn't be found.",
        }
    }

    /// Whether a 404 names the function that failed and lists what it failed with.
    pub(crate) const fn not_found_tells(self) -> bool {
        !matches!(self, Gitea127)
    }

    pub(crate) fn wrong_credentials(self, given: &str) -> String {
        match self {
            Gitea121 | Gitea122 | Gitea124 | Forgejo11 => self.no_such_user(0, ""),
            Gitea126 | Gitea127 => "invalid username, password or token".to_owned(),
            // This one repeats the token it was given.
            Forgejo16 => format!(
                "access token does not exist [sha: {given}]\ntoken is malformed: token contains an invalid number of segments\n\
                 task with token \"{given}\": resource does not exist\n\
                 authorized integration: parse JWT error: token is malformed: token contains an invalid number of segments"
            ),
        }
    }

    /// The text that speaks of an account that is not there.
    pub(crate) fn no_such_user(self, id: u64, name: &str) -> String {
        match self {
            Gitea121 => format!("user does not exist [uid: {id}, name: {name}, keyid: 0]"),
            Gitea122 | Gitea124 | Gitea126 | Gitea127 | Forgejo11 | Forgejo16 => {
                format!("user does not exist [uid: {id}, name: {name}]")
            }
        }
    }

    pub(crate) fn missing_scope(self, required: &str, has: &str) -> String {
        match self {
            Gitea121 | Gitea122 | Forgejo11 | Forgejo16 => {
                format!("token does not have at least one of required scope(s): [{required}]")
            }
            Gitea124 | Gitea126 | Gitea127 => {
                format!(
                    "token does not have at least one of required scope(s), required=[{required}], token scope={has}"
                )
            }
        }
    }

    /// The status of a renamed repository's old name.
    pub(crate) const fn renamed(self) -> StatusCode {
        match self {
            Gitea121 | Gitea122 | Forgejo11 => StatusCode::TEMPORARY_REDIRECT,
            Gitea124 | Gitea126 | Gitea127 | Forgejo16 => StatusCode::MOVED_PERMANENTLY,
        }
    }

    /// What a sync of an archived repository is refused with, where it is.
    pub(crate) fn archived(self, id: u64, full_name: &str) -> Option<String> {
        match self {
            Gitea121 => None,
            Gitea122 | Gitea124 | Forgejo11 | Forgejo16 => Some(format!("<Repository {id}:{full_name}> is archived")),
            Gitea126 => Some(format!("{full_name} is archived")),
            Gitea127 => Some("repo is archived".to_owned()),
        }
    }

    /// What writing a file to a mirror answers: a status and a message.
    pub(crate) fn mirror_is_read_only(self, full_name: &str) -> (StatusCode, String) {
        match self {
            Gitea121 | Gitea122 | Gitea124 | Forgejo11 | Forgejo16 => {
                (StatusCode::INTERNAL_SERVER_ERROR, String::new())
            }
            Gitea126 => (StatusCode::LOCKED, format!("{full_name} is not allowed to edit")),
            Gitea127 => (StatusCode::LOCKED, "repo is not allowed to edit".to_owned()),
        }
    }

    pub(crate) fn protocol_refused(self, host: &str) -> String {
        match self {
            Gitea127 => "The provided URL is invalid.".to_owned(),
            _ => format!("migration/cloning from '{host}' is not allowed: the provided url protocol is not allowed"),
        }
    }

    pub(crate) fn url_refused(self, address: &str) -> String {
        match self {
            Gitea127 => "The provided URL is invalid.".to_owned(),
            _ => format!("migration/cloning from '{address}' is not allowed: the provided url is invalid"),
        }
    }

    /// `.` and `..` as a repository's name.
    pub(crate) fn dots_refused(self, name: &str) -> String {
        match self {
            Gitea121 | Gitea122 | Forgejo11 | Forgejo16 => format!("The username '{name}' is reserved."),
            Gitea124 | Gitea126 | Gitea127 => {
                format!("The username '{name}' contains invalid characters.")
            }
        }
    }

    pub(crate) const fn takes_userinfo(self) -> bool {
        !self.is_forgejo()
    }

    /// Whether a leftover folder stops a migrate (409), or is silently removed.
    pub(crate) const fn minds_leftover_files(self) -> bool {
        matches!(self, Gitea121 | Gitea122 | Forgejo11 | Forgejo16)
    }

    /// What a failed `git clone` becomes, after `Migration failed: ` or `Authentication failed: `.
    pub(crate) fn clone_error(self, code: i32, stderr: &str) -> String {
        let step = match self {
            Gitea121 | Forgejo11 | Forgejo16 => "Clone",
            Gitea122 | Gitea124 | Gitea126 | Gitea127 => "clone error",
        };
        let stderr = match self {
            Gitea126 | Gitea127 => stderr.trim_end_matches('\n'),
            Gitea121 | Gitea122 | Gitea124 | Forgejo11 | Forgejo16 => stderr,
        };
        format!("{step}: exit status {code} - {stderr}")
    }

    /// Gitea's hardening against server-side request forgery, on in some releases only.
    pub(crate) const fn follows_redirects(self) -> bool {
        !matches!(self, Gitea126 | Forgejo16)
    }

    /// Whether a sync looks at the allow list again, and fails in silence where it says no.
    pub(crate) const fn looks_at_hosts_with_each_sync(self) -> bool {
        matches!(self, Gitea127 | Forgejo16)
    }

    /// Whether the password of an upstream stays out of the mirror's configuration.
    pub(crate) const fn keeps_password_apart(self) -> bool {
        self.is_forgejo()
    }

    /// Forgejo 11 uses a password for the clone and then forgets it: every later sync fails.
    pub(crate) const fn forgets_password(self) -> bool {
        matches!(self, Forgejo11)
    }

    /// `info/refs` of a repository whose folder is gone: a page with 500, or 200 and a cut-off answer.
    pub(crate) const fn missing_folder_is_an_error(self) -> bool {
        matches!(self, Gitea126 | Gitea127)
    }

    /// A changed default branch that cannot be queued a second time answers 500, although it was done.
    pub(crate) const fn default_branch_can_answer_500(self) -> bool {
        matches!(self, Gitea124 | Gitea126 | Gitea127)
    }

    pub(crate) const fn patch_touches_updated_at(self) -> bool {
        matches!(self, Gitea121 | Gitea122 | Forgejo11 | Forgejo16)
    }

    /// `updated_at` after a sync that left no commit: now, or as it was.
    pub(crate) const fn wiped_mirror_is_updated_now(self) -> bool {
        matches!(self, Gitea121 | Gitea122 | Forgejo11 | Forgejo16)
    }

    /// What settings of a mirror sent to a regular repository are refused with; `None`: 200, and nothing is done.
    pub(crate) const fn settings_of_no_mirror(self) -> Option<&'static str> {
        match self {
            Gitea121 => Some("repo is not a mirror, can not change mirror interval"),
            Gitea122 | Gitea124 | Gitea126 | Gitea127 | Forgejo11 | Forgejo16 => None,
        }
    }

    /// Whether `enable_prune` is read without an interval beside it.
    pub(crate) const fn takes_pruning_alone(self) -> bool {
        !matches!(self, Gitea121)
    }

    pub(crate) const fn has_last_sync(self) -> bool {
        matches!(self, Gitea127)
    }

    pub(crate) const fn has_branch_count(self) -> bool {
        matches!(self, Gitea126 | Gitea127)
    }

    /// Newer servers make a mirror without pull requests and actions.
    pub(crate) const fn mirrors_lack_units(self) -> bool {
        !matches!(self, Gitea121 | Gitea122 | Forgejo11)
    }

    /// Deleting a repository needs a scope of its owner's kind.
    pub(crate) const fn delete_needs_owner_scope(self) -> bool {
        matches!(self, Forgejo16)
    }

    /// Whether a token can be limited to chosen repositories.
    pub(crate) const fn limits_tokens(self) -> bool {
        matches!(self, Forgejo16)
    }

    pub(crate) const fn can_convert(self) -> bool {
        matches!(self, Forgejo16)
    }

    /// Whether `/compare` takes object ids.
    pub(crate) const fn compares_object_ids(self) -> bool {
        !matches!(self, Gitea121 | Gitea122)
    }

    /// Whether `/compare` answers for a mirror: it does not where it asks for pull requests, which a mirror lacks.
    pub(crate) const fn compares_mirrors(self) -> bool {
        matches!(self, Gitea126 | Gitea127 | Forgejo11)
    }

    /// Whether `/compare` answers for two commits without a common ancestor. Where it does, it finds no commits.
    pub(crate) const fn compares_unrelated(self) -> bool {
        !matches!(self, Gitea126)
    }

    /// The status of `/commits` for an object that the repository does not have.
    pub(crate) const fn unknown_commit(self) -> StatusCode {
        match self {
            Gitea121 | Gitea122 => StatusCode::INTERNAL_SERVER_ERROR,
            Gitea124 | Gitea126 | Gitea127 | Forgejo11 | Forgejo16 => StatusCode::NOT_FOUND,
        }
    }

    pub(crate) const fn has_quota(self) -> bool {
        self.is_forgejo()
    }

    pub(crate) const fn org_refused(self) -> &'static str {
        match self {
            Gitea127 => "not allowed to create org",
            // A formatting slip of theirs, on the wire for years.
            _ => "%!s(<nil>)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_forgejo_names_the_gitea_it_comes_from() {
        for profile in Profile::ALL {
            assert_eq!(profile.version().contains("+gitea-"), profile.is_forgejo(), "{}", profile.name());
        }
    }
}
