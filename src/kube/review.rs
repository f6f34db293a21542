//! Whose token it is that a caller presents: Kubernetes is asked (`TokenReview`), and its answer kept for a short time.
//!
//! Owns the lists of those who are let in, and what is kept: the digest of a token, never the token. A token is asked
//! about once, however many callers present it at the same moment; the asking goes on when they have gone. An answer
//! that did not come is never one: nobody is let in by it, and nobody called a stranger.

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

use super::api_server::{ApiServer, Asked, Failure, read};
use crate::clock::Clock;
use crate::domain::access::{Principal, Role, Stranger};
use crate::domain::problem::Code;

const PATH: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// How long somebody who was recognised stays so, unless the token ends before: whoever is taken out of the cluster is
/// let in no longer than this.
const RECOGNISED: Duration = Duration::from_secs(30);

/// How long a token stays a stranger's: a new service account's may be known a moment later.
const UNKNOWN: Duration = Duration::from_secs(5);

/// How long the API server is left alone after it gave no answer.
const NOT_ASKED: Duration = Duration::from_secs(1);

/// Tokens that are remembered; beyond that the one that is nearest to its end is forgotten.
const REMEMBERED: usize = 1_024;

/// Tokens that are asked about at once: whoever guesses must not keep the API server busy.
const AT_ONCE: usize = 8;

/// How long a token waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// A second try is enough where a person waits.
const TRIES: u32 = 2;

/// Who is let in.
#[derive(Clone, Debug, Default)]
pub struct Callers {
    /// For whom a token must have been made; empty: for the API server itself.
    pub audiences: Vec<String>,
    /// Exact user names.
    pub operators: Vec<String>,
    /// Exact user names.
    pub viewers: Vec<String>,
}

impl Callers {
    fn role_of(&self, name: &str) -> Option<Role> {
        let lists = [(Role::Operator, &self.operators), (Role::Viewer, &self.viewers)];
        lists.into_iter().find(|(_, list)| list.iter().any(|listed| listed == name)).map(|(role, _)| role)
    }
}

type Key = [u8; 32];
type Answered = watch::Receiver<Option<Arc<Reviewed>>>;

/// What became of asking.
#[derive(Debug)]
struct Reviewed {
    verdict: Result<Principal, Stranger>,
    /// Until when it counts.
    until: Instant,
}

/// Recognises callers by Kubernetes.
pub struct Reviews {
    asking: Arc<Asking>,
    known: Mutex<HashMap<Key, Answered>>,
}

/// What a review is done with.
struct Asking {
    api_server: ApiServer,
    callers: Callers,
    clock: Arc<dyn Clock>,
    turns: Semaphore,
}

impl fmt::Debug for Reviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reviews").field("callers", &self.asking.callers).finish_non_exhaustive()
    }
}

impl Reviews {
    /// Recognises these callers.
    #[must_use]
    pub fn new(api_server: ApiServer, callers: Callers, clock: Arc<dyn Clock>) -> Self {
        let asking = Asking { api_server, callers, clock, turns: Semaphore::new(AT_ONCE) };
        Self { asking: Arc::new(asking), known: Mutex::default() }
    }

    /// Who presents this token.
    ///
    /// # Errors
    /// Why whoever it is is not let in.
    pub async fn authenticate(&self, token: &str) -> Result<Principal, Stranger> {
        let mut answered = self.ask(token);
        let broken = || Stranger::NotAsked { code: Code::Internal, why: "a review ended in a mistake of ours".into() };
        let reviewed = answered.wait_for(Option::is_some).await.map(|reviewed| reviewed.clone());
        reviewed.ok().flatten().map_or_else(|| Err(broken()), |reviewed| reviewed.verdict.clone())
    }

    /// The answer that is here or on its way, or a new one.
    fn ask(&self, token: &str) -> Answered {
        let (key, now): (Key, _) = (Sha256::digest(token).into(), Instant::now());
        let mut known = self.known.lock().expect("no code panics while holding this lock");
        if let Some(answered) = known.get(&key).filter(|answered| counts(answered, now)) {
            return answered.clone();
        }
        if known.len() >= REMEMBERED {
            make_room(&mut known, now);
        }
        let (tell, told) = watch::channel(None);
        known.insert(key, told.clone());
        let (asking, token) = (Arc::clone(&self.asking), SecretString::from(token));
        // not the caller's own future: that ends when the caller hangs up, and others may wait for the same answer
        tokio::spawn(async move { tell.send_replace(Some(Arc::new(asking.review(&token).await))) });
        told
    }
}

