//! Kubernetes: whose token it is that a caller presents, and the platform's status `ConfigMap`.
//!
//! Owns how the API server is asked, with our own service account's token, which is read at each use. Reports, decides
//! nothing about mirrors, and never logs a token. The service works without it: nothing here is waited for by a run, but
//! the look before a mirror is made where the past-pivot guard is configured.

mod api_server;
mod review;
mod status;

pub use api_server::ApiServer;
pub use review::{Callers, Reviews};
pub use status::{Observer, StatusConfigMap};
