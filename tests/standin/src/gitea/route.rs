//! From a method and a path to the call that is meant. Pure.

use http::Method;

use crate::fault::CallKind;

/// A call, with what its path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) kind: CallKind,
    pub(super) owner: String,
    pub(super) name: String,
    /// What follows in the path, such as the ref of `/git/refs/…` or the two of `/compare/…`.
    pub(super) rest: String,
}

/// Finds the call. A path that exists with another method is [`CallKind::Other`], too.
pub(super) fn parse(method: &Method, path: &str) -> Route {
    let segments: Vec<String> = path.trim_matches('/').split('/').map(decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (kind, owner, name, rest) = match segments.as_slice() {
        ["api", "healthz"] => (CallKind::Health, "", "", String::new()),
        ["api", "forgejo", "v1", "version"] => (CallKind::ForgejoVersion, "", "", String::new()),
        ["api", "v1", api @ ..] => match of_api(method, api) {
            Some(found) => found,
            None => (CallKind::Other, "", "", String::new()),
        },
        [owner, name, "info", "refs"] if *method == Method::GET => {
            (CallKind::InfoRefs, *owner, bare(name), String::new())
        }
        [owner, name, "git-upload-pack"] if *method == Method::POST => {
            (CallKind::UploadPack, *owner, bare(name), String::new())
        }
        _ => (CallKind::Other, "", "", String::new()),
    };
    Route { kind, owner: owner.to_owned(), name: name.to_owned(), rest }
}

/// Whether a path of the API exists for any method.
pub(super) fn is_known(path: &str) -> bool {
    let methods = [Method::GET, Method::POST, Method::PATCH, Method::DELETE, Method::PUT];
    let known = |method| parse(method, path).kind != CallKind::Other;
    path.starts_with("/api/v1/") && methods.iter().any(known)
}

fn bare(name: &str) -> &str {
    name.strip_suffix(".git").unwrap_or(name)
}

fn of_api<'a>(method: &Method, path: &[&'a str]) -> Option<(CallKind, &'a str, &'a str, String)> {
    let (get, post) = (*method == Method::GET, *method == Method::POST);
    let none = String::new();
    let found = match path {
        ["version"] if get => (CallKind::Version, "", "", none),
        ["settings", which] if get => (CallKind::Settings, "", "", (*which).to_owned()),
        ["user"] if get => (CallKind::CurrentUser, "", "", none),
        ["user", "repos"] if post => (CallKind::CreateRepository, "", "", none),
        ["users", name] if get => (CallKind::GetUser, *name, "", none),
        ["orgs"] if post => (CallKind::CreateOrg, "", "", none),
        ["orgs", name] if get => (CallKind::GetOrg, *name, "", none),
        ["orgs", name, "repos"] if post => (CallKind::CreateRepository, *name, "", none),
        ["repos", "migrate"] if post => (CallKind::Migrate, "", "", none),
        ["repos", owner, name, tail @ ..] => {
            let (kind, rest) = of_repository(method, tail)?;
            (kind, *owner, *name, rest)
        }
        _ => return None,
    };
    Some(found)
}

fn of_repository(method: &Method, tail: &[&str]) -> Option<(CallKind, String)> {
    let get = *method == Method::GET;
    let found = match tail {
        [] if get => (CallKind::GetRepository, String::new()),
        [] if *method == Method::PATCH => (CallKind::PatchRepository, String::new()),
        [] if *method == Method::DELETE => (CallKind::DeleteRepository, String::new()),
        ["mirror-sync"] if *method == Method::POST => (CallKind::MirrorSync, String::new()),
        ["convert"] if *method == Method::POST => (CallKind::Convert, String::new()),
        ["branches"] if get => (CallKind::Branches, String::new()),
        ["tags"] if get => (CallKind::Tags, String::new()),
        ["git", "refs", rest @ ..] if get => (CallKind::GitRefs, rest.join("/")),
        ["commits"] if get => (CallKind::Commits, String::new()),
        ["compare", rest @ ..] if get && !rest.is_empty() => (CallKind::Compare, rest.join("/")),
        ["contents", rest @ ..] if *method == Method::PUT => (CallKind::PutContents, rest.join("/")),
        _ => return None,
    };
    Some(found)
}

/// Undoes percent-encoding.
fn decode(segment: &str) -> String {
    if !segment.contains('%') {
        return segment.to_owned();
    }
    // A form's decoder, kept from taking `+` for a space.
    let pair = segment.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_call_and_its_repository() {
        for (method, path, kind, owner, name, rest) in [
            (Method::GET, "/api/v1/repos/acme/one", CallKind::GetRepository, "acme", "one", ""),
            (Method::POST, "/api/v1/repos/acme/one/mirror-sync", CallKind::MirrorSync, "acme", "one", ""),
            (Method::GET, "/api/v1/repos/acme/one/mirror-sync", CallKind::Other, "", "", ""),
            (Method::GET, "/acme/one.git/info/refs", CallKind::InfoRefs, "acme", "one", ""),
            (Method::POST, "/acme/one/git-upload-pack", CallKind::UploadPack, "acme", "one", ""),
            (Method::GET, "/api/v1/repos/a/b/compare/1...2", CallKind::Compare, "a", "b", "1...2"),
            (Method::GET, "/api/v1/repos/a/b/commits", CallKind::Commits, "a", "b", ""),
            (Method::GET, "/api/v1/repos/a/b/git/refs/heads/x", CallKind::GitRefs, "a", "b", "heads/x"),
            (Method::GET, "/api/v1/nowhere", CallKind::Other, "", "", ""),
            (Method::GET, "/api/v1/repos/a%20b/c%2Fd", CallKind::GetRepository, "a b", "c/d", ""),
        ] {
            let expected = Route { kind, owner: owner.into(), name: name.into(), rest: rest.into() };
            assert_eq!(parse(&method, path), expected, "{method} {path}");
        }
    }
}
