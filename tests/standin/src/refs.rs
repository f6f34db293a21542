//! Refs as the stand-ins tell of them: to tests, and in their own answers. Data only.

use std::collections::BTreeMap;

/// Full ref names with their object ids: the tag object's for an annotated tag.
pub type Refs = BTreeMap<String, String>;

/// One ref with what the API tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Ref {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) kind: String,
    /// The commit that an annotated tag names; the ref's own object otherwise.
    pub(crate) commit: String,
    pub(crate) subject: String,
    /// Seconds since 1970 of the tag or commit.
    pub(crate) created: i64,
}
