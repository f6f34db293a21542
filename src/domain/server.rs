//! Gitea's release, as far as cutover-api depends on it.
//!
//! Owns the parsing of a version and what follows from it. Never sends a request.

/// A Gitea or a Forgejo, with its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    forgejo: bool,
    /// Major, minor and patch.
    release: (u32, u32, u32),
}

impl Server {
    /// Parses a version such as `1.26.4`, `1.27.0+dev-19` or `11.0.15+gitea-1.22.0`.
    ///
    /// Of a version without a number, such as `development`, nothing is known.
    #[must_use]
    pub fn parse(version: &str) -> Self {
        let forgejo = version.contains("+gitea-");
        let release = version.split(['+', '-']).next().unwrap_or_default();
        let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Self { forgejo, release: (next(), next(), next()) }
    }

    /// Whether the server forgets upstream's credential after the first clone: Forgejo 11.0.4, 12.0.2, 13 and 14.
    #[must_use]
    pub fn forgets_credentials(self) -> bool {
        let forgets = match self.release.0 {
            11 => self.release >= (11, 0, 4),
            12 => self.release >= (12, 0, 2),
            major => matches!(major, 13 | 14),
        };
        self.forgejo && forgets
    }

    /// Whether the API converts a mirror to a regular repository: Forgejo since 13.
    #[must_use]
    pub fn converts_mirrors(self) -> bool {
        self.forgejo && self.release.0 >= 13
    }

    /// Whether the API changes a mirror's credential: Gitea since 1.27.
    #[must_use]
    pub fn takes_a_new_credential(self) -> bool {
        !self.forgejo && self.release >= (1, 27, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_from_every_form_of_a_version() {
        for (version, forgets, takes, converts) in [
            ("1.22.6", false, false, false),
            ("1.27.0+19", false, true, false),
            ("1.28.0+dev-5-gabc", false, true, false),
            ("7.0.1+gitea-1.21.0", false, false, false),
            ("11.0.3+gitea-1.22.0", false, false, false),
            ("11.0.15+gitea-1.22.0", true, false, false),
            ("12.0.1+gitea-1.22.0", false, false, false),
            ("13.0.0+gitea-1.22.0", true, false, true),
            ("14.0.2-test+gitea-1.22.0", true, false, true),
            ("15.0.0+gitea-1.22.0", false, false, true),
            ("16.0.0+gitea-1.22.0", false, false, true),
            ("development", false, false, false),
        ] {
            let server = Server::parse(version);
            let seen = (server.forgets_credentials(), server.takes_a_new_credential(), server.converts_mirrors());
            assert_eq!(seen, (forgets, takes, converts), "{version}");
        }
    }
}
