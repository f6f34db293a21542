//! Meaning of git's two answers on either side, over a transport that answers from a table.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use secrecy::SecretString;
use tokio::time::Instant;

use super::*;
use crate::domain::credential::{CredentialError, NoCredential};
use crate::transport::Pieces;

const V2: &str = "001e# service=git-upload-pack\n0000000eversion 2\n0013ls-refs=unborn\n0012fetch=shallow\n0017object-format=sha1\n0000";
const NOTHING_AFTER: &str = "001e# service=git-upload-pack\n0000";
const MAIN: &str = "003daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa refs/heads/main\n0000";
const UNBORN: &str = "002eunborn HEAD symref-target:refs/heads/main\n0000";

/// The defaults.
const LIMITS: ListLimits = ListLimits { time: Duration::from_mins(1), bytes: 24 << 20 };

/// Answers of `info/refs` and of `ls-refs`: status, media type, body.
#[derive(Clone, Copy, Debug)]
struct Table {
    advertisement: (u16, &'static str, &'static str),
    list: (u16, &'static str, &'static str),
}

impl Transport for Table {
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Response<Bytes>, Trouble>> {
        // Each request must look like git's to a forge and must bypass caches.
        let said = |name| call.request.headers()[name].to_str().unwrap();
        assert!(said(header::USER_AGENT).starts_with("git/2."), "{call:?}");
        assert_eq!((said(header::CACHE_CONTROL), said(header::PRAGMA)), ("no-cache", "no-cache"));
        let first = call.request.method() == Method::GET;
        let (status, media, body) = if first { self.advertisement } else { self.list };
        let response = Response::builder().status(status).header(header::CONTENT_TYPE, media);
        Box::pin(async move { Ok(response.body(Bytes::from(body)).unwrap()) })
    }
}

fn table(advertisement: (u16, &'static str, &'static str), list: (u16, &'static str, &'static str)) -> Lister {
    Lister::new(Arc::new(Table { advertisement, list }))
}

/// A lister whose server speaks v2 and answers `ls-refs` like this.
fn lists(status: u16, body: &'static str) -> Lister {
    table((200, ADVERTISEMENT, V2), (status, RESULT, body))
}

/// A lister whose server answers `info/refs` like this, and no other request.
fn advertises(status: u16, media: &'static str, body: &'static str) -> Lister {
    table((status, media, body), (500, RESULT, "no answer"))
}

async fn upstream(lister: &Lister) -> UpstreamAnswer {
    lister.upstream(&UpstreamUrl::parse("https://upstream.test/one").unwrap(), &NoCredential, LIMITS).await
}

async fn gitea(lister: &Lister) -> LocalRefsAnswer {
    let (owner, repo) = (OwnerName::parse("acme").unwrap(), RepoName::parse("one").unwrap());
    lister.gitea(&GiteaUrl::parse("http://gitea.test:3000").unwrap(), &owner, &repo, &NoCredential, LIMITS).await
}

#[tokio::test]
async fn a_whole_list_is_a_list_on_either_side() {
    let lister = lists(200, MAIN);
    assert!(matches!(upstream(&lister).await, UpstreamAnswer::List(list) if list.len() == 1));
    assert!(matches!(gitea(&lister).await, LocalRefsAnswer::List(list) if list.len() == 1));
    let running = lists(200, UNBORN);
    assert!(matches!(gitea(&running).await, LocalRefsAnswer::List(list) if list.is_empty()), "git made the folder");
}

