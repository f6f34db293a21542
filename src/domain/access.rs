//! Who asks, and what they may do.
//!
//! Owns the roles and the principal. Knows no token and no file: what is presented is judged by `config`.

/// What a principal may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads, and asks for runs.
    Operator,
}

impl Role {
    /// Its one spelling.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }
}

/// Somebody whose credential was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// What the credential is called; never the credential.
    pub name: String,
    /// What it may do.
    pub role: Role,
}
