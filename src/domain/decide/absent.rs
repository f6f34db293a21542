//! Nothing of that name: look at upstream, then at the owner, then migrate.
//!
//! A migrate is sent only after the name was seen absent and upstream was seen sound (or is known not to answer us).
//! An earlier one of unknown outcome is looked for first and never simply sent again.

use std::time::Duration;

use super::{Action, FEW_TRIES, FEW_TRIES_WITHIN, Look, Next, Table, fail, failing, wait};
use crate::domain::answer::{CreateOrganisationAnswer, MigrateAnswer, OwnerAnswer, Refusal};
use crate::domain::observation::Migrate;
use crate::domain::problem::{Code, Problem};
use crate::domain::run::Phase;

/// How long a name has to stay absent after a migrate of unknown outcome, before that one counts as never begun:
/// Gitea makes the row at once, so it is long after whatever was on its way has arrived.
const LOST_FOR_GOOD: Duration = Duration::from_secs(5);

/// Between two tries of a call that may fail for a passing reason.
const BETWEEN_TRIES: Duration = Duration::from_secs(10);

impl Table<'_> {
    pub(super) fn absent(&self) -> Next {
        if let Some(next) = self.history.migrate.as_ref().and_then(|migrate| self.after_a_migrate(migrate)) {
            return next;
        }
        if let Err(next) = self.upstream() {
            return next;
        }
        if let Some(next) = self.forgotten_credential() {
            return next;
        }
        match &self.seen.owner {
            None => Next::Look(Look::Owner),
            // a user, or a token that may not look: migrate decides
            Some(OwnerAnswer::Organisation | OwnerAnswer::User | OwnerAnswer::NotShown) => self.migrate(),
            Some(OwnerAnswer::Absent) => self.create_organisation(),
            Some(OwnerAnswer::Renamed) => fail(
                Problem::new(
                    Code::OwnerUnavailable,
                    format!("the organisation {} was renamed in Gitea; its old name is a redirect", self.spec.owner),
                )
                .because("renamed")
                .with_remedy(
                    "Set GITEA_ORG (target.owner) to the organisation's new name, to which Gitea's web page of the old one leads, and restart us.",
                ),
            ),
            Some(OwnerAnswer::Refused(refusal)) => fail(failing::refused(refusal)),
            Some(OwnerAnswer::Trouble(trouble)) => self.wait_for_gitea(trouble, self.history.owner_troubles),
        }
    }

    /// The name is absent although this run has sent a migrate: what that means. `None`: nothing is in the way of
    /// sending one (again), with an intent of its own.
    fn after_a_migrate(&self, migrate: &Migrate) -> Option<Next> {
        let name = self.spec.full_name();
        let Some(answer) = &migrate.answer else {
            return self.lost(migrate);
        };
        if let Some(problem) = failing::migrate(answer, &name) {
            return Some(fail(problem));
        }
        match answer {
            MigrateAnswer::Created => Some(fail(Problem::new(
                Code::RepositoryVanished,
                format!("{name} was made by this run and is gone again"),
            ))),
            MigrateAnswer::Exists => Some(fail(Problem::new(
                Code::RepositoryInvisible,
                format!("Gitea says that {name} exists, and shows us nothing of that name"),
            ))),
            MigrateAnswer::OwnerMissing => self.few_tries(migrate).or_else(|| {
                (self.history.migrates >= FEW_TRIES).then(|| {
                    let owner = &self.spec.owner;
                    fail(Problem::new(
                        Code::OwnerUnavailable,
                        format!("Gitea knows no owner {owner} to migrate to, though it was looked for"),
                    ))
                })
            }),
            MigrateAnswer::HostNotAllowed => self.few_tries(migrate).or_else(|| {
                self.tries_are_used_up().then(|| {
                    let host = self.spec.upstream.host();
                    fail(Problem::new(
                        Code::UpstreamNotAllowed,
                        format!("Gitea answers that it may not import from {host}"),
                    ))
                })
            }),
            MigrateAnswer::ServerError => self
                .few_tries(migrate)
                .or_else(|| self.tries_are_used_up().then(|| fail(failing::migrate_server_error(&name)))),
            // somebody else has deleted what it left
            MigrateAnswer::CloneBrokeOff { message } => self
                .few_tries(migrate)
                .or_else(|| self.tries_are_used_up().then(|| fail(failing::clone_broke_off(message)))),
            MigrateAnswer::Unknown(_) => self.lost(migrate),
            MigrateAnswer::FilesExist
            | MigrateAnswer::NotOwner
            | MigrateAnswer::NotOrganisation
            | MigrateAnswer::MirrorsDisabled
            | MigrateAnswer::MigrationsDisabled
            | MigrateAnswer::UrlRefused { .. }
            | MigrateAnswer::LimitReached { .. }
            | MigrateAnswer::NameRefused { .. }
            | MigrateAnswer::CloneFailed { .. }
            | MigrateAnswer::Other { .. }
            | MigrateAnswer::Refused(_) => None,
        }
    }

    fn migrate(&self) -> Next {
        let interval = (!self.history.without_interval).then_some(self.spec.interval);
        Next::Act(Action::Migrate { interval })
    }

    /// A server that forgets upstream's credential makes a mirror that is never synced: said before one is made.
    pub(super) fn forgotten_credential(&self) -> Option<Next> {
        if !self.history.private_upstream {
            return None;
        }
        match self.history.server {
            Some(server) if server.forgets_credentials() => Some(fail(failing::credential_forgotten())),
            Some(_) => None,
            // it is asked again with each look at the repository
            None => (self.history.elapsed < FEW_TRIES_WITHIN).then(|| wait(Phase::Inspecting, Duration::from_secs(1))),
        }
    }

    /// A migrate whose outcome nobody knows, and a name that is absent: look for some seconds before it counts as
    /// never begun.
    fn lost(&self, migrate: &Migrate) -> Option<Next> {
        let absent_for = self.history.elapsed.saturating_sub(self.history.absent_since.unwrap_or(self.history.elapsed));
        if absent_for < LOST_FOR_GOOD {
            return Some(wait(Phase::Migrating, Duration::from_secs(1)));
        }
        (migrate.at.is_some() && self.history.migrates >= FEW_TRIES).then(|| {
            let name = self.spec.full_name();
            fail(
                Problem::new(
                    Code::MigrateFailed,
                    format!("{FEW_TRIES} calls to migrate {name} broke off, and Gitea shows nothing of that name"),
                )
                .retryable(true),
            )
        })
    }

    /// A pause before the next of a few tries; `None`: it is time, or they are used up.
    pub(super) fn few_tries(&self, migrate: &Migrate) -> Option<Next> {
        let since = self.history.elapsed.saturating_sub(migrate.at.unwrap_or_default());
        (!self.tries_are_used_up() && since < BETWEEN_TRIES)
            .then(|| wait(Phase::Migrating, BETWEEN_TRIES.saturating_sub(since)))
    }

    pub(super) fn tries_are_used_up(&self) -> bool {
        let since_the_first = self.history.elapsed.saturating_sub(self.history.first_migrate.unwrap_or_default());
        self.history.migrates >= FEW_TRIES || since_the_first >= FEW_TRIES_WITHIN
    }

    fn create_organisation(&self) -> Next {
        let owner = self.spec.owner.as_str();
        match &self.history.organisation {
            None => Next::Act(Action::CreateOrganisation),
            // the token may create nothing and see nothing of organisations: migrate decides
            Some(CreateOrganisationAnswer::Refused(Refusal::Scope { .. })) if self.history.migrate.is_none() => {
                self.migrate()
            }
            Some(answer) => match failing::organisation(answer, owner) {
                Some(problem) => fail(problem),
                None if self.history.organisations >= FEW_TRIES => fail(match answer {
                    CreateOrganisationAnswer::Unknown(trouble) => failing::gitea_trouble(trouble),
                    CreateOrganisationAnswer::Created
                    | CreateOrganisationAnswer::Taken
                    | CreateOrganisationAnswer::NotAllowed
                    | CreateOrganisationAnswer::NameRefused { .. }
                    | CreateOrganisationAnswer::Refused(_) => Problem::new(
                        Code::OwnerUnavailable,
                        format!("the organisation {owner} was made {FEW_TRIES} times, and Gitea does not show it"),
                    ),
                }),
                None => {
                    let since = self.history.organisation_at.map_or(BETWEEN_TRIES, |at| self.history.since(at));
                    if since < BETWEEN_TRIES {
                        return wait(Phase::Migrating, BETWEEN_TRIES.saturating_sub(since));
                    }
                    Next::Act(Action::CreateOrganisation)
                }
            },
        }
    }
}
