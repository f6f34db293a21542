//! The command line: commands, flags and their help.
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

/// What is asked for.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Runs the service.
    #[command(after_help = EXAMPLES)]
    Serve(Options),

    /// Commands that ask a running service.
    #[command(flatten)]
    Client(ClientCommand),

    /// Reads the configuration that `serve` would take, and prints what it means or everything that is wrong with it.
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

/// A command that asks a running service.
#[derive(Clone, Debug, Subcommand)]
pub enum ClientCommand {
    /// Asks for a run that brings mirrors in sync, and follows it to its end with --wait.
    #[command(after_help = MIRROR_HELP)]
    Mirror(MirrorArgs),

    /// Shows how far each mirror is from its upstream.
    #[command(after_help = STATUS_HELP)]
    Status(StatusArgs),

    /// Asks whether the service is alive: a probe for a container.
    #[command(after_help = HEALTHCHECK_HELP)]
    Healthcheck(HealthcheckArgs),
}

const MIRROR_HELP: &str = "\
Examples:
  Ask for all mirrors and go on:
    cutover-api mirror

  Ask for one and see how it ends, within half an hour:
    cutover-api mirror openova --wait --timeout 30m

  In a pipeline, while Gitea and the service may still be starting:
    cutover-api mirror --wait --keep-trying --timeout 45m

  What it would do, without doing it:
    cutover-api mirror --dry-run

  For a program:
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

  Whether it can serve, asked from elsewhere:
    cutover-api healthcheck --url http://cutover-api.catalyst.svc:8080/readyz

Exit codes: 0 alive, 2 usage, 4 not reachable or not well.";

/// Which service is asked, and as whom.
#[derive(Args, Clone, Debug)]
pub struct ServiceArgs {
    /// The service's address; it may have a path prefix.
    #[arg(long, env = "CUTOVER_URL", hide_env_values = true, value_name = "URL", default_value = DEFAULT_URL)]
    pub url: String,

    /// Takes the bearer token from this file. Without it, none is sent: enough for a service with `--auth none`.
    #[arg(long, env = "CUTOVER_TOKEN_FILE", value_name = "FILE", value_parser = path_or_empty())]
    pub token_file: Option<PathBuf>,
}

/// Where the service listens by itself.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// `mirror`.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that people type")]
pub struct MirrorArgs {
    /// The mirrors; all that are configured, if none is named.
    #[arg(value_name = "NAME", value_parser = mirror_name)]
    pub names: Vec<MirrorName>,

    /// Follows the run to its end; the exit code says how it ended.
    #[arg(long)]
    pub wait: bool,

    /// Gives up after this long, such as 30m or 1h30m; the run itself goes on.
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    pub timeout: Option<GoDuration>,

    /// Asks again, with pauses, while the service cannot be reached, and when the run failed or stayed unverified for a
    /// reason that may pass; until --timeout, or without it for ever.
    #[arg(long)]
    pub keep_trying: bool,

    /// Takes an unverified end for a good one: exit code 0 instead of 3. For a cluster without a way to upstream.
    #[arg(long)]
    pub accept_unverified: bool,

    /// Ends with exit code 0 whatever came of it, and says which one it would have been. For a hook of an install, which
    /// must not fail the install.
    #[arg(long)]
    pub exit_zero: bool,

    /// Begins each line with this word in brackets, for a log that is read by it.
    #[arg(long, value_name = "WORD", value_parser = label, conflicts_with = "json")]
    pub label: Option<String>,

    /// Shows which calls would be made and why, and makes none.
    #[arg(long)]
    pub dry_run: bool,

    /// What becomes of a regular repository that has a mirror's name; as configured, unless it is said here.
    #[arg(long, value_name = "WHAT", value_parser = on_legacy())]
    pub on_legacy: Option<OnLegacy>,

    /// Accepts a list of upstream's refs that has shrunk, by the `upstreamDigest` of the problem that says so.
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    pub accept_upstream: Option<Digest>,

    /// Prints the run as JSON on stdout, and nothing else there.
    #[arg(long)]
    pub json: bool,

    /// The service.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// `status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// The mirror; all of them, if none is named.
    #[arg(value_name = "NAME", value_parser = mirror_name)]
    pub name: Option<MirrorName>,

    /// Prints what the service answered, as JSON.
    #[arg(long)]
    pub json: bool,

    /// Shows it again whenever something changes, until it is interrupted; with --json, a line for each change.
    #[arg(long)]
    pub watch: bool,

    /// The service.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// `healthcheck`.
#[derive(Args, Clone, Debug)]
pub struct HealthcheckArgs {
    /// The service's address; one that ends in /healthz or /readyz is asked as it is.
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

/// The words of the command line are in kebab case, as all of its words are.
fn on_legacy() -> impl TypedValueParser<Value = OnLegacy> {
    PossibleValuesParser::new([
        PossibleValue::new("refuse").help("the run fails and leaves it as it is"),
        PossibleValue::new("rename-aside").help("it is renamed, whole, and the mirror made in its place"),
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
