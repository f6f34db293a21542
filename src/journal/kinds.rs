//! The kinds of an [`Intent`](super::Intent) that are looked for after a restart.
//!
//! Owns their one spelling on disk, which must never change. Knows nothing of what they are about.

/// The kind of the [`Intent`](super::Intent) of a placeholder's deletion.
pub const DELETE: &str = "delete_placeholder";

/// The kind of the [`Intent`](super::Intent) of a legacy repository's rename.
pub const RENAME_ASIDE: &str = "rename_aside";

/// The kind of the [`Intent`](super::Intent) of its name's return.
pub const GIVE_BACK: &str = "give_back";

/// The kind of the [`Intent`](super::Intent) of a change of interval and pruning.
pub const SETTINGS: &str = "patch_settings";

/// The kind of the [`Intent`](super::Intent) of a change of the default branch.
pub const DEFAULT_BRANCH: &str = "patch_default_branch";

/// The kind of the [`Intent`](super::Intent) of a sync: its latest is looked for when a mirror is stopped.
pub const SYNC: &str = "mirror_sync";

/// The kind of a migrate's [`Intent`](super::Intent): the one that is looked for after a restart.
pub const MIGRATE: &str = "migrate";
