//! Checks that several settings share: durations and paths of files.
//!
//! Owns their texts. Opens no file.

use std::path::PathBuf;

use crate::domain::duration::GoDuration;

/// Parses a Go duration.
pub(super) fn duration(text: &str) -> Result<GoDuration, &'static str> {
    GoDuration::parse(text).map_err(|_| "write a Go duration, such as 10m0s, 1h30m or 600s")
}

/// Checks the path of a file, which need not exist yet.
pub(super) fn path(text: &str) -> Result<PathBuf, &'static str> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        Err("write the path of a file, such as /run/secrets/gitea/token")
    } else {
        Ok(PathBuf::from(text))
    }
}
