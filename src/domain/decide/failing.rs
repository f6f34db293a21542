//! The words of the problems that the table ends or waits with.
//!
//! Owns the mapping from what Gitea or upstream said to a [`Problem`]. Decides nothing.

use std::time::Duration;

use jiff::{Timestamp, Unit};

use crate::domain::answer::{
    CreateOrganisationAnswer, MigrateAnswer, Oversize, PatchAnswer, Refusal, SyncAnswer, Trouble, TroubleKind,
    UpstreamRefusal,
};
use crate::domain::cause::Side;
use crate::domain::duration::GoDuration;
use crate::domain::problem::{Code, Problem};
use crate::domain::server::Server;
use crate::domain::webhook::Push;

/// Gitea understood who asks and says no.
pub(super) fn refused(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::Unauthenticated { message } => Problem::new(Code::GiteaAuth, format!("Gitea answers 401: {message}")),
        Refusal::Scope { message } => Problem::new(Code::GiteaScope, format!("Gitea answers 403: {message}")),
        Refusal::Forbidden { message } => {
            let problem = Problem::new(Code::GiteaForbidden, format!("Gitea answers 403: {message}"));
            match about_the_account(message) {
                Some(remedy) => problem.with_remedy(remedy),
                None => problem,
            }
        }
    }
}

/// What to do where a 403 is about the token's user and not about a right of it.
fn about_the_account(message: &str) -> Option<&'static str> {
    let says = |words: &str| message.contains(words);
    if says("must change your password") {
        Some("Sign in to Gitea once as the token's user and set the new password that it asks for; then ask again.")
    } else if says("not activated") || says("prohibited from signing in") {
        Some(
            "As Gitea's administrator, activate the token's user and let it sign in (Site Administration, User Accounts); then ask again.",
        )
    } else if says("Only signed in user") {
        Some(
            "This Gitea answers nobody without a credential ([service] REQUIRE_SIGNIN_VIEW): put a token into the file that GITEA_TOKEN_FILE (gitea.tokenFile) names.",
        )
    } else {
        None
    }
}

/// No usable answer from Gitea.
pub(super) fn gitea_trouble(trouble: &Trouble) -> Problem {
    let code = match trouble.kind {
        TroubleKind::Dns => Code::GiteaDns,
        TroubleKind::Connect | TroubleKind::Timeout | TroubleKind::Cut => Code::GiteaUnreachable,
        TroubleKind::AuthTimeout => Code::GiteaAuthTimeout,
        TroubleKind::Tls => Code::GiteaTls,
        TroubleKind::Foreign | TroubleKind::TooLarge => Code::NotGitea,
        TroubleKind::ServerError | TroubleKind::Busy | TroubleKind::NotReady => Code::GiteaError,
        TroubleKind::Credential => Code::GiteaCredential,
    };
    let problem = because(trouble, Side::Gitea, Problem::new(code, format!("Gitea: {}", trouble.detail)));
    if trouble.kind == TroubleKind::NotReady { problem.with_remedy(NOT_READY) } else { problem }
}

/// What to do about an error that is not Gitea's own.
const NOT_READY: &str = "Check that Gitea runs and that its installation is finished, that the proxy or ingress before it leads to it, and GITEA_INTERNAL_URL (gitea.url), path prefix included; then ask again.";

/// The same, where nothing else was seen for this long and Gitea has never answered.
pub(super) fn gitea_certainly(trouble: &Trouble, unbroken: Duration) -> Problem {
    let (problem, unbroken) = (gitea_trouble(trouble), GoDuration::new(Duration::from_secs(unbroken.as_secs())));
    Problem::new(problem.code, format!("{}, and nothing else for {unbroken}", problem.detail))
}

/// Upstream does not answer us.
pub(super) fn upstream_unreachable(trouble: &Trouble) -> Problem {
    let code = if trouble.kind == TroubleKind::Tls { Code::UpstreamTls } else { Code::UpstreamUnreachable };
    because(trouble, Side::Upstream, Problem::new(code, &trouble.detail))
}

/// The remedy of the cause, where it is known.
fn because(trouble: &Trouble, side: Side, problem: Problem) -> Problem {
    match trouble.cause {
        Some(cause) => problem.because(cause.label()).with_remedy(&cause.remedy(side)),
        None => problem,
    }
}

/// Upstream's list is git's, and larger than what is held.
pub(super) fn oversize_upstream(oversize: &Oversize) -> Problem {
    match oversize {
        Oversize::List(fitted) => too_many_refs("upstream", *fitted).because("upstream"),
        Oversize::Name(name) => {
            suspect(NAME_TOO_LONG, &format!("upstream lists a ref whose name no forge holds: {name}"))
                .with_remedy(SHORTER_NAME)
                .retryable(false)
        }
    }
}

