//! The flags of `serve` and `check-config`, and their environment variables.
//!
//! Owns their names, defaults and help texts, which people type into charts and scripts. Judges no value:
//! [`load`](super::load) does, so that a wrong flag is reported together with the faults of the file.

use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};

const LISTEN: &str = "0.0.0.0:8080";
const STATE_DIR: &str = "./cutover-state";

/// The flags of the service.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// YAML file with the configuration. Without it, the environment configures one mirror (`GITEA_INTERNAL_URL`,
    /// `UPSTREAM_REPO_URL` and so on).
    #[arg(long, env = "CUTOVER_CONFIG", value_name = "FILE", value_parser = path_or_empty())]
    pub config: Option<PathBuf>,

    /// Address and port to listen on, such as `127.0.0.1:8080` or `[::]:8080`.
    #[arg(long, env = "CUTOVER_LISTEN", value_name = "ADDRESS", default_value = LISTEN)]
    pub listen: String,

    /// Directory of the journal; it is created if it does not exist.
    #[arg(long, env = "CUTOVER_STATE_DIR", value_name = "DIR", default_value = STATE_DIR)]
    pub state_dir: PathBuf,

    /// How callers authenticate: with bearer tokens, or not at all.
    #[arg(long, env = "CUTOVER_AUTH", value_name = "HOW", default_value = "tokens")]
    pub auth: AuthMode,

    /// Allows `--auth none` on a non-loopback address: every caller that reaches it is then an operator.
    #[arg(long)]
    pub allow_anonymous_remote: bool,

    /// File with the bearer tokens, one caller per line: `role name token` or `role name sha256:HEX`. The role is viewer or
    /// operator. The file is read again at each use. It is optional if the configuration has `kubernetes.operators`.
    #[arg(long, env = "CUTOVER_TOKENS_FILE", value_name = "FILE", value_parser = path_or_empty())]
    pub tokens_file: Option<PathBuf>,

    /// Form of the log; by default text on a terminal, else JSON. `CUTOVER_LOG` sets the level, such as `debug` or
    /// `info,cutover_api::gitea=debug`.
    #[arg(long, env = "CUTOVER_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

impl Default for Options {
    /// The options without any flag or variable.
    fn default() -> Self {
        Self {
            config: None,
            listen: LISTEN.into(),
            state_dir: STATE_DIR.into(),
            auth: AuthMode::Tokens,
            allow_anonymous_remote: false,
            tokens_file: None,
            log_format: None,
        }
    }
}

impl Options {
    /// `--config`. An empty variable counts as not set, since charts render such.
    pub(super) fn config(&self) -> Option<&Path> {
        self.config.as_deref().filter(|path| !path.as_os_str().is_empty())
    }

    /// `--tokens-file`.
    pub(super) fn tokens_file(&self) -> Option<&Path> {
        self.tokens_file.as_deref().filter(|path| !path.as_os_str().is_empty())
    }
}

/// Takes an empty path as well, which clap's own parser refuses: charts render empty variables.
pub fn path_or_empty() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Examples for the help of the commands that take [`Options`].
pub const EXAMPLES: &str = "\
Examples:
  Try it on this machine, with one mirror from the environment:
    GITEA_INTERNAL_URL=http://127.0.0.1:3000 GITEA_TOKEN_FILE=./token \\
      cutover-api serve --listen 127.0.0.1:8080 --auth none

  Run it with a configuration file, as in a cluster:
    cutover-api serve --config /etc/cutover-api/config.yaml \\
      --tokens-file /run/secrets/cutover/tokens

  Check a configuration:
    cutover-api check-config --config config.yaml --tokens-file tokens";

/// How callers authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// With the bearer tokens of --tokens-file.
    Tokens,
    /// Not at all: every caller is an operator.
    None,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Plain lines.
    Text,
    /// One JSON object per line.
    Json,
}