#[tokio::test]
async fn only_what_gitea_answers_without_a_folder_is_a_folder_that_is_gone() {
    let since_1_26 = table((500, "text/html; charset=utf-8", "<html>500</html>"), (200, RESULT, ""));
    assert_eq!(gitea(&since_1_26).await, LocalRefsAnswer::FolderGone);
    assert!(matches!(upstream(&since_1_26).await, UpstreamAnswer::Trouble(_)));
    for gone in [advertises(200, ADVERTISEMENT, NOTHING_AFTER), lists(200, "")] {
        assert_eq!(gitea(&gone).await, LocalRefsAnswer::FolderGone);
        assert!(matches!(upstream(&gone).await, UpstreamAnswer::NotGit { .. }));
    }
    for (other, kind) in [
        (advertises(200, ADVERTISEMENT, ""), TroubleKind::Foreign),
        (advertises(200, "text/html", "<html>Sign in</html>"), TroubleKind::Foreign),
        (advertises(200, "text/plain", V2), TroubleKind::Foreign),
        (lists(200, "003daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa refs/heads/main\n"), TroubleKind::Cut),
        (advertises(500, "text/html", "<html>500</html>"), TroubleKind::ServerError),
        (table((500, "text/html", "<html>500</html>"), (200, "text/html", "")), TroubleKind::ServerError),
        (table((500, "text/html", "<html>500</html>"), (200, RESULT, MAIN)), TroubleKind::ServerError),
        (table((500, "text/html", "<html>500</html>"), (200, RESULT, UNBORN)), TroubleKind::ServerError),
        (table((500, "application/json", "{}"), (200, RESULT, "")), TroubleKind::ServerError),
        (table((503, "text/html", "<html>503</html>"), (200, RESULT, "")), TroubleKind::Busy),
        (table((200, ADVERTISEMENT, V2), (200, "text/html", "")), TroubleKind::Foreign),
        (advertises(502, "text/html", "<html>502</html>"), TroubleKind::Busy),
        (advertises(504, "text/html", "<html>504</html>"), TroubleKind::Busy),
    ] {
        match gitea(&other).await {
            LocalRefsAnswer::Trouble(trouble) => assert_eq!(trouble.kind, kind, "{other:?}"),
            answer => panic!("{answer:?} of {other:?}"),
        }
    }
}

#[tokio::test]
async fn statuses_of_giteas_git_have_their_meaning() {
    let answer = async |status| gitea(&advertises(status, "text/plain", "no")).await;
    assert!(matches!(answer(401).await, LocalRefsAnswer::Refused(Refusal::Unauthenticated { .. })));
    assert_eq!(answer(403).await, LocalRefsAnswer::HttpGitDisabled);
    for status in [404, 301, 307] {
        assert_eq!(answer(status).await, LocalRefsAnswer::Gone, "{status}");
    }
}

#[tokio::test]
async fn an_upstream_that_answers_wrongly_and_one_that_is_down_have_different_meanings() {
    for (lister, words) in [
        (
            advertises(200, "text/html", "<html>hello</html>"),
            "Upstream answers 200 with a web page instead of git's answer",
        ),
        (advertises(200, "text/plain", ""), "Upstream answers 200 with an empty answer"),
        (lists(200, ""), "Upstream answers 200 with an empty answer"),
        (
            advertises(200, ADVERTISEMENT, NOTHING_AFTER),
            "Upstream answers 200 with a list that breaks off before its end",
        ),
        (advertises(400, "text/plain", "no"), "Upstream answers 400, which no git server does: “no”"),
    ] {
        assert_eq!(upstream(&lister).await, UpstreamAnswer::NotGit { detail: words.into() });
    }
    for status in [301, 302, 401, 403, 404, 410] {
        let answer = upstream(&advertises(status, "text/html", "no")).await;
        assert!(matches!(answer, UpstreamAnswer::Refused { .. }), "{status}: {answer:?}");
    }
    for status in [408, 429, 500, 502, 503, 504] {
        let answer = upstream(&advertises(status, "text/html", "no")).await;
        assert!(matches!(answer, UpstreamAnswer::Trouble(_)), "{status}: {answer:?}");
    }
}

#[tokio::test]
async fn gits_own_error_is_reported_without_the_credential() {
    #[derive(Debug)]
    struct Token;
    impl CredentialSource for Token {
        fn read(&self) -> Result<Option<Credential>, CredentialError> {
            Ok(Some(Credential::Token(SecretString::from("s3cret-token".to_owned()))))
        }
    }
    let lister = lists(200, "001eERR no use of s3cret-token0000");
    let url = UpstreamUrl::parse("https://upstream.test/one").unwrap();
    let UpstreamAnswer::NotGit { detail } = lister.upstream(&url, &Token, LIMITS).await else {
        panic!("it is an error")
    };
    assert_eq!(detail, "Upstream's git reports: no use of [redacted]");
}