/// Gitea's list is git's, and larger than what is held.
pub(super) fn oversize_in_gitea(oversize: &Oversize) -> Problem {
    match oversize {
        Oversize::List(fitted) => too_many_refs("Gitea", *fitted).because("gitea"),
        Oversize::Name(name) => {
            let detail = format!("Gitea lists a ref whose name no forge holds: {name}");
            Problem::new(Code::GiteaGitBroken, detail).because(NAME_TOO_LONG).with_remedy(SHORTER_NAME).retryable(false)
        }
    }
}

fn too_many_refs(side: &str, fitted: usize) -> Problem {
    let detail = format!("{side} lists more than {fitted} branches and tags, which is all that limits.refsBytes holds");
    Problem::new(Code::TooManyRefs, detail)
}

const NAME_TOO_LONG: &str = "name-too-long";

const SHORTER_NAME: &str = "Delete the ref that `detail` names, or give it a shorter name: at most 255 bytes between two slashes, and 4,096 in all. Then ask again.";

/// Upstream does not show the repository.
pub(super) fn upstream_refused(why: &UpstreamRefusal, detail: &str) -> Problem {
    let problem = Problem::new(Code::UpstreamRefused, detail);
    match why {
        UpstreamRefusal::Denied => problem,
        UpstreamRefusal::LogIn => problem.because("log-in").with_remedy(
            "Put a credential that upstream accepts into the file that UPSTREAM_TOKEN_FILE (upstream.tokenFile) names: the present one may be missing or expired. If upstream takes no token, choose another address of the repository in UPSTREAM_REPO_URL (upstream.url).",
        ),
        UpstreamRefusal::Redirect { to: Some(to) } => problem.because("redirect").with_remedy(&format!(
            "Set UPSTREAM_REPO_URL (upstream.url) to {to} and restart cutover-api."
        )),
        UpstreamRefusal::Redirect { to: None } => problem.because("redirect").with_remedy(
            "Find out where the repository is: cutover-api follows no redirect. Set UPSTREAM_REPO_URL (upstream.url) to an address that answers `git -c http.followRedirects=false ls-remote URL`, and restart cutover-api. Use the address in `detail` only if you trust that host.",
        ),
        UpstreamRefusal::Withdrawn => problem.because("withdrawn").with_remedy(
            "Ask the owner of the repository, or its forge, why it is closed. Choose another upstream in UPSTREAM_REPO_URL (upstream.url), or set the mirror's mode to `pinned` to keep what Gitea has.",
        ),
    }
}

/// Upstream serves plain files.
pub(super) fn dumb_http() -> Problem {
    Problem::new(
        Code::UpstreamSuspect,
        "Upstream serves the repository as plain files (git's dumb HTTP). Gitea can mirror it, but cutover-api cannot read its refs and so proves nothing",
    )
    .because("dumb-http")
    .retryable(false)
    .with_remedy(
        "Let upstream serve git's smart HTTP (`git http-backend`), or choose another address of the repository in UPSTREAM_REPO_URL (upstream.url). A mirror of plain files has to be made and watched in Gitea itself.",
    )
}

/// Upstream's host has asked to be left alone, by the service and so by Gitea.
pub(super) fn upstream_rests(host: &str, until: Timestamp) -> Problem {
    let until = until.round(Unit::Second).unwrap_or(until);
    let detail =
        format!("upstream's host {host} limits requests and asks for none before {until}: Gitea is not sent there");
    Problem::new(Code::UpstreamUnreachable, detail).because("rate-limit").with_remedy(
        "Ask again after the time in `detail`. Where it happens often, give upstream a credential (UPSTREAM_TOKEN_FILE, upstream.tokenFile): most forges allow more requests with one.",
    )
}

/// Upstream does not show yet what a delivery names.
pub(super) fn lagging(push: &Push) -> Problem {
    let Push { reference, after, .. } = push;
    let detail = format!("A webhook says that {reference} is at {after}; upstream still shows an older object.");
    Problem::new(Code::UpstreamLagging, detail)
}

/// Upstream answers, and nothing may be concluded from it.
pub(super) fn suspect(reason: &str, detail: &str) -> Problem {
    Problem::new(Code::UpstreamSuspect, detail).because(reason)
}

