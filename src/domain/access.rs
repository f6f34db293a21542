//! Authorization: the roles, and the principals that hold them.
//!
//! Owns the roles and their order. Never recognises a caller: `config` (tokens), `kube` (Kubernetes) and the API
//! (headers) do.

use std::fmt;

use super::problem::Code;

/// Role of a caller. Each role includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// May read.
    Viewer,
    /// May also start and cancel runs.
    Operator,
}

impl Role {
    /// All roles, from the weakest to the strongest.
    pub const ALL: &'static [Self] = &[Self::Viewer, Self::Operator];

    /// The role's spelling on the wire.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }

    /// Parses a role's spelling on the wire.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.label() == label)
    }

    /// Whether this role includes `needed`.
    #[must_use]
    pub fn covers(self, needed: Self) -> bool {
        self >= needed
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A recognised caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The name in the tokens file or in Kubernetes, for the journal and the log; never a secret.
    pub name: String,
    /// The caller's role.
    pub role: Role,
}

/// Reason why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// The token is unknown.
    Unknown,
    /// Kubernetes recognises the token, but its user is on no list of the configuration.
    NotListed {
        /// The user's name.
        name: String,
    },
    /// The tokens file cannot be read. The text is for the log.
    Unreadable(String),
    /// Kubernetes could not be asked, so the token's user is unknown.
    NotAsked {
        /// The problem's code.
        code: Code,
        /// The error, for the log.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_may_do_what_a_viewer_may_and_not_the_reverse() {
        assert!(Role::Operator.covers(Role::Viewer) && Role::Operator.covers(Role::Operator));
        assert!(Role::Viewer.covers(Role::Viewer) && !Role::Viewer.covers(Role::Operator));
        for role in Role::ALL {
            assert_eq!(Role::from_label(role.label()), Some(*role));
        }
        assert_eq!(Role::from_label("admin"), None);
    }
}
