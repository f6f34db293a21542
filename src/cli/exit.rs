//! The exit codes, for scripts and pipelines.
//!
//! Owns the one table. The codes are a contract: none changes its meaning.

use std::process::ExitCode;

/// The result of a command.
///
/// | code | means |
/// |---|---|
/// | 0 | proven: every mirror asked for is in sync, with evidence; without `--wait`: the run was accepted |
/// | 1 | failed: the run failed or was canceled |
/// | 2 | usage or configuration: no request was sent |
/// | 3 | unverified: Gitea holds a healthy mirror, and upstream gave no list that can prove it |
/// | 4 | the service is not reachable, or its answer cannot be used |
/// | 5 | refused: no valid token, a missing role, or a conflict (401, 403, 409) |
/// | 6 | timed out: `--timeout` has passed; the run continues |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// 0
    Proven = 0,
    /// 1
    Failed = 1,
    /// 2
    Usage = 2,
    /// 3
    Unverified = 3,
    /// 4
    Unreachable = 4,
    /// 5
    Refused = 5,
    /// 6
    TimedOut = 6,
}

/// The table, for the help.
pub(super) const TABLE: &str = "\
Exit codes:
  0  proven: every mirror is in sync, with evidence (without --wait: the run was accepted)
  1  failed: the run failed or was canceled
  2  usage or configuration: no request was sent
  3  unverified: Gitea holds a healthy mirror, and upstream gave no list that can prove it
  4  the service is not reachable, or its answer cannot be used
  5  refused: no valid token, a missing role, or a conflict (401, 403, 409)
  6  timed out: --timeout has passed; the run continues";

impl ExitStatus {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}
