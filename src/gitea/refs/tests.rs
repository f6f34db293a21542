//! Refs through the API, over a transport that sends a body in pieces.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::header;

use super::*;
use crate::domain::answer::Refusal;
use crate::domain::credential::{CredentialError, CredentialSource, NoCredential};
use crate::domain::tests::spec;
use crate::domain::url::GiteaUrl;
use crate::transport::Transport;

const JSON: &str = "application/json;charset=utf-8";

/// An answer: status, content type and the body in pieces; `None` breaks it off.
type Sent = (u16, &'static str, Vec<Option<Bytes>>);

/// Sends these answers in turn, and records the credential of each request.
#[derive(Debug, Default)]
struct InPieces {
    answers: Mutex<VecDeque<Sent>>,
    credentials: Mutex<Vec<String>>,
}

impl Transport for InPieces {
    fn send(&self, _: Call) -> BoxFuture<'_, Result<Response<Bytes>, Trouble>> {
        unreachable!("a list is never asked for whole")
    }

    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Response<Pieces>, Trouble>> {
        let credential = call.request.headers().get(header::AUTHORIZATION);
        self.credentials.lock().unwrap().push(credential.map_or("", |value| value.to_str().unwrap()).to_owned());
        let (status, media_type, pieces) = self.answers.lock().unwrap().pop_front().unwrap();
        let broken = || Trouble::maybe_sent(TroubleKind::Cut, "the connection broke");
        let pieces = pieces.into_iter().map(move |piece| piece.ok_or_else(broken));
        let response = Response::builder().status(status).header(header::CONTENT_TYPE, media_type);
        async move { Ok(response.body(stream::iter(pieces).boxed()).unwrap()) }.boxed()
    }
}

