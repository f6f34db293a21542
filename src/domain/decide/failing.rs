//! The words of the problems that the table ends or waits with.
//!
//! Owns the mapping from what Gitea or upstream said to a [`Problem`]. Decides nothing.

use crate::domain::answer::{
    CreateOrganisationAnswer, MigrateAnswer, PatchAnswer, Refusal, SyncAnswer, Trouble, TroubleKind,
};
use crate::domain::problem::{Code, Problem};

/// Gitea understood who asks and says no.
pub(super) fn refused(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::Unauthenticated { message } => Problem::new(Code::GiteaAuth, format!("Gitea answers 401: {message}")),
        Refusal::Scope { message } => Problem::new(Code::GiteaScope, format!("Gitea answers 403: {message}")),
        Refusal::Forbidden { message } => Problem::new(Code::GiteaForbidden, format!("Gitea answers 403: {message}")),
    }
}

/// No usable answer from Gitea.
pub(super) fn gitea_trouble(trouble: &Trouble) -> Problem {
    let code = match trouble.kind {
        TroubleKind::Dns => Code::GiteaDns,
        TroubleKind::Connect | TroubleKind::Timeout | TroubleKind::Cut => Code::GiteaUnreachable,
        TroubleKind::Tls => Code::GiteaTls,
        TroubleKind::Foreign | TroubleKind::TooLarge => Code::NotGitea,
        TroubleKind::ServerError | TroubleKind::Busy => Code::GiteaError,
        TroubleKind::Credential => Code::GiteaCredential,
    };
    Problem::new(code, format!("Gitea: {}", trouble.detail))
}

/// Upstream does not answer us.
pub(super) fn upstream_unreachable(trouble: &Trouble) -> Problem {
    Problem::new(Code::UpstreamUnreachable, format!("upstream: {}", trouble.detail))
}

/// Upstream answers, and nothing may be concluded from it.
pub(super) fn suspect(reason: &str, detail: &str) -> Problem {
    Problem::new(Code::UpstreamSuspect, detail).because(reason)
}

/// `POST /orgs` did not make the organisation. `None`: look again.
pub(super) fn organisation(answer: &CreateOrganisationAnswer, owner: &str) -> Option<Problem> {
    match answer {
        CreateOrganisationAnswer::Created | CreateOrganisationAnswer::Unknown(_) => None,
        CreateOrganisationAnswer::Taken => Some(Problem::new(
            Code::OwnerUnavailable,
            format!("Gitea says that the name {owner} is taken, and shows us no organisation of that name"),
        )),
        CreateOrganisationAnswer::NotAllowed => Some(Problem::new(
            Code::OrganisationNotAllowed,
            format!("the organisation {owner} does not exist, and Gitea does not let our user create it"),
        )),
        CreateOrganisationAnswer::NameRefused { message } => {
            Some(Problem::new(Code::NameRefused, format!("Gitea does not take the organisation {owner}: {message}")))
        }
        CreateOrganisationAnswer::Refused(refusal) => Some(refused(refusal)),
    }
}

/// A migrate was refused before or after its row was made. `None`: nobody knows, or it may be a passing matter.
pub(super) fn migrate(answer: &MigrateAnswer, name: &str) -> Option<Problem> {
    let problem = |code, detail: String| Some(Problem::new(code, detail));
    match answer {
        MigrateAnswer::Created
        | MigrateAnswer::Exists
        | MigrateAnswer::OwnerMissing
        | MigrateAnswer::HostNotAllowed
        | MigrateAnswer::ServerError
        | MigrateAnswer::Unknown(_) => None,
        MigrateAnswer::FilesExist => {
            problem(Code::RepositoryFilesExist, format!("Gitea has files for {name}, and no repository"))
        }
        MigrateAnswer::NotOwner => {
            problem(Code::NotOrganisationOwner, format!("our user is no owner of the organisation of {name}"))
        }
        MigrateAnswer::NotOrganisation => problem(
            Code::OwnerUnavailable,
            format!("the owner of {name} is a user other than ours, not an organisation"),
        ),
        MigrateAnswer::MirrorsDisabled => {
            problem(Code::MirrorsDisabled, "Gitea's administrator has disabled new pull mirrors".into())
        }
        MigrateAnswer::MigrationsDisabled => {
            problem(Code::MigrationsDisabled, "Gitea's administrator has disabled migrations".into())
        }
        MigrateAnswer::UrlRefused { message } => problem(Code::UpstreamUrlRefused, format!("Gitea answers: {message}")),
        MigrateAnswer::LimitReached { message } => problem(Code::RepositoryLimit, format!("Gitea answers: {message}")),
        MigrateAnswer::NameRefused { message } => {
            problem(Code::NameRefused, format!("Gitea does not take {name}: {message}"))
        }
        MigrateAnswer::CloneFailed { message } => problem(Code::MigrateFailed, format!("Gitea answers: {message}")),
        MigrateAnswer::Other { status, message } => {
            problem(Code::MigrateFailed, format!("Gitea answers {status}: {message}"))
        }
        MigrateAnswer::Refused(refusal) => Some(refused(refusal)),
    }
}

/// Gitea did not clone and did not say why.
pub(super) fn migrate_server_error(name: &str) -> Problem {
    Problem::new(
        Code::MigrateFailed,
        format!(
            "Gitea answered the migration of {name} with a 500 and no word: mostly its clone took longer than \
             [git.timeout] MIGRATE, or our interval is below [mirror] MIN_INTERVAL"
        ),
    )
}

/// A PATCH was refused. `None`: it may have been done, or is worth another look.
pub(super) fn patch(answer: &PatchAnswer, interval: &str) -> Option<Problem> {
    match answer {
        PatchAnswer::Done | PatchAnswer::ServerError | PatchAnswer::Gone | PatchAnswer::Unknown(_) => None,
        PatchAnswer::BelowMinimum { minimum } => {
            let minimum = minimum.map_or_else(|| "which it does not name".to_owned(), |minimum| minimum.to_string());
            Some(Problem::new(
                Code::IntervalTooShort,
                format!("the interval {interval} is below Gitea's minimum, {minimum}"),
            ))
        }
        PatchAnswer::Invalid { message } => {
            Some(Problem::new(Code::SettingsRefused, format!("Gitea answers 422: {message}")))
        }
        PatchAnswer::Refused(refusal) => Some(refused(refusal)),
    }
}

/// A sync was refused. `None`: it was queued, or is worth another look.
pub(super) fn sync(answer: &SyncAnswer, name: &str) -> Option<Problem> {
    match answer {
        SyncAnswer::Queued | SyncAnswer::Gone | SyncAnswer::NotAMirror | SyncAnswer::Unknown(_) => None,
        SyncAnswer::MirrorsDisabled => {
            Some(Problem::new(Code::MirrorsDisabled, "Gitea answers that its mirror feature is disabled"))
        }
        SyncAnswer::Archived => Some(archived(name)),
        SyncAnswer::LimitReached { message } => {
            Some(Problem::new(Code::RepositoryLimit, format!("Gitea answers: {message}")))
        }
        SyncAnswer::Refused(refusal) => Some(refused(refusal)),
    }
}

/// The repository is read-only for good.
pub(super) fn archived(name: &str) -> Problem {
    Problem::new(Code::Archived, format!("{name} is archived in Gitea, which then refuses to sync it"))
}
