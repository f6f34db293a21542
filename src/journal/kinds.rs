//! Kinds of an [`Intent`](super::Intent) that are looked up after a restart.
//!
//! Owns their spelling on disk, which must never change.

/// Kind of the [`Intent`](super::Intent) to delete a placeholder.
pub const DELETE: &str = "delete_placeholder";

/// Kind of the [`Intent`](super::Intent) to rename a legacy repository to its backup name.
pub const RENAME_ASIDE: &str = "rename_aside";

/// Kind of the [`Intent`](super::Intent) to give a renamed repository its former name back.
pub const GIVE_BACK: &str = "give_back";

/// Kind of the [`Intent`](super::Intent) to change interval and pruning.
pub const SETTINGS: &str = "patch_settings";

/// Kind of the [`Intent`](super::Intent) to change the default branch.
pub const DEFAULT_BRANCH: &str = "patch_default_branch";

/// Kind of the [`Intent`](super::Intent) to sync. The latest one is looked up before a mirror is pinned or severed.
pub const SYNC: &str = "mirror_sync";

/// Kind of the [`Intent`](super::Intent) to migrate.
pub const MIGRATE: &str = "migrate";