/// A credential source with another token at each read.
#[derive(Debug)]
struct Rotated(Mutex<VecDeque<&'static str>>);

impl CredentialSource for Rotated {
    fn read(&self) -> Result<Option<Credential>, CredentialError> {
        let mut tokens = self.0.lock().unwrap();
        let token = if tokens.len() > 1 { tokens.pop_front().unwrap() } else { tokens[0] };
        Ok(Some(Credential::Token(token.into())))
    }
}

async fn asked(answers: Vec<Sent>, room: usize, source: Arc<dyn CredentialSource>) -> (LocalRefsAnswer, Vec<String>) {
    let transport = Arc::new(InPieces { answers: Mutex::new(answers.into()), ..InPieces::default() });
    let url = GiteaUrl::parse("http://gitea.test:3000").unwrap();
    let client = Client::new(url, Arc::clone(&transport) as _, source);
    let answer = client.refs(&spec(), ListLimits { time: Duration::from_mins(1), bytes: room }).await;
    let credentials = transport.credentials.lock().unwrap().clone();
    (answer, credentials)
}

async fn answered(status: u16, media_type: &'static str, pieces: Vec<Option<Bytes>>) -> LocalRefsAnswer {
    asked(vec![(status, media_type, pieces)], 1 << 20, Arc::new(NoCredential)).await.0
}

/// Result of a 200 in JSON that arrives in one piece.
async fn read(body: impl Into<Bytes>) -> LocalRefsAnswer {
    answered(200, JSON, vec![Some(body.into())]).await
}

fn one(name: &str) -> String {
    let url = format!("http://gitea.test:3000/api/v1/repos/a/b/git/{name}");
    format!(r#"{{"ref":"{name}","url":"{url}","object":{{"type":"commit","sha":"{}"}}}}"#, "a".repeat(40))
}

fn names(answer: &LocalRefsAnswer) -> Vec<String> {
    let LocalRefsAnswer::List(list) = answer else { panic!("no list: {answer:?}") };
    list.iter().map(|one| one.name().to_string()).collect()
}

#[tokio::test]
async fn a_list_is_the_same_in_whatever_pieces_it_arrives() {
    let (main, tag, change) = (one("refs/heads/main"), one(r"refs/tags/\u00fc}]{,"), one("refs/pull/1/head"));
    let body = format!(" [{main},\n {tag} ,{change}]\n");
    let expected = ["refs/heads/main", "refs/tags/\u{fc}}]{,"];
    for length in 1..=body.len() {
        let pieces = body.as_bytes().chunks(length).map(|piece| Some(Bytes::copy_from_slice(piece))).collect();
        assert_eq!(names(&answered(200, JSON, pieces).await), expected, "in pieces of {length}");
    }
}

#[tokio::test]
async fn one_ref_may_come_without_an_array_and_none_as_an_empty_one_or_as_giteas_404() {
    assert_eq!(names(&read(one("refs/heads/main")).await), ["refs/heads/main"]);
    assert!(names(&read("[]").await).is_empty());
    let body = r#"{"message":"not found","url":"http://gitea.test:3000/api/swagger"}"#;
    assert!(names(&answered(404, JSON, vec![Some(body.into())]).await).is_empty());
}

#[tokio::test]
async fn what_is_not_a_whole_list_is_never_a_shorter_one() {
    let main = one("refs/heads/main");
    for body in [
        String::new(),
        "[".into(),
        format!("[{main}"),
        format!("[{main},"),
        format!("[{main},]"),
        format!("[,{main}]"),
        format!("[{main}{}]", one("refs/heads/other")),
        format!("[{main}][]"),
        format!("{main},{main}"),
        format!("[{main},{main}]"),
        format!("[{}", &main[..main.len() - 1]),
        r#"[{"ref":"refs/heads/main"}]"#.into(),
        r#"[{"ref":"refs/heads/main","object":{"sha":"abc"}}]"#.into(),
        "null".into(),
    ] {
        let answer = read(body.clone()).await;
        let LocalRefsAnswer::Trouble(trouble) = answer else { panic!("{body}: {answer:?}") };
        assert_eq!(trouble.kind, TroubleKind::Foreign, "{body}");
    }
    let cut = answered(200, JSON, vec![Some(format!("[{main}").into()), None]).await;
    assert!(matches!(cut, LocalRefsAnswer::Trouble(Trouble { kind: TroubleKind::Cut, .. })), "{cut:?}");
}

#[tokio::test]
async fn a_list_that_is_too_large_is_given_up_where_the_memory_ends() {
    let refs: Vec<String> = (0..2_000).map(|number| one(&format!("refs/heads/b{number}"))).collect();
    // The rest is never read; reading it would fail.
    let pieces = vec![Some(format!("[{}", refs.join(",")).into()), None];
    let (answer, _) = asked(vec![(200, JSON, pieces)], 20_000, Arc::new(NoCredential)).await;
    let LocalRefsAnswer::Oversize(Oversize::List(fitted)) = answer else { panic!("{answer:?}") };
    assert!((100..2_000).contains(&fitted), "{fitted}");

    let endless = [vec![Some(r#"[{"ref":""#.into())], vec![Some("x".repeat(1 << 14).into()); 5], vec![None]].concat();
    let answer = answered(200, JSON, endless).await;
    let LocalRefsAnswer::Trouble(trouble) = answer else { panic!("{answer:?}") };
    assert_eq!(trouble.kind, TroubleKind::Foreign, "it was read to its end");
}

#[tokio::test]
async fn every_other_answer_means_what_it_means_elsewhere() {
    let denied = r#"{"message":"token does not have at least one of required scope(s)","url":"x"}"#;
    let refused = answered(403, JSON, vec![Some(denied.into())]).await;
    assert!(matches!(refused, LocalRefsAnswer::Refused(Refusal::Scope { .. })), "{refused:?}");
    let disabled = answered(403, JSON, vec![Some(r#"{"message":"no","url":"x"}"#.into())]).await;
    assert_eq!(disabled, LocalRefsAnswer::HttpGitDisabled);
    for (status, media_type, body) in
        [(200, "text/html", "<html>"), (500, JSON, r#"{"message":"","url":"x"}"#), (504, "text/html", "")]
    {
        let answer = answered(status, media_type, vec![Some(body.into())]).await;
        assert!(matches!(answer, LocalRefsAnswer::Trouble(_)), "{status}: {answer:?}");
    }
    let endless = answered(500, JSON, vec![Some(vec![b' '; LARGEST + 1].into()), None]).await;
    assert!(matches!(endless, LocalRefsAnswer::Trouble(Trouble { kind: TroubleKind::TooLarge, .. })), "{endless:?}");
}

#[tokio::test]
async fn a_request_that_was_refused_with_a_replaced_token_is_sent_again_with_the_new_one() {
    let refused = || (401, JSON, vec![Some(Bytes::from_static(br#"{"message":"no"}"#))]);
    let list = || (200, JSON, vec![Some(Bytes::from_static(b"[]"))]);
    let source = |tokens: &[&'static str]| Arc::new(Rotated(Mutex::new(tokens.iter().copied().collect())));
    let (answer, credentials) = asked(vec![refused(), list()], 1 << 20, source(&["old", "new"])).await;
    assert!(names(&answer).is_empty());
    assert_eq!(credentials, ["token old", "token new"]);
    let (answer, credentials) = asked(vec![refused()], 1 << 20, source(&["same"])).await;
    assert!(matches!(answer, LocalRefsAnswer::Refused(Refusal::Unauthenticated { .. })), "{answer:?}");
    assert_eq!(credentials.len(), 1);
}
