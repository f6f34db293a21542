//! The one DELETE, over a transport whose repository has changed by the last read: the DELETE is not sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Response, header};
use serde_json::{Value, json};

use super::*;
use crate::domain::answer::{LocalRefsAnswer, MigrateAnswer, Trouble};
use crate::domain::credential::NoCredential;
use crate::domain::proof::{Case, Intended};
use crate::domain::tests::spec;
use crate::domain::url::GiteaUrl;
use crate::transport::{Call, Transport};

/// Answers in turn, and records the requests.
#[derive(Debug, Default)]
struct InTurn {
    answers: Mutex<VecDeque<(u16, Value)>>,
    asked: Mutex<Vec<String>>,
}

impl Transport for InTurn {
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Response<Bytes>, Trouble>> {
        let asked = format!("{} {}", call.request.method(), call.request.uri().path());
        self.asked.lock().unwrap().push(asked);
        let (status, body) = self.answers.lock().unwrap().pop_front().unwrap();
        let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
        let body = if status == 204 { Bytes::new() } else { Bytes::from(body.to_string()) };
        Box::pin(async move { Ok(response.body(body).unwrap()) })
    }
}

/// The placeholder that the proof names.
fn placeholder() -> Value {
    json!({
        "id": 7, "full_name": "openova/openova", "mirror": true, "mirror_interval": "", "empty": true,
        "mirror_updated": "0001-01-01T00:00:00Z", "original_url": "https://github.com/openova-io/openova",
        "default_branch": "main", "created_at": "2026-11-23T13:34:21Z", "archived": false,
    })
}

fn proof(spec: &MirrorSpec) -> Proof {
    let repository = classify::repository(&said(&placeholder()), &super::super::Redactor::default(), "openova/openova");
    let RepositoryAnswer::Present(repository) = repository else { panic!("{repository:?}") };
    let intent = Intended {
        target: spec.full_name(),
        gitea_date: Some(repository.created_at),
        answer: Some(MigrateAnswer::CloneFailed { message: "fatal: not found".into() }),
        answered_at: Some(repository.created_at),
        made_nothing: false,
    };
    let case = Case {
        spec,
        repository: &repository,
        date: Some(repository.created_at),
        intents: &[intent],
        local: &LocalRefsAnswer::FolderGone,
        upstream: None,
        folder_gone_for: Duration::ZERO,
        dead_after: Duration::from_mins(20),
    };
    Proof::of(&case).unwrap()
}

fn said(body: &Value) -> Response<Bytes> {
    let response = Response::builder().status(200).header(header::CONTENT_TYPE, "application/json");
    response.body(Bytes::from(body.to_string())).unwrap()
}

/// Deletes with that proof when the last read returns `read`; returns the outcome and the sent requests.
async fn deleted(status: u16, read: Value) -> (DeleteAnswer, Vec<String>) {
    let transport = Arc::new(InTurn::default());
    transport.answers.lock().unwrap().extend([(status, read), (204, Value::Null)]);
    let url = GiteaUrl::parse("http://gitea.test:3000").unwrap();
    let client = Client::new(url, Arc::clone(&transport) as _, Arc::new(NoCredential));
    let spec = spec();
    let answer = client.delete_placeholder(&spec, &proof(&spec)).await;
    let asked = transport.asked.lock().unwrap().clone();
    (answer, asked)
}

const READ: &str = "GET /api/v1/repos/openova/openova";

#[tokio::test]
async fn the_placeholder_of_the_proof_is_read_once_more_and_deleted() {
    let (answer, asked) = deleted(200, placeholder()).await;
    assert_eq!(answer, DeleteAnswer::Gone);
    assert_eq!(asked, [READ, "DELETE /api/v1/repos/openova/openova"]);
    // Gitea looks names up without regard to case, and a server may leave `empty` out.
    let mut read = placeholder();
    read["full_name"] = "OpenOva/openova".into();
    read.as_object_mut().unwrap().remove("empty");
    assert_eq!(deleted(200, read).await.1.len(), 2);
}

#[tokio::test]
async fn a_repository_that_changed_before_the_last_read_is_not_deleted() {
    for (member, other, becomes) in [
        ("id", json!(8), DeleteAnswer::Changed),
        ("full_name", json!("openova/another"), DeleteAnswer::Gone),
        ("empty", json!(false), DeleteAnswer::Changed),
        ("mirror", json!(false), DeleteAnswer::Changed),
        ("mirror_interval", json!("10m0s"), DeleteAnswer::Changed),
    ] {
        let mut read = placeholder();
        read[member] = other;
        assert_eq!(deleted(200, read).await, (becomes, vec![READ.to_owned()]), "{member}");
    }
}

#[tokio::test]
async fn a_repository_whose_last_read_fails_is_not_deleted() {
    let words = json!({"message": "no", "url": "http://gitea.test:3000/api/swagger"});
    for (status, body) in [(404, words.clone()), (403, words.clone()), (500, words), (200, json!({"id": 7}))] {
        let (answer, asked) = deleted(status, body).await;
        assert_eq!(asked, [READ], "{status}: {answer:?}");
    }
}
