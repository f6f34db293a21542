//! Kubernetes: authentication of callers, and the platform's status `ConfigMap`.
//!
//! Owns the requests to the API server, with the token of cutover-api's service account, which is read at each use. Decides
//! nothing about mirrors, and never logs a token. A run waits for it only before a mirror is created, and only with the
//! past-pivot guard.

mod api_server;
mod review;
mod status;

pub use api_server::ApiServer;
pub use review::{KubernetesUsers, Reviews};
pub use status::{StatusConfigMap, WriteObserver};