/// Whether an answer is on its way, or is here and still counts.
fn counts(answered: &Answered, now: Instant) -> bool {
    let reviewed = answered.borrow();
    reviewed.as_ref().map_or_else(|| answered.has_changed().is_ok(), |reviewed| reviewed.until > now)
}

fn make_room(known: &mut HashMap<Key, Answered>, now: Instant) {
    known.retain(|_, answered| counts(answered, now));
    let end = |answered: &Answered| answered.borrow().as_ref().map(|reviewed| reviewed.until);
    // one that is on its way has an end that is not known yet, and is the last to go
    let first = known.iter().min_by_key(|(_, answered)| end(answered).map_or((1, now), |end| (0, end)));
    if let (Some(key), true) = (first.map(|(key, _)| *key), known.len() >= REMEMBERED) {
        known.remove(&key);
    }
}

impl Asking {
    async fn review(&self, token: &SecretString) -> Reviewed {
        let Ok(Ok(_turn)) = timeout(TURN, self.turns.acquire()).await else {
            let why = format!("more than {AT_ONCE} tokens are being asked about, and there was no turn for this one");
            return kept(Err(Stranger::NotAsked { code: Code::KubernetesUnreachable, why }), NOT_ASKED);
        };
        match self.ask(token).await {
            Ok(Some(name)) => {
                let verdict = if let Some(role) = self.callers.role_of(&name) {
                    Ok(Principal { name, role })
                } else {
                    tracing::info!(user = %name, "Kubernetes knows this caller, and no list of ours does");
                    Err(Stranger::NotListed { name })
                };
                kept(verdict, self.left(token).map_or(RECOGNISED, |left| left.min(RECOGNISED)))
            }
            Ok(None) => kept(Err(Stranger::Unknown), UNKNOWN),
            Err(failure) => {
                let verdict = Err(Stranger::NotAsked { code: failure.code(), why: failure.to_string() });
                kept(verdict, NOT_ASKED)
            }
        }
    }

    /// The user's name; `None`: Kubernetes does not accept the token, or not for us.
    async fn ask(&self, token: &SecretString) -> Result<Option<String>, Failure> {
        let ours = &self.callers.audiences;
        let mut spec = json!({ "token": token.expose_secret() });
        if !ours.is_empty() {
            spec["audiences"] = json!(ours);
        }
        let review =
            json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec }).to_string();
        let asked = Asked {
            operation: "kubernetes_review_token",
            method: &Method::POST,
            path: PATH,
            body: Some(("application/json", review.as_bytes())),
            tries: TRIES,
        };
        let response = self.api_server.ask(asked, &[200, 201]).await?;
        let Some(status) = read::<Review>(&response)?.status else {
            return Err(Failure::Refused(response.status().as_u16()));
        };
        if !status.authenticated {
            let words = status.error.replace(token.expose_secret(), "[token]");
            let words: String = words.chars().filter(|c| !c.is_control()).take(300).collect();
            tracing::debug!(error = words, "Kubernetes does not accept a caller's token");
            return Ok(None);
        }
        if !ours.is_empty() && !status.audiences.iter().any(|audience| ours.contains(audience)) {
            // an API server that does not look at audiences accepts tokens that were made for somebody else
            tracing::warn!("Kubernetes accepts a caller's token, and for none of our audiences");
            return Ok(None);
        }
        Ok(status.user.and_then(|user| user.username).filter(|name| !name.is_empty()))
    }

    /// How long the token is good for by its own words, where it says so. These are believed in one thing only: that it
    /// is no longer.
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
        let (tell, on_its_way) = watch::channel(None);
        known.insert([0; 32], on_its_way);
        let ended = |seconds| {
            let reviewed = kept(Err(Stranger::Unknown), Duration::from_secs(seconds));
            watch::channel(Some(Arc::new(reviewed))).1
        };
        for number in 1..u8::MAX {
            known.insert([number; 32], ended(u64::from(number)));
        }
        for number in 0..REMEMBERED {
            let mut key = [1; 32];
            key[..8].copy_from_slice(&number.to_be_bytes());
            known.insert(key, ended(300));
        }
        let before = known.len();
        make_room(&mut known, now);
        assert_eq!(known.len(), before - 1);
        assert!(known.contains_key(&[0; 32]) && !known.contains_key(&[1; 32]), "the nearest to its end went");
        drop(tell);
        make_room(&mut known, now);
        assert!(!known.contains_key(&[0; 32]), "nobody will tell that one");
    }
}
