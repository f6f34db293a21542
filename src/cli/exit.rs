//! What the process's exit code says, for scripts and pipelines.
//!
//! Owns the one table of the codes. They are a contract: none changes its meaning.

use std::process::ExitCode;

/// How a command ended.
///
/// | code | means |
/// |---|---|
/// | 0 | proven: every mirror asked for is in sync, with evidence; without `--wait`: the run was accepted |
/// | 1 | failed: the run failed or was canceled |
/// | 2 | usage or configuration: nothing was asked for |
/// | 3 | unverified: Gitea holds a healthy mirror, and upstream gave no list that proves it |
/// | 4 | the service cannot be reached, or does not answer as it should |
/// | 5 | refused: no valid token, not this token's right, or a conflict (401, 403, 409) |
/// | 6 | timed out: `--timeout` has passed; the run goes on |
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
  2  usage or configuration: nothing was asked for
  3  unverified: Gitea holds a healthy mirror, and upstream gave no list that proves it
  4  the service cannot be reached, or does not answer as it should
  5  refused: no valid token, not this token's right, or a conflict (401, 403, 409)
  6  timed out: --timeout has passed; the run goes on";

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
