//! The domain: what cutover-api knows and decides, without side effects.
//!
//! Owns the project's types, their rules, and [`decide`]: the pure function from observations to the next action. Never
//! imports another module of cutover-api, a runtime, HTTP, files or a clock.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod access;
pub mod answer;
pub mod aside;
pub mod backoff;
pub mod cause;
pub mod credential;
pub mod decide;
pub mod duration;
pub mod event;
pub mod evidence;
pub mod healing;
pub mod history;
pub mod key;
pub mod mode;
pub mod names;
pub mod notice;
pub mod observation;
pub mod plan;
pub mod platform;
pub mod problem;
pub mod proof;
pub mod redirect;
pub mod refs;
pub mod run;
pub mod server;
pub mod spec;
pub mod status;
pub mod url;
pub mod webhook;

#[cfg(test)]
pub(crate) mod tests {
    //! Values that the tests of this layer share.

    use super::duration::GoDuration;
    use super::mode::Mode;
    use super::names::{BranchName, MirrorName, OwnerName, RepoName};
    use super::refs::Prune;
    use super::spec::{MirrorSpec, OnLegacy, Visibility};
    use super::url::UpstreamUrl;

    /// The mirror of the examples.
    pub(crate) fn spec() -> MirrorSpec {
        MirrorSpec {
            name: MirrorName::parse("openova").unwrap(),
            upstream: UpstreamUrl::parse("https://github.com/openova-io/openova").unwrap(),
            branch: BranchName::parse("main").unwrap(),
            owner: OwnerName::parse("openova").unwrap(),
            repo: RepoName::parse("openova").unwrap(),
            interval: GoDuration::parse("10m").unwrap(),
            prune: Prune::Off,
            visibility: Visibility::Public,
            on_legacy: OnLegacy::Refuse,
            mode: Mode::Follow,
        }
    }
}
