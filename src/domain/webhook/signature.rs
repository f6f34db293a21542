//! Whether a delivery was signed by somebody who knows a secret of ours: fed with the body as it comes, so that a large
//! one need not be held.
//!
//! Owns the arithmetic and its constant time. Never says which of the secrets it was, or how near a wrong one came.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::{Claim, Scheme};

/// How far the time of a signature may be from ours, in seconds: as the Standard Webhooks say.
const TOLERANCE: i64 = 5 * 60;

/// The most signatures of one delivery that are looked at: a sender that rotates its secret sends two.
const SIGNATURES: usize = 8;

/// Takes in a body and judges its signature.
#[derive(Debug)]
pub struct Verifier {
    /// One for each secret.
    running: Vec<Hmac<Sha256>>,
    /// What the delivery presents; none: nothing that could be right.
    presented: Vec<[u8; 32]>,
    /// A token that needs no body: whether it is one of the secrets.
    token: Choice,
}

impl Verifier {
    /// For one delivery, received `now`.
    #[must_use]
    pub fn new(claim: &Claim<'_>, secrets: &[SecretString], now: Timestamp) -> Self {
        let mut new = Self { running: Vec::new(), presented: Vec::new(), token: Choice::from(0) };
        match claim.scheme {
            None => {}
            Some(Scheme::Token(token)) => {
                let given = Sha256::digest(token);
                for secret in secrets {
                    // equal lengths, so that the time tells nothing of how much is right
                    new.token |= Sha256::digest(secret.expose_secret()).ct_eq(&given);
                }
            }
            Some(Scheme::Hex(digits)) => new.body_alone(hex(digits), secrets),
            Some(Scheme::Prefixed(text)) => new.body_alone(text.strip_prefix("sha256=").and_then(hex), secrets),
            Some(Scheme::Standard { id, timestamp, signatures }) => {
                let within = |at: i64| now.as_second().abs_diff(at) <= TOLERANCE.unsigned_abs();
                if id.is_empty() || !decimal(timestamp).is_some_and(within) {
                    return new;
                }
                let each = signatures.split(' ').take(SIGNATURES);
                new.presented = each.filter_map(|one| base64(one.strip_prefix("v1,")?)).collect();
                new.running = secrets.iter().map(|secret| keyed(&standard_key(secret.expose_secret()))).collect();
                new.update(format!("{id}.{timestamp}.").as_bytes());
            }
        }
        new
    }

    fn body_alone(&mut self, presented: Option<[u8; 32]>, secrets: &[SecretString]) {
        self.presented.extend(presented);
        self.running = secrets.iter().map(|secret| keyed(secret.expose_secret().as_bytes())).collect();
    }

    /// Takes in the next piece of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        // nothing that could be right is not worth the work
        if !self.presented.is_empty() {
            self.running.iter_mut().for_each(|running| running.update(bytes));
        }
    }

    /// Whether the whole body was signed with one of the secrets.
    #[must_use]
    pub fn finish(self) -> bool {
        let mut right = self.token;
        for running in self.running {
            let expected = running.finalize().into_bytes();
            for presented in &self.presented {
                right |= expected.ct_eq(presented);
            }
        }
        right.into()
    }
}

/// The value of a `webhook-signature` for what we send ourselves, as Standard Webhooks sign.
#[must_use]
pub fn sign(secret: &SecretString, id: &str, timestamp: i64, body: &str) -> String {
    let mut running = keyed(&standard_key(secret.expose_secret()));
    running.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(running.finalize().into_bytes()))
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}

/// A secret as Standard Webhooks write it down: base64 behind `whsec_`. Any other text is the key itself.
fn standard_key(secret: &str) -> Vec<u8> {
    let decoded = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
    decoded.unwrap_or_else(|| secret.as_bytes().to_vec())
}

/// The one spelling of seconds since 1970.
fn decimal(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn base64(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// 64 lower-case digits, as every forge sends them.
fn hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}
