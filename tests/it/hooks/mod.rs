//! Upstream's webhooks, from the headers and payloads of each forge to the refs in Gitea.

mod answers;
mod bodies;
mod bursts;
mod late_pushes;
mod payloads;

use axum::body::Body;
use http::{Method, Request, header};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::world::{Answer, World};

/// The secret of the mirror `one`.
pub(crate) const SECRET: &str = "a webhook's secret that is long enough";

/// The secret to which it is being changed.
const NEXT: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// The call that a delivery may lead to.
const SYNC: &str = "POST /api/v1/repos/openova/one/mirror-sync";

/// Headers of a delivery.
pub(crate) type Headers = Vec<(&'static str, String)>;

/// HMAC-SHA256 by the book (RFC 2104), so that the service's own is held to another.
pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

/// The same in hexadecimal digits.
pub(crate) fn hex(key: &str, message: &[u8]) -> String {
    digits(&hmac(key.as_bytes(), message))
}

/// GitHub's headers of a push of this body.
pub(crate) fn github(body: &str) -> Headers {
    vec![("x-github-event", "push".into()), ("x-hub-signature-256", format!("sha256={}", hex(SECRET, body.as_bytes())))]
}

/// GitHub's headers, and this name of the delivery.
fn delivery(id: &str, body: &str) -> Headers {
    let mut headers = github(body);
    headers.push(("x-github-delivery", id.into()));
    headers
}

/// What is said of a push to `main`.
fn push(after: &str) -> String {
    json!({ "ref": "refs/heads/main", "after": after, "repository": { "full_name": "one" } }).to_string()
}

impl World {
    /// Starts the service with the mirror `one`, whose webhooks are signed with [`SECRET`], made and proven.
    pub(crate) async fn start_hooked(&mut self) {
        self.start_listening().await;
        self.expect("created").await;
        self.gitea().clear_calls();
    }

    /// Starts the service with a mirror `one` that takes webhooks.
    pub(crate) async fn start_listening(&mut self) {
        std::fs::write(self.path("webhook"), format!("{SECRET}\n")).unwrap();
        let (now, next) = (self.path("webhook"), self.path("webhook-next"));
        self.extra = format!("webhook: {{ secretFiles: [{}, {}] }}", now.display(), next.display());
        self.start().await;
    }

    /// Sends a webhook to the mirror `one`.
    pub(crate) async fn hook(&self, headers: &[(&'static str, String)], body: impl Into<Body>) -> Answer {
        self.send(hook_request("/hooks/one", headers).body(body.into()).unwrap()).await
    }

    /// Sends GitHub's webhook of a push, and gives the run.
    async fn pushed(&self, body: &str) -> String {
        let answer = self.hook(&github(body), body.to_owned()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["run"].as_str().unwrap().to_owned()
    }

    /// Demands that Gitea has what upstream has.
    #[track_caller]
    fn assert_same_refs(&self) {
        assert_eq!(self.gitea().heads_and_tags(&self.owner, "one"), self.upstream.heads_and_tags("one"));
    }
}

/// A webhook without its body.
fn hook_request(path: &str, headers: &[(&'static str, String)]) -> http::request::Builder {
    let request = Request::builder().method(Method::POST).uri(path).header(header::HOST, "localhost:8080");
    let request = request.header(header::CONTENT_TYPE, "application/json");
    headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
}

#[test]
fn the_suites_own_arithmetic_gives_the_published_examples() {
    // GitHub's documentation, and RFC 4231, cases 2 and 6
    let github = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(hex("It's a Secret to Everybody", b"Hello, World!"), github);
    let second = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(hex("Jefe", b"what do ya want for nothing?"), second);
    let sixth = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
    let long = hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
    assert_eq!(digits(&long), sixth);
}
