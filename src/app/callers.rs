//! Authentication of callers: by the tokens file first, then by Kubernetes where that is configured.
//!
//! Owns the order. Holds no token and knows no list.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::api::{Access, Authenticator};
use crate::clock::Clock;
use crate::config::{AuthConfig, Config, KubernetesConfig, TokensFile};
use crate::domain::access::{Principal, Stranger};
use crate::kube::{self, ApiServer, Reviews};
use crate::transport::Transport;

/// How callers are authenticated.
pub(super) fn access(config: &Config, transport: &Arc<dyn Transport>, clock: &Arc<dyn Clock>) -> Access {
    let AuthConfig::Tokens(file) = &config.auth else { return Access::Anonymous };
    let kubernetes = config.kubernetes.as_ref().filter(|kubernetes| kubernetes.lists_users());
    let reviews = kubernetes.map(|kubernetes| {
        let callers = kube::KubernetesUsers {
            audiences: kubernetes.audiences.clone(),
            operators: kubernetes.operators.clone(),
            viewers: kubernetes.viewers.clone(),
        };
        Reviews::new(api_server(kubernetes, transport), callers, Arc::clone(clock))
    });
    Access::Tokens(Arc::new(CallerAuthenticator { file: file.clone(), reviews }))
}

/// The API server of a configuration.
pub(super) fn api_server(kubernetes: &KubernetesConfig, transport: &Arc<dyn Transport>) -> ApiServer {
    ApiServer::new(kubernetes.api_server.clone(), Arc::clone(&kubernetes.credential), Arc::clone(transport))
}

/// The file is read anew each time.
#[derive(Debug)]
struct CallerAuthenticator {
    file: Option<Arc<TokensFile>>,
    reviews: Option<Reviews>,
}

impl CallerAuthenticator {
    fn in_the_file(&self, presented: &str) -> Result<Principal, Stranger> {
        match self.file.as_deref().map(|file| file.authenticate(presented)) {
            Some(Ok(Some(principal))) => Ok(principal),
            Some(Ok(None)) | None => Err(Stranger::Unknown),
            Some(Err(error)) => Err(Stranger::Unreadable(error.to_string())),
        }
    }

    /// Only a token that the file certainly does not list is sent to Kubernetes.
    async fn recognise(&self, presented: &str) -> Result<Principal, Stranger> {
        match (self.in_the_file(presented), &self.reviews) {
            (Err(Stranger::Unknown), Some(reviews)) => reviews.authenticate(presented).await,
            (known, _) => known,
        }
    }
}

impl Authenticator for CallerAuthenticator {
    fn ready(&self) -> Result<(), String> {
        self.file.as_deref().map_or(Ok(()), TokensFile::ready).map_err(|error| error.to_string())
    }

    fn authenticate<'a>(&'a self, presented: &'a str) -> BoxFuture<'a, Result<Principal, Stranger>> {
        Box::pin(self.recognise(presented))
    }
}
