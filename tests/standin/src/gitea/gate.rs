//! What every request passes before and after its own answer: the record, the server's life, hooks and
//! faults. Knows no endpoint; the answer comes from [`super::dispatch`].

use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header;
use http_body_util::BodyExt;

use super::Gitea;
use super::answer::set;
use super::route::{self, Route};
use super::state::Script;
use crate::call::Call;
use crate::fault::{self, CallKind, Cut, Fault, Unreached};
use crate::upstream::{authorization, header_text};

/// A request, taken apart.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) parts: http::request::Parts,
    pub(super) body: Bytes,
    pub(super) route: Route,
}

impl Asked {
    /// A parameter of the query.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let query = self.parts.uri.query().unwrap_or_default();
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

impl Gitea {
    pub(super) async fn handle(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
            return fault::cut();
        };
        let route = route::parse(&parts.method, parts.uri.path());
        let asked = Asked { parts, body, route };
        if let Some(why) = self.unreached(asked.route.kind) {
            return fault::unreached(why);
        }
        let index = self.record(&asked);
        let mut life = self.inner.life.subscribe();
        let begun = self.life();
        let mut response = tokio::select! {
            biased;
            response = self.answer_or_fault(&asked) => response,
            // The server was killed: its connections break.
            _ = life.changed() => fault::cut(),
        };
        if self.life() != begun {
            // Killed by this very call's hook, which no other branch had time to see.
            response = fault::cut();
        }
        set(&mut response, header::DATE, &self.inner.clock.http_date());
        if response.extensions().get::<Cut>().is_none() {
            // A test may have cleared the record meanwhile.
            if let Some(call) = self.state().calls.get_mut(index) {
                call.status = response.status().as_u16();
            }
        }
        response
    }

    fn record(&self, asked: &Asked) -> usize {
        let headers = &asked.parts.headers;
        let call = Call {
            method: asked.parts.method.to_string(),
            path: asked.parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
            status: 0,
            at: self.inner.clock.system_time(),
            body: String::from_utf8_lossy(&asked.body).into_owned(),
            user_agent: header_text(headers, header::USER_AGENT).unwrap_or_default(),
            authorization: authorization(headers),
            git_protocol: header_text(headers, header::HeaderName::from_static("git-protocol")),
        };
        let mut state = self.state();
        state.calls.push(call);
        state.calls.len() - 1
    }

    async fn answer_or_fault(&self, asked: &Asked) -> Response {
        if self.state().down {
            return fault::cut();
        }
        let (hooks, faults) = self.scripted(asked);
        for hook in hooks {
            hook(self);
        }
        let mut after = None;
        for fault in faults {
            match fault {
                Fault::Delay(delay) => tokio::time::sleep(delay).await,
                Fault::Status(status, content_type, body) => {
                    return fault::answer(status, content_type, body);
                }
                Fault::Response { status, headers, body } => return fault::answer_with(status, &headers, body),
                Fault::Html => return fault::proxy_page(200),
                Fault::Hang => std::future::pending().await,
                Fault::CutBefore => return fault::cut(),
                Fault::Unreached(why) => return fault::unreached(why),
                Fault::ExecuteThenCut
                | Fault::ExecuteThenHang
                | Fault::ExecuteThenStatus(..)
                | Fault::ProxyTimeout(_)
                | Fault::Slow(_)
                | Fault::Truncate(_)
                | Fault::EmptyBody => after = after.or(Some(fault)),
            }
        }
        let Some(after) = after else {
            return self.dispatch(asked).await;
        };
        if let Fault::ProxyTimeout(patience) = after {
            return self.behind_a_proxy(patience, asked.clone()).await;
        }
        let response = self.dispatch(asked).await;
        match after {
            Fault::ExecuteThenHang => std::future::pending().await,
            Fault::ExecuteThenStatus(status, content_type, body) => fault::answer(status, content_type, body),
            Fault::Slow(wait) => fault::with_body(response, Some(wait), usize::MAX, false).await,
            Fault::Truncate(keep) => fault::with_body(response, None, keep, true).await,
            Fault::EmptyBody => fault::with_body(response, None, 0, false).await,
            _ => fault::cut(),
        }
    }

    /// Gitea does not hear that the proxy has hung up: it goes on, unless it is killed.
    async fn behind_a_proxy(&self, patience: Duration, asked: Asked) -> Response {
        let (gitea, mut life) = (self.clone(), self.inner.life.subscribe());
        let going_on = tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = life.changed() => fault::cut(),
                response = gitea.dispatch(&asked) => response,
            }
        });
        match tokio::time::timeout(patience, going_on).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) | Err(_) => fault::proxy_page(504),
        }
    }

    /// Whether this call never arrives: the first fault for it says so, which is spent if it was made for one call.
    fn unreached(&self, kind: CallKind) -> Option<Unreached> {
        let mut state = self.state();
        let first = state.scripts.iter().position(|script| script.repository.is_none() && script.kind.covers(kind))?;
        let Script { fault: Fault::Unreached(why), once, .. } = &state.scripts[first] else { return None };
        let (why, once) = (*why, *once);
        if once {
            state.scripts.remove(first);
        }
        Some(why)
    }

    /// The hooks and faults for this call; those made for one call are spent.
    fn scripted(&self, asked: &Asked) -> (Vec<super::state::Hook>, Vec<Fault>) {
        let kind = asked.route.kind;
        let mut state = self.state();
        let (mine, others) = std::mem::take(&mut state.hooks).into_iter().partition(|(hooked, _)| hooked.covers(kind));
        state.hooks = others;
        let hooks = Vec::into_iter(mine).map(|(_, hook)| hook).collect();
        let mut faults = Vec::new();
        let mut spent = false;
        state.scripts.retain(|script| {
            // Of the faults for one call, the first alone is meant for this one.
            let concerns = script.covers(kind, asked.parts.uri.path()) && !(script.once && spent);
            if concerns {
                faults.push(script.fault.clone());
                spent |= script.once;
            }
            !(concerns && script.once)
        });
        (hooks, faults)
    }
}
