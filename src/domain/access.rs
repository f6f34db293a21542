//! Who may do what: the roles, and whoever was recognised as holding one.
//!
//! Owns the words and their order. How somebody is recognised is `config`'s (tokens), `kube`'s (Kubernetes) and the
//! API's (headers).

use std::fmt;

use super::problem::Code;

/// What a caller may do; each role may do all that the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// May read.
    Viewer,
    /// May also ask for runs and end them.
    Operator,
}

impl Role {
    /// All of them, the weakest first.
    pub const ALL: &'static [Self] = &[Self::Viewer, Self::Operator];

    /// Its one spelling.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }

    /// The one of that spelling.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.label() == label)
    }

    /// Whether this role may do what `needed` may.
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

/// Somebody who has been recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The name in the tokens file or in Kubernetes, for the journal and the log; never a secret.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

/// Why whoever presents a token is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// Nobody knows the token.
    Unknown,
    /// Kubernetes knows whose token it is, and no list of ours has that name.
    NotListed {
        /// Who it is.
        name: String,
    },
    /// The tokens file cannot be read, so nobody knows whether it lists the token; the text says why, for the log.
    Unreadable(String),
    /// Kubernetes could not be asked: nobody knows whose token it is.
    NotAsked {
        /// What is wrong.
        code: Code,
        /// What happened, for the log.
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
