//! Authentication of callers by Kubernetes (`TokenReview`), with a short cache.
//!
//! Owns the lists of users and the cache, which has digests of tokens, never a token. One review serves all callers that
//! present the same token at the same time, and continues when they hang up. Without an answer of the API server, a caller is
//! neither authenticated nor rejected.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use super::api_server::{ApiRequest, ApiServer, ApiServerError, read};
use crate::clock::Clock;
use crate::domain::access::{Principal, Role, Stranger};
use crate::domain::problem::Code;

const PATH: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// How long an accepted token is cached, unless it expires before: a token that was revoked is accepted no longer.
const ACCEPTED: Duration = Duration::from_secs(30);

/// How long a rejected token is cached: the token of a new service account may be accepted a moment later.
const REJECTED: Duration = Duration::from_secs(5);

/// How long a failed review is cached: the API server is not called again before.
const FAILED: Duration = Duration::from_secs(1);

/// The most tokens in the cache; beyond it, the one that expires first is removed.
const CACHED: usize = 1_024;

/// The most reviews at the same time: guessed tokens must not keep the API server busy.
const CONCURRENT: usize = 8;

/// How long a review waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// A person may be waiting, so there is one retry.
const ATTEMPTS: u32 = 2;

/// The users who are callers, and the audiences of their tokens.
#[derive(Clone, Debug, Default)]
pub struct KubernetesUsers {
    /// The audiences that a token must have; empty: the API server itself.
    pub audiences: Vec<String>,
    /// User names of operators, exact.
    pub operators: Vec<String>,
    /// User names of viewers, exact.
    pub viewers: Vec<String>,
}

impl KubernetesUsers {
    fn role_of(&self, name: &str) -> Option<Role> {
        let lists = [(Role::Operator, &self.operators), (Role::Viewer, &self.viewers)];
        lists.into_iter().find(|(_, list)| list.iter().any(|listed| listed == name)).map(|(role, _)| role)
    }
}

type Key = [u8; 32];
type PendingReview = watch::Receiver<Option<Arc<Reviewed>>>;

/// The result of a review.
#[derive(Debug)]
struct Reviewed {
    verdict: Result<Principal, Stranger>,
    /// When it expires.
    until: Instant,
}

/// Authenticates callers by Kubernetes.
pub struct Reviews {
    reviewer: Arc<Reviewer>,
    known: Mutex<HashMap<Key, PendingReview>>,
}

/// Reviews one token at a time, in a task of its own.
struct Reviewer {
    api_server: ApiServer,
    users: KubernetesUsers,
    clock: Arc<dyn Clock>,
    turns: Semaphore,
}

impl fmt::Debug for Reviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reviews").field("users", &self.reviewer.users).finish_non_exhaustive()
    }
}

impl Reviews {
    /// Reviews for these users.
    #[must_use]
    pub fn new(api_server: ApiServer, users: KubernetesUsers, clock: Arc<dyn Clock>) -> Self {
        let reviewer = Reviewer { api_server, users, clock, turns: Semaphore::new(CONCURRENT) };
        Self { reviewer: Arc::new(reviewer), known: Mutex::default() }
    }

    /// The caller with this token.
    ///
    /// # Errors
    /// Why the token is not accepted.
    pub async fn authenticate(&self, token: &str) -> Result<Principal, Stranger> {
        let mut answered = self.ask(token);
        let broken =
            || Stranger::NotAsked { code: Code::Internal, why: "internal error: the review of a token crashed".into() };
        let reviewed = answered.wait_for(Option::is_some).await.map(|reviewed| reviewed.clone());
        reviewed.ok().flatten().map_or_else(|| Err(broken()), |reviewed| reviewed.verdict.clone())
    }

    /// The cached or pending review of this token, or a new one.
    fn ask(&self, token: &str) -> PendingReview {
        let (key, now): (Key, _) = (Sha256::digest(token).into(), Instant::now());
        let mut known = self.known.lock().expect("no code panics while holding this lock");
        if let Some(answered) = known.get(&key).filter(|answered| counts(answered, now)) {
            return answered.clone();
        }
        if known.len() >= CACHED {
            make_room(&mut known, now);
        }
        let (sender, pending) = watch::channel(None);
        known.insert(key, pending.clone());
        let (reviewer, token) = (Arc::clone(&self.reviewer), SecretString::from(token));
        // the caller's own future ends when the caller hangs up, and others may wait for the same review
        tokio::spawn(async move { sender.send_replace(Some(Arc::new(reviewer.review(&token).await))) });
        pending
    }
}

/// Whether a review is pending, or its result has not expired.
fn counts(answered: &PendingReview, now: Instant) -> bool {
    let reviewed = answered.borrow();
    reviewed.as_ref().map_or_else(|| answered.has_changed().is_ok(), |reviewed| reviewed.until > now)
}