/// A transport that speaks v2 and sends each piece of the list after its pause.
#[derive(Debug)]
struct Slow {
    head: Duration,
    pieces: Vec<(Duration, &'static str)>,
    broken: bool,
}

impl Transport for Slow {
    fn send(&self, _: Call) -> BoxFuture<'_, Result<Response<Bytes>, Trouble>> {
        panic!("a list is not read whole")
    }

    fn stream(&self, call: Call) -> BoxFuture<'_, Result<Response<Pieces>, Trouble>> {
        let first = call.request.method() == Method::GET;
        let cut = Trouble::maybe_sent(TroubleKind::Cut, "x");
        let broken = (self.broken && !first).then_some(Err(cut));
        let (head, media, pieces) = if first {
            (self.head, ADVERTISEMENT, vec![(Duration::ZERO, V2)])
        } else {
            (Duration::ZERO, RESULT, self.pieces.clone())
        };
        let pieces = stream::iter(pieces).then(|(pause, piece)| async move {
            tokio::time::sleep(pause).await;
            Ok(Bytes::from(piece))
        });
        let pieces = pieces.chain(stream::iter(broken)).boxed();
        Box::pin(async move {
            tokio::time::sleep(head).await;
            Ok(Response::builder().header(header::CONTENT_TYPE, media).body(pieces).unwrap())
        })
    }
}

/// Result of a reading, and how many seconds it takes.
async fn slowly(head: u64, pieces: &[(u64, &'static str)]) -> (UpstreamAnswer, u64) {
    let pieces = pieces.iter().map(|(pause, piece)| (Duration::from_secs(*pause), *piece)).collect();
    let lister = Lister::new(Arc::new(Slow { head: Duration::from_secs(head), pieces, broken: false }));
    let began = Instant::now();
    (upstream(&lister).await, began.elapsed().as_secs())
}

fn detail(answer: UpstreamAnswer) -> String {
    match answer {
        UpstreamAnswer::Trouble(Trouble { kind: TroubleKind::Timeout, detail, .. }) => detail,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_may_take_its_time_before_it_answers_and_between_two_pieces() {
    let (start, end) = MAIN.split_at(20);
    for (head, pieces) in [(45, &[(0, MAIN)][..]), (0, &[(9, start), (9, ""), (9, end)]), (20, &[(30, MAIN)])] {
        // The answer's first byte arrives with its head.
        let (answer, _) = slowly(head, pieces).await;
        let silent = pieces.iter().any(|(pause, _)| *pause > 10);
        assert_eq!(matches!(answer, UpstreamAnswer::List(_)), !silent, "{head} {pieces:?}: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_falls_silent_or_never_ends_times_out() {
    let (start, end) = MAIN.split_at(20);
    let (answer, took) = slowly(0, &[(0, start), (11, end)]).await;
    assert_eq!((detail(answer).as_str(), took), ("Upstream: the list of refs did not continue within 10 s", 10));
    let (answer, took) = slowly(61, &[(0, MAIN)]).await;
    assert_eq!((detail(answer).as_str(), took), ("Upstream: no complete list of refs within 60 s", 60));
    let (answer, took) = slowly(30, &[(0, start), (9, ""), (9, ""), (9, ""), (9, ""), (0, end)]).await;
    assert_eq!((detail(answer).as_str(), took), ("Upstream: no complete list of refs within 60 s", 60));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_cut_off_is_no_shorter_list() {
    let line = MAIN.strip_suffix("0000").unwrap();
    let lister =
        Lister::new(Arc::new(Slow { head: Duration::ZERO, pieces: vec![(Duration::ZERO, line)], broken: true }));
    assert!(matches!(upstream(&lister).await, UpstreamAnswer::Trouble(trouble) if trouble.kind == TroubleKind::Cut));
    assert!(matches!(gitea(&lister).await, LocalRefsAnswer::Trouble(trouble) if trouble.kind == TroubleKind::Cut));
}

#[tokio::test]
async fn an_oversize_list_and_a_malformed_one_have_different_meanings() {
    let lister = lists(200, MAIN);
    let room = ListLimits { bytes: 100, ..LIMITS };
    let url = UpstreamUrl::parse("https://upstream.test/one").unwrap();
    assert_eq!(lister.upstream(&url, &NoCredential, room).await, UpstreamAnswer::Oversize(Oversize::List(0)));
}
