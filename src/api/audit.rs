//! The audit log: one line for every request that changes something or is refused.
//!
//! Owns its target, `audit`, and its fields. Never logs a token, a body, or anything else that a caller wrote.

use axum::response::Response;
use http::{Method, StatusCode};

use super::error::ApiError;
use crate::domain::access::Principal;
use crate::domain::mode::Mode;
use crate::domain::names::MirrorName;
use crate::domain::run::RunId;
use crate::domain::webhook::Vendor;

/// What a request has done; a handler leaves it in its response's extensions.
#[derive(Clone, Debug)]
pub(super) enum Done {
    /// A new run.
    Started(RunId),
    /// A run that had been accepted before.
    Joined(RunId),
    /// A run was canceled.
    Canceled(RunId),
    /// A mirror's mode was set.
    SetMode {
        /// Which.
        mirror: MirrorName,
        /// How.
        mode: Mode,
        /// Whether it is made a regular repository.
        convert: bool,
    },
}

impl Done {
    const fn action(&self) -> &'static str {
        match self {
            Self::Started(_) => "run.start",
            Self::Joined(_) => "run.join",
            Self::Canceled(_) => "run.cancel",
            Self::SetMode { convert: false, .. } => "mode.set",
            Self::SetMode { convert: true, .. } => "mode.convert",
        }
    }

    const fn run(&self) -> Option<RunId> {
        match self {
            Self::Started(id) | Self::Joined(id) | Self::Canceled(id) => Some(*id),
            Self::SetMode { .. } => None,
        }
    }

    const fn mode(&self) -> Option<(&MirrorName, Mode)> {
        match self {
            Self::Started(_) | Self::Joined(_) | Self::Canceled(_) => None,
            Self::SetMode { mirror, mode, .. } => Some((mirror, *mode)),
        }
    }
}

/// Logs a response, if it calls for a line.
pub(super) fn write(request_id: &str, method: &Method, response: &Response) {
    let status = response.status();
    let principal = response.extensions().get::<Principal>();
    let sender = response.extensions().get::<Vendor>().map(|vendor| vendor.label());
    let name = principal.map(|principal| principal.name.as_str()).or(sender);
    let role = principal.map(|principal| principal.role.label());
    if let Some(done) = response.extensions().get::<Done>() {
        tracing::info!(
            target: "audit",
            request_id,
            principal = name,
            role,
            action = done.action(),
            decision = "accept",
            run = done.run().map(tracing::field::display),
            mirror = done.mode().map(|(mirror, _)| mirror.as_str()),
            mode = done.mode().map(|(_, mode)| mode.label()),
            status = status.as_u16(),
            "request accepted",
        );
    }
    let Some(error) = response.extensions().get::<ApiError>() else { return };
    if let Some(cause) = error.cause() {
        tracing::error!(request_id, error = cause, "request failed");
    }
    if is_refused(method, status) {
        tracing::info!(
            target: "audit",
            request_id,
            principal = name,
            role,
            action = "refuse",
            decision = "refuse",
            reason = error.code().label(),
            status = status.as_u16(),
            "request refused",
        );
    }
}

/// Whether a caller was turned away, or a change was not made; a reader's bad request is neither.
fn is_refused(method: &Method, status: StatusCode) -> bool {
    let turned_away =
        matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST);
    turned_away || !method.is_safe()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_caller_and_a_change_not_made_are_audited_and_a_readers_mistake_is_not() {
        assert!(is_refused(&Method::GET, StatusCode::UNAUTHORIZED));
        assert!(is_refused(&Method::GET, StatusCode::MISDIRECTED_REQUEST));
        assert!(is_refused(&Method::POST, StatusCode::UNPROCESSABLE_ENTITY));
        assert!(is_refused(&Method::POST, StatusCode::SERVICE_UNAVAILABLE));
        assert!(!is_refused(&Method::GET, StatusCode::NOT_FOUND));
    }
}
