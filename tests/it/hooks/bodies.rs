//! Bodies of every size, speed and kind.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::header;

use super::{SECRET, github, hex, hook_request};
use crate::world::story;

const MIB: usize = 1 << 20;

#[test]
fn a_large_push_is_verified_to_its_last_byte_though_only_its_beginning_is_held() {
    story(async |mut world| {
        world.start_hooked().await;
        let message = "x".repeat(3 * MIB);
        let body = format!(
            "{{\"ref\":\"refs/heads/main\",\"repository\":{{\"full_name\":\"one\"}},\"commits\":[{{\"message\":\"{message}\"}}]}}"
        );
        let headers = github(&body);
        assert_eq!(world.hook(&headers, body.clone()).await.status, 202);
        let mut changed = body.clone().into_bytes();
        let last = changed.len() - 4;
        changed[last] = b'y';
        assert_eq!(world.hook(&headers, changed).await.status, 401);
        let other = body.replacen("\"one\"", "\"somebody/else\"", 1);
        let answer = world.hook(&github(&other), other).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["reason"]), (200, &"repository".into()));
    });
}

#[test]
fn more_than_githubs_own_limit_is_not_read() {
    story(async |mut world| {
        world.start_hooked().await;
        let zeros = vec![0; 25 * MIB + 1];
        let signature = vec![("x-hub-signature-256", format!("sha256={}", hex(SECRET, &zeros)))];
        let announced = world.hook(&signature, zeros.clone()).await;
        let unannounced = stream::repeat(Ok::<_, Infallible>(Bytes::from(vec![0; MIB]))).take(26);
        let streamed = world.hook(&signature, Body::from_stream(unannounced)).await;
        for answer in [announced, streamed] {
            assert_eq!((answer.status.as_u16(), &*answer.problem()), (413, "content-too-large"));
            assert!(answer.json()["remedy"].as_str().unwrap().contains("25 MiB"), "{answer:?}");
            assert_eq!(answer.headers[header::CONNECTION], "close");
        }
        let all = Body::from(zeros[1..].to_vec());
        let signature = vec![("x-hub-signature-256", format!("sha256={}", hex(SECRET, &zeros[1..])))];
        assert_eq!(world.hook(&signature, all).await.problem(), "malformed-request", "25 MiB exactly are read");
    });
}

#[test]
fn a_body_that_does_not_arrive_is_given_up_after_five_seconds() {
    story(async |mut world| {
        world.start_hooked().await;
        let began = tokio::time::Instant::now();
        let half = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{\"ref\""))]).chain(stream::pending());
        let answer = world.hook(&github("{}"), Body::from_stream(half)).await;
        assert_eq!((answer.status.as_u16(), &*answer.problem()), (408, "request-timeout"));
        assert_eq!(began.elapsed().as_secs(), 5);
        let drop_by_drop = stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), ()))
        });
        let answer = world.hook(&github("{}"), Body::from_stream(drop_by_drop)).await;
        assert_eq!(answer.problem(), "request-timeout");
        assert_eq!(began.elapsed().as_secs(), 10);
        let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))]);
        assert_eq!(world.hook(&github("{}"), Body::from_stream(broken)).await.problem(), "malformed-request");
    });
}

#[test]
fn three_hundred_bodies_that_nobody_signed_hold_little_in_sum_and_a_good_one_is_taken_beside_them() {
    story(async |mut world| {
        world.start_hooked().await;
        let forged = vec![("x-hub-signature-256", format!("sha256={}", "0".repeat(64)))];
        let slow = || {
            let first = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![b' '; 256 * 1024]))]);
            Body::from_stream(first.chain(stream::pending()))
        };
        let many = futures_util::future::join_all((0..300).map(|_| world.hook(&forged, slow())));
        let good = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let body = format!("{{\"ref\":\"refs/pull/1/head\",\"commits\":\"{}\"}}", "x".repeat(80_000));
            world.hook(&github(&body), body).await
        };
        let (answers, good) = futures_util::future::join(many, good).await;
        assert!(answers.iter().all(|answer| answer.status == 408));
        assert_eq!((good.status.as_u16(), &good.json()["reason"]), (200, &"ref".into()), "it is read all the same");
    });
}

#[test]
fn what_is_signed_and_no_json_object_is_malformed_and_begins_nothing() {
    story(async |mut world| {
        world.start_hooked().await;
        for body in ["[]", "null", "{", "{} {}", "payload=%7B%7D", "\u{feff}{}", "{\"ref\":\"refs/heads/main\""] {
            let answer = world.hook(&github(body), body).await;
            assert_eq!((answer.status.as_u16(), &*answer.problem()), (400, "malformed-request"), "{body}");
        }
        let garbage: Vec<u8> = (0..=255).cycle().take(70_000).collect();
        let signature = vec![("x-hub-signature-256", format!("sha256={}", hex(SECRET, &garbage)))];
        assert_eq!(world.hook(&signature, garbage).await.status, 400);
        assert!(world.changes().is_empty());
    });
}

#[test]
fn a_form_or_a_packed_body_is_refused_with_what_to_set() {
    story(async |mut world| {
        world.start_hooked().await;
        let form = "payload=%7B%22ref%22%3A%22refs%2Fheads%2Fmain%22%7D";
        // Gitea and Forgejo sign the JSON inside of the form, so that the signature never fits what is sent
        let mut gitea = vec![("x-gitea-event", "push".to_owned())];
        gitea.push(("x-gitea-signature", hex(SECRET, b"{\"ref\":\"refs/heads/main\"}")));
        for headers in [github(form), gitea, vec![("x-event-key", "repo:push".to_owned())]] {
            let mut request = hook_request("/hooks/one", &headers).body(Body::from(form)).unwrap();
            let media_type = "application/x-www-form-urlencoded".parse().unwrap();
            request.headers_mut().insert(header::CONTENT_TYPE, media_type);
            let answer = world.send(request).await;
            assert_eq!((answer.status.as_u16(), &*answer.problem()), (415, "unsupported-media-type"), "{headers:?}");
            assert!(answer.json()["remedy"].as_str().unwrap().contains("content type"), "{answer:?}");
        }
        let packed = hook_request("/hooks/one", &github("{}")).header(header::CONTENT_ENCODING, "gzip");
        let answer = world.send(packed.body(Body::from("{}")).unwrap()).await;
        assert_eq!(answer.problem(), "unsupported-media-type");
        let odd = hook_request("/hooks/one", &github("{}")).header(header::TRANSFER_ENCODING, "gzip, chunked");
        assert_eq!(world.send(odd.body(Body::from("{}")).unwrap()).await.problem(), "malformed-request");
    });
}
