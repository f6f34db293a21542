//! The commands, their flags and help texts.
//!
//! Owns what people type. The flags of `serve` are `config`'s.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::exit::TABLE;
use crate::config::{EXAMPLES, Options, path_or_empty};
use crate::domain::duration::GoDuration;
use crate::domain::names::MirrorName;
use crate::domain::refs::Digest;
use crate::domain::spec::OnLegacy;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "cutover-api",
    version,
    about = "Keeps a proven copy of an upstream git repository in a cluster's own Gitea, and says so over HTTP.",
    after_help = TABLE,
    disable_help_subcommand = true
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// A command.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Runs the service.
    #[command(after_help = EXAMPLES)]
    Serve(Options),

    /// Commands that call a running service.
    #[command(flatten)]
    Client(ClientCommand),

    /// Checks the configuration that `serve` would use, and prints it with its defaults, or its faults.
    #[command(after_help = EXAMPLES)]
    CheckConfig(Options),

    /// Prints the OpenAPI specification of the service.
    #[command(after_help = "Examples:\n  cutover-api openapi > openapi.json")]
    Openapi,

    /// Prints completions for a shell.
    #[command(after_help = "Examples:\n  cutover-api completions bash > /etc/bash_completion.d/cutover-api")]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// A command that calls a running service.
#[derive(Clone, Debug, Subcommand)]
pub enum ClientCommand {
    /// Starts a run that brings mirrors in sync; with --wait, follows it to its end.
    #[command(after_help = MIRROR_HELP)]
    Mirror(MirrorArgs),

    /// Shows the status and the freshness of each mirror.
    #[command(after_help = STATUS_HELP)]
    Status(StatusArgs),

    /// Checks whether the service is alive, as a probe of a container.
    #[command(after_help = HEALTHCHECK_HELP)]
    Healthcheck(HealthcheckArgs),
}

const MIRROR_HELP: &str = "\
Examples:
  Start a run on all mirrors:
    cutover-api mirror

  Run one mirror and wait for the result, at most half an hour:
    cutover-api mirror openova --wait --timeout 30m

  In a pipeline, while Gitea and cutover-api may still be starting:
    cutover-api mirror --wait --keep-trying --timeout 45m

  Show what a run would do:
    cutover-api mirror --dry-run

  In a script:
    cutover-api mirror --wait --json | jq .mirrors[0].evidence

Exit codes: 0 proven (without --wait: accepted), 1 failed or canceled, 2 usage, 3 unverified,
4 not reachable, 5 refused, 6 timed out.";

const STATUS_HELP: &str = "\
Examples:
  cutover-api status
  cutover-api status openova --watch
  cutover-api status --json | jq .mirrors[].freshness

Exit codes: 0 shown, 2 usage, 4 not reachable, 5 refused.";

const HEALTHCHECK_HELP: &str = "\
Examples:
  In an image:
    HEALTHCHECK CMD [\"cutover-api\", \"healthcheck\"]

  Readiness, from another pod:
    cutover-api healthcheck --url http://cutover-api.catalyst.svc:8080/readyz

Exit codes: 0 alive, 2 usage, 4 not reachable or not ready.";

/// The service to call, and the token for it.
#[derive(Args, Clone, Debug)]
pub struct ServiceArgs {
    /// Address of the service; it may have a path prefix.
    #[arg(long, env = "CUTOVER_URL", hide_env_values = true, value_name = "URL", default_value = DEFAULT_URL)]
    pub url: String,

    /// File with the bearer token. Without it, no token is sent: enough for a service with `--auth none`.
    #[arg(long, env = "CUTOVER_TOKEN_FILE", value_name = "FILE", value_parser = path_or_empty())]
    pub token_file: Option<PathBuf>,
}

/// The service's default address on this machine.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// `mirror`.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub struct MirrorArgs {
    /// Names of the mirrors; by default all.
    #[arg(value_name = "NAME", value_parser = mirror_name)]
    pub names: Vec<MirrorName>,

    /// Follow the run to its end; the exit code is its result.
    #[arg(long)]
    pub wait: bool,

    /// Give up after this time, such as 30m or 1h30m; the run itself continues.
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    pub timeout: Option<GoDuration>,

    /// Retry, with pauses, while the service is not reachable, and when the run failed or is unverified for a retryable
    /// reason; until --timeout, or without it forever.
    #[arg(long)]
    pub keep_trying: bool,

    /// Accept an unverified result: exit code 0 instead of 3. For a cluster that cannot reach upstream.
    #[arg(long)]
    pub accept_unverified: bool,

    /// Always end with exit code 0, and log the real one. For an install hook that must not fail the install.
    #[arg(long)]
    pub exit_zero: bool,

    /// Prefix each line with this word in brackets.
    #[arg(long, value_name = "WORD", value_parser = label, conflicts_with = "json")]
    pub label: Option<String>,

    /// Show which calls would be made and why, without making them.
    #[arg(long)]
    pub dry_run: bool,

    /// What to do with a regular repository that has the mirror's name; by default as configured.
    #[arg(long, value_name = "WHAT", value_parser = on_legacy())]
    pub on_legacy: Option<OnLegacy>,

    /// Accept a shrunken list of upstream refs, by the `upstreamDigest` of its problem.
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    pub accept_upstream: Option<Digest>,

    /// Print the run as JSON on stdout, and nothing else there.
    #[arg(long)]
    pub json: bool,

    /// The service.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// `status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// Name of the mirror; by default all.
    #[arg(value_name = "NAME", value_parser = mirror_name)]
    pub name: Option<MirrorName>,

    /// Print the service's answer as JSON.
    #[arg(long)]
    pub json: bool,

    /// Show the status again after each change, until interrupted; with --json, one line per change.
    #[arg(long)]
    pub watch: bool,

    /// The service.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// `healthcheck`.
#[derive(Args, Clone, Debug)]
pub struct HealthcheckArgs {
    /// Address of the service; one that ends in /healthz or /readyz is called as it is.
    #[arg(long, env = "CUTOVER_URL", hide_env_values = true, value_name = "URL", default_value = DEFAULT_URL)]
    pub url: String,
}

fn mirror_name(text: &str) -> Result<MirrorName, String> {
    MirrorName::parse(text).map_err(|bad| bad.to_string())
}

fn label(text: &str) -> Result<String, &'static str> {
    let plain = (1..=63).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if plain { Ok(text.to_owned()) } else { Err("a label has at most 63 letters, digits and -_.") }
}

/// The values are in kebab case, like all words of the command line.
fn on_legacy() -> impl TypedValueParser<Value = OnLegacy> {
    PossibleValuesParser::new([
        PossibleValue::new("refuse").help("the run fails and leaves it unchanged"),
        PossibleValue::new("rename-aside").help("it is renamed, and the mirror is created in its place"),
    ])
    .map(|word| if word == "rename-aside" { OnLegacy::RenameAside } else { OnLegacy::Refuse })
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text).ok_or_else(|| "a digest is sha256: and 64 hexadecimal digits in lower case".to_owned())
}

fn timeout(text: &str) -> Result<GoDuration, String> {
    match GoDuration::parse(text) {
        Ok(duration) if duration > GoDuration::ZERO => Ok(duration),
        Ok(_) => Err("a timeout is longer than 0s".to_owned()),
        Err(bad) => Err(bad.to_string()),
    }
}
