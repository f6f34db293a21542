//! The way from the service to Gitea: keeps what is sent, and loses calls, also where Gitea is a real server.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cutover_api::domain::answer::{Trouble, TroubleKind};
use cutover_api::transport::{Call, Pieces, Transport};
use futures_util::future::BoxFuture;
use http::{Method, Response};
use standin::CallKind;

/// A call of the service to Gitea.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: String,
    /// The path; the organisation is called `openova` here, as on the stand-in.
    pub(crate) path: String,
    pub(crate) body: String,
}

impl Sent {
    fn is(&self, kind: CallKind) -> bool {
        let (method, path) = (self.method.as_str(), self.path.strip_prefix("/api/v1/").unwrap_or_default());
        match kind {
            CallKind::CreateOrg => method == "POST" && path == "orgs",
            CallKind::Migrate => method == "POST" && path == "repos/migrate",
            CallKind::MirrorSync => method == "POST" && path.ends_with("/mirror-sync"),
            CallKind::PatchRepository => method == "PATCH" && path.starts_with("repos/"),
            CallKind::DeleteRepository => method == "DELETE" && path.starts_with("repos/"),
            other => panic!("no call of kind {other:?} is lost on the way"),
        }
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It never arrives.
    Call,
    /// It is carried out, and its answer never arrives.
    Answer,
}

/// A call that is lost: after so many of its kind that are not.
#[derive(Debug)]
struct Lost {
    kind: CallKind,
    after: usize,
    loss: Loss,
}

/// A transport before another one.
#[derive(Debug)]
pub(crate) struct Recorder {
    inner: Arc<dyn Transport>,
    /// `host:port` of Gitea.
    authority: String,
    /// What `openova` is called there.
    owner: String,
    sent: Mutex<Vec<Sent>>,
    lost: Mutex<Option<Lost>>,
}

impl Recorder {
    pub(super) fn new(inner: Arc<dyn Transport>, gitea_url: &str, owner: &str) -> Self {
        let uri: http::Uri = gitea_url.parse().unwrap();
        let (authority, owner) = (uri.authority().unwrap().to_string(), owner.to_owned());
        Self { inner, authority, owner, sent: Mutex::default(), lost: Mutex::default() }
    }

    pub(super) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    pub(super) fn clear(&self) {
        self.sent.lock().unwrap().clear();
    }

    pub(super) fn lose(&self, kind: CallKind, after: usize, loss: Loss) {
        *self.lost.lock().unwrap() = Some(Lost { kind, after, loss });
    }

    /// Keeps a call to Gitea, and says whether it is the one to be lost. The test's own calls are none of the service's.
    fn note(&self, call: &Call) -> Option<Loss> {
        let uri = call.request.uri();
        if call.operation == "test" || uri.authority().is_none_or(|authority| authority.as_str() != self.authority) {
            return None;
        }
        let sent = Sent {
            method: call.request.method().to_string(),
            path: uri.path_and_query().unwrap().as_str().replace(&self.owner, "openova"),
            body: String::from_utf8_lossy(call.request.body()).replace(&self.owner, "openova"),
        };
        let mut next = self.lost.lock().unwrap();
        let loss = match next.as_mut() {
            Some(call) if sent.is(call.kind) && call.after == 0 => next.take().map(|call| call.loss),
            Some(call) if sent.is(call.kind) => {
                call.after -= 1;
                None
            }
            Some(_) | None => None,
        };
        drop(next);
        self.sent.lock().unwrap().push(sent);
        loss
    }
}

impl Transport for Recorder {
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Response<Bytes>, Trouble>> {
        let loss = self.note(&call);
        Box::pin(async move {
            let cut = || Err(Trouble::maybe_sent(TroubleKind::Cut, "the connection broke"));
            match loss {
                None => self.inner.send(call).await,
                Some(Loss::Call) => cut(),
                Some(Loss::Answer) => {
                    // whatever it is
                    let _ = self.inner.send(call).await;
                    cut()
                }
            }
        })
    }

    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Response<Pieces>, Trouble>> {
        self.note(&call);
        self.inner.stream(call)
    }
}

/// Whether a call changes something.
pub(super) fn is_change(method: &str, path: &str) -> bool {
    method != Method::GET.as_str() && !path.ends_with("/git-upload-pack")
}