fn make_room(known: &mut HashMap<Key, PendingReview>, now: Instant) {
    known.retain(|_, answered| counts(answered, now));
    let end = |answered: &PendingReview| answered.borrow().as_ref().map(|reviewed| reviewed.until);
    // a pending one has no expiry yet, and is the last to be removed
    let first = known.iter().min_by_key(|(_, answered)| end(answered).map_or((1, now), |end| (0, end)));
    if let (Some(key), true) = (first.map(|(key, _)| *key), known.len() >= CACHED) {
        known.remove(&key);
    }
}

impl Reviewer {
    async fn review(&self, token: &SecretString) -> Reviewed {
        let Ok(Ok(_turn)) = timeout(TURN, self.turns.acquire()).await else {
            let why = format!("{CONCURRENT} other tokens are being reviewed, and this one had no turn within 5 s");
            return kept(Err(Stranger::NotAsked { code: Code::KubernetesUnreachable, why }), FAILED);
        };
        match self.ask(token).await {
            Ok(Some(name)) => {
                let verdict = if let Some(role) = self.users.role_of(&name) {
                    Ok(Principal { name, role })
                } else {
                    tracing::info!(user = %name, "token accepted by Kubernetes, but its user is not listed");
                    Err(Stranger::NotListed { name })
                };
                kept(verdict, self.left(token).map_or(ACCEPTED, |left| left.min(ACCEPTED)))
            }
            Ok(None) => kept(Err(Stranger::Unknown), REJECTED),
            Err(failure) => {
                let verdict = Err(Stranger::NotAsked { code: failure.code(), why: failure.to_string() });
                kept(verdict, FAILED)
            }
        }
    }

    /// The user's name; `None`: Kubernetes does not accept the token, or not for these audiences.
    async fn ask(&self, token: &SecretString) -> Result<Option<String>, ApiServerError> {
        let audiences = &self.users.audiences;
        let mut spec = json!({ "token": token.expose_secret() });
        if !audiences.is_empty() {
            spec["audiences"] = json!(audiences);
        }
        let review =
            json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec }).to_string();
        let request = ApiRequest {
            operation: "kubernetes_review_token",
            method: &Method::POST,
            path: PATH,
            body: Some(("application/json", review.as_bytes())),
            attempts: ATTEMPTS,
        };
        let response = self.api_server.send(request, &[200, 201]).await?;
        let Some(status) = read::<Review>(&response)?.status else {
            return Err(ApiServerError::Refused(response.status().as_u16()));
        };
        if !status.authenticated {
            let words = status.error.replace(token.expose_secret(), "[token]");
            let words: String = words.chars().filter(|c| !c.is_control()).take(300).collect();
            tracing::debug!(error = words, "token rejected by Kubernetes");
            return Ok(None);
        }
        if !audiences.is_empty() && !status.audiences.iter().any(|audience| audiences.contains(audience)) {
            // an API server that ignores audiences accepts tokens for other services
            tracing::warn!("token accepted by Kubernetes, but for another audience");
            return Ok(None);
        }
        Ok(status.user.and_then(|user| user.username).filter(|name| !name.is_empty()))
    }

    /// The time until the token expires by its own claim, which may only shorten the cache.
    fn left(&self, token: &SecretString) -> Option<Duration> {
        #[derive(Deserialize)]
        struct Claims {
            exp: i64,
        }
        let claims = token.expose_secret().split('.').nth(1)?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
        let ends = serde_json::from_slice::<Claims>(&claims).ok()?.exp;
        let left = ends.saturating_sub(self.clock.now().as_second());
        Some(Duration::from_secs(u64::try_from(left).unwrap_or(0)))
    }
}

fn kept(verdict: Result<Principal, Stranger>, time: Duration) -> Reviewed {
    Reviewed { verdict, until: Instant::now() + time }
}

#[derive(Deserialize)]
struct Review {
    status: Option<ReviewStatus>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct ReviewStatus {
    authenticated: bool,
    user: Option<User>,
    audiences: Vec<String>,
    error: String,
}

#[derive(Deserialize)]
struct User {
    username: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_number_of_tokens_fills_the_memory_and_what_is_on_its_way_stays() {
        let now = Instant::now();
        let mut known = HashMap::new();
        let (sender, pending) = watch::channel(None);
        known.insert([0; 32], pending);
        let ended = |seconds| {
            let reviewed = kept(Err(Stranger::Unknown), Duration::from_secs(seconds));
            watch::channel(Some(Arc::new(reviewed))).1
        };
        for number in 1..u8::MAX {
            known.insert([number; 32], ended(u64::from(number)));
        }
        for number in 0..CACHED {
            let mut key = [1; 32];
            key[..8].copy_from_slice(&number.to_be_bytes());
            known.insert(key, ended(300));
        }
        let before = known.len();
        make_room(&mut known, now);
        assert_eq!(known.len(), before - 1);
        assert!(known.contains_key(&[0; 32]) && !known.contains_key(&[1; 32]), "the first to expire was removed");
        drop(sender);
        make_room(&mut known, now);
        assert!(!known.contains_key(&[0; 32]), "it will never have a result");
    }
}