/// `POST /orgs` did not make the organisation. `None`: look again.
pub(super) fn organisation(answer: &CreateOrganisationAnswer, owner: &str) -> Option<Problem> {
    match answer {
        CreateOrganisationAnswer::Created | CreateOrganisationAnswer::Unknown(_) => None,
        CreateOrganisationAnswer::Taken => Some(
            Problem::new(
                Code::OwnerUnavailable,
                format!("Gitea says that the name {owner} is taken, and shows us no organisation of that name"),
            )
            .because("hidden")
            .with_remedy(
                "An organisation that our token is not shown has the name, or a user: add the token's user to the organisation's team Owners in Gitea, or choose another owner (GITEA_ORG, target.owner).",
            ),
        ),
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
        | MigrateAnswer::CloneBrokeOff { .. }
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
        )
        .map(|problem| {
            problem.because("user").with_remedy(
                "Choose an organisation as owner (GITEA_ORG, target.owner), or use a token of that very user in the file that GITEA_TOKEN_FILE (gitea.tokenFile) names: Gitea lets nobody else but its administrators migrate to a user.",
            )
        }),
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
        MigrateAnswer::CloneFailed { message } if message.contains("returned error: 30") => {
            problem(Code::UpstreamRedirects, format!("Gitea answers: {}", gist(message)))
        }
        MigrateAnswer::CloneFailed { message } => {
            problem(Code::MigrateFailed, format!("Gitea answers: {}", gist(message)))
        }
        MigrateAnswer::Other { status, message } => {
            problem(Code::MigrateFailed, format!("Gitea answers {status}: {message}"))
        }
        MigrateAnswer::Refused(refusal) => Some(refused(refusal)),
    }
}

/// The clone broke off each time, for a reason that may pass.
pub(super) fn clone_broke_off(message: &str) -> Problem {
    Problem::new(Code::MigrateFailed, format!("Gitea answers: {}", gist(message))).retryable(true)
}

/// git's own words of a failed clone: what it prints before them is how far it got, and may be long.
fn gist(message: &str) -> String {
    const LONGEST: usize = 260;
    match message.find("fatal:") {
        Some(at) if message.chars().count() > LONGEST => {
            let kind = message.split(':').next().filter(|kind| kind.len() < 40).unwrap_or_default();
            format!("{kind}: … {}", &message[at..])
        }
        Some(_) | None => message.to_owned(),
    }
}

/// A server that would make a mirror and never sync it.
pub(super) fn credential_forgotten() -> Problem {
    Problem::new(
        Code::UpstreamCredentialForgotten,
        "upstream needs a credential, and this release of Forgejo uses it for the first clone only",
    )
}

/// Gitea's syncs fail, though upstream takes our credential.
pub(super) fn credential_stale(server: Option<Server>, detail: &str) -> Problem {
    let problem = Problem::new(Code::UpstreamCredentialStale, detail);
    match server {
        Some(server) if server.forgets_credentials() => Problem::new(Code::UpstreamCredentialForgotten, detail),
        Some(server) if server.takes_a_new_credential() => problem.with_remedy(
            "Give Gitea the credential anew: PATCH /api/v1/repos/{owner}/{repo} with mirror_token (or mirror_username and mirror_password), or in its web interface (Settings, Mirror Settings).",
        ),
        Some(_) | None => problem,
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
        PatchAnswer::Done
        | PatchAnswer::ServerError
        | PatchAnswer::NotAMirror
        | PatchAnswer::Gone
        | PatchAnswer::Unknown(_) => None,
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

/// Only some servers make a mirror a regular repository through their API.
pub(super) fn convert_not_offered() -> Problem {
    Problem::new(
        Code::ConvertNotOffered,
        "the mirror is severed, and this server's API does not make a mirror a regular repository: Forgejo's does, since 13",
    )
}

/// A rename was refused. `None`: it may have been done, or is worth another look.
pub(super) fn rename(answer: &PatchAnswer, name: &str) -> Option<Problem> {
    match answer {
        PatchAnswer::Done
        | PatchAnswer::ServerError
        | PatchAnswer::NotAMirror
        | PatchAnswer::Gone
        | PatchAnswer::Unknown(_) => None,
        PatchAnswer::BelowMinimum { .. } => {
            Some(Problem::new(Code::NameRefused, format!("Gitea does not rename {name}")))
        }
        PatchAnswer::Invalid { message } => {
            Some(Problem::new(Code::NameRefused, format!("Gitea does not rename {name}: {message}")))
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

/// The platform runs from this very Gitea already.
pub(super) fn past_the_pivot(name: &str, because: &str) -> Problem {
    Problem::new(Code::PastPivot, format!("{name} is left as it is: {because} in the platform's status"))
}

/// There is nothing that says where the platform stands.
pub(super) fn no_platform_status(name: &str) -> Problem {
    let detail = format!("{name} is left as it is: there is no status that tells where the platform stands");
    Problem::new(Code::PivotUnknown, detail).because("absent").retryable(false)
}

/// It cannot be read.
pub(super) fn platform_status_unreadable(name: &str, why: &str) -> Problem {
    let detail = format!("{name} is left as it is: the platform's status cannot be read: {why}");
    Problem::new(Code::PivotUnknown, detail).because("unreadable")
}
