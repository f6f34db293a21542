//! The flags of `serve` and `check-config`, and the environment variables behind them.
//!
//! Owns their names and help texts, which people type into charts and scripts. Judges nothing: [`load`](super::load)
//! does, so that what is wrong here is reported together with what is wrong in the file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, ValueEnum};

/// What is given on the command line.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Reads the configuration from this YAML file. Without it, one mirror is taken from the environment
    /// (`GITEA_INTERNAL_URL`, `UPSTREAM_REPO_URL` and so on).
    #[arg(long, env = "CUTOVER_CONFIG", value_name = "FILE", value_parser = OsStringValueParser::new().map(path))]
    pub config: Option<PathBuf>,

    /// Listens on this address and port, such as `127.0.0.1:8080` or `[::]:8080`.
    #[arg(long, env = "CUTOVER_LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub listen: String,

    /// Keeps the journal in this directory, which is made if it is not there.
    #[arg(long, env = "CUTOVER_STATE_DIR", value_name = "DIR", default_value = "./cutover-state")]
    pub state_dir: PathBuf,

    /// How callers are recognised: by bearer tokens from a file, or not at all.
    #[arg(long, env = "CUTOVER_AUTH", value_name = "HOW", default_value = "tokens")]
    pub auth: AuthMode,

    /// Lets everybody who reaches the address ask for runs: needed for `--auth none` on an address that is not
    /// loopback.
    #[arg(long)]
    pub allow_anonymous_remote: bool,

    /// Takes bearer tokens from this file: a line each, `role name token` or `role name sha256:HEX`, where the role is
    /// viewer or operator. It is read again at each use. With `kubernetes.operators` in the configuration it may be
    /// left out.
    #[arg(long, env = "CUTOVER_TOKENS_FILE", value_name = "FILE", value_parser = OsStringValueParser::new().map(path))]
    pub tokens_file: Option<PathBuf>,

    /// Writes the log in this form; without it, text on a terminal and JSON elsewhere. `CUTOVER_LOG` sets the level,
    /// such as `debug` or `info,cutover_api::gitea=debug`.
    #[arg(long, env = "CUTOVER_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

impl Default for Options {
    /// What stands without a flag and without a variable.
    fn default() -> Self {
        Self {
            config: None,
            listen: "0.0.0.0:8080".into(),
            state_dir: "./cutover-state".into(),
            auth: AuthMode::Tokens,
            allow_anonymous_remote: false,
            tokens_file: None,
            log_format: None,
        }
    }
}

impl Options {
    /// `--config`. A variable that is set to nothing counts as not set: charts render such.
    pub(super) fn config(&self) -> Option<&Path> {
        self.config.as_deref().filter(|path| !path.as_os_str().is_empty())
    }

    /// `--tokens-file`.
    pub(super) fn tokens_file(&self) -> Option<&Path> {
        self.tokens_file.as_deref().filter(|path| !path.as_os_str().is_empty())
    }
}

fn path(text: OsString) -> PathBuf {
    PathBuf::from(text)
}

/// Examples for the help of the commands that take [`Options`].
pub const EXAMPLES: &str = "\
Examples:
  One mirror from the environment, for a try on this machine:
    GITEA_INTERNAL_URL=http://127.0.0.1:3000 GITEA_TOKEN_FILE=./token \\
      cutover-api serve --listen 127.0.0.1:8080 --auth none

  From a file, as in a cluster:
    cutover-api serve --config /etc/cutover-api/config.yaml \\
      --tokens-file /run/secrets/cutover/tokens

  What a configuration means, or everything that is wrong with it:
    cutover-api check-config --config config.yaml --tokens-file tokens";

/// How callers are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// By the bearer tokens of --tokens-file.
    Tokens,
    /// Not at all: whoever reaches the address is an operator.
    None,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for a person.
    Text,
    /// A JSON object a line.
    Json,
}
