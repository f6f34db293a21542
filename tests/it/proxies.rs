//! Forward proxies over real sockets: a proxy's refusal is reported as the proxy's, and never with its credentials.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cutover_api::domain::answer::{Sent, Trouble, TroubleKind};
use cutover_api::domain::cause::Cause;
use cutover_api::transport::{Bundle, Call, HttpTransport, Outbound, Route, Transport as _};
use http::{Request, StatusCode};
use tempfile::TempDir;

use crate::tls::server::{Identity, openssl_req, plain};

/// What a proxy does with each request.
#[derive(Clone, Copy, Debug)]
enum Habit {
    /// Opens the tunnel, or fetches the resource.
    Forwards,
    /// Forwards for this credential, and else wants a login.
    Wants(&'static str),
    /// Answers every request with this.
    Answers(&'static str),
    /// Hangs up without a word.
    Resets,
    /// Reads and says nothing.
    Hangs,
}

/// A forward proxy on loopback.
struct Proxy {
    port: u16,
    /// The heads of all requests.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(habit: Habit) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, heads) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<String>>>::default());
        let kept = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, heads) = (stream.unwrap(), Arc::clone(&kept));
                std::thread::spawn(move || serve(stream, habit, &heads));
            }
        });
        Self { port, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// One connection: reads a head, and does with it what the habit says. A client that leaves ends it.
fn serve(stream: TcpStream, habit: Habit, heads: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if !matches!(reader.read_line(&mut head), Ok(1..)) {
            return;
        }
    }
    heads.lock().unwrap().push(head.clone());
    let mut client = stream;
    match habit {
        Habit::Wants(credential) if !head.contains(credential) => {
            let _ = client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n");
        }
        Habit::Answers(answer) => {
            let _ = client.write_all(answer.as_bytes());
        }
        Habit::Resets => {}
        Habit::Hangs => {
            let _ = client.read(&mut [0]);
        }
        Habit::Forwards | Habit::Wants(_) => forward(&head, client),
    }
}

fn forward(head: &str, mut client: TcpStream) {
    let mut words = head.split_whitespace();
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    if method != "CONNECT" {
        let _ = client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
        return;
    }
    // what the tests call `upstream.test` is on this machine
    let port = target.rsplit_once(':').unwrap().1;
    let Ok(mut server) = TcpStream::connect(format!("127.0.0.1:{port}")) else { return };
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let back = std::thread::spawn(move || {
        let _ = std::io::copy(&mut server, &mut client);
        let _ = client.shutdown(std::net::Shutdown::Both);
    });
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Both);
    back.join().unwrap();
}

/// A transport in an environment of these variables.
fn transport(variables: &[(&str, String)]) -> HttpTransport {
    let lookup = |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| value.clone());
    HttpTransport::with(Outbound::from_variables(&lookup).unwrap(), None).unwrap()
}

async fn ask(
    transport: &HttpTransport,
    url: &str,
    bundle: Option<&Arc<Bundle>>,
    limit: u64,
) -> Result<StatusCode, Trouble> {
    let request = Request::get(url).body(Bytes::new()).unwrap();
    let (bundle, timeout) = (bundle.cloned(), Duration::from_secs(limit));
    let call = Call { operation: "test", route: Route::Proxied, request, bundle, timeout, largest: 1_000 };
    transport.send(call).await.map(|answer| answer.status())
}

/// `user` and `p@ss`, as the header has them.
const LOGIN: &str = "Basic dXNlcjpwQHNz";

#[tokio::test]
async fn what_a_proxy_refuses_is_reported_as_the_proxys_and_without_its_credential() {
    // no service may have it, so that every connection is refused
    let free = 1;
    let answering = |status: &str| {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        Proxy::start(Habit::Answers(answer.leak())).port
    };
    for (port, cause, says) in [
        (answering("407 Proxy Authentication Required"), Cause::ProxyLogin, "answered 407: it requires a log-in"),
        (answering("403 Forbidden"), Cause::Proxy, "answered 403: it does not allow this connection"),
        (answering("502 Bad Gateway"), Cause::Proxy, "answered 502: it cannot reach the server"),
        (answering("503 Service Unavailable"), Cause::Proxy, "answered 503: it cannot reach the server"),
        (answering("504 Gateway Timeout"), Cause::Proxy, "answered 504: it cannot reach the server"),
        (answering("418 I'm a teapot"), Cause::Proxy, "answered 418"),
        (plain(b"SSH-2.0-OpenSSH_9.6\r\n"), Cause::Proxy, "opened no tunnel"),
        (Proxy::start(Habit::Resets).port, Cause::Proxy, "closed the connection instead of answering"),
        (free, Cause::Proxy, "refuses the connection"),
    ] {
        let proxy = format!("http://user:p%40ss@127.0.0.1:{port}");
        let transport = transport(&[("HTTPS_PROXY", proxy)]);
        let trouble = ask(&transport, "https://upstream.test:8443/a", None, 10).await.unwrap_err();
        assert_eq!((trouble.kind, trouble.sent), (TroubleKind::Connect, Sent::No), "{trouble:?}");
        assert_eq!(trouble.cause, Some(cause), "{trouble:?}");
        assert!(trouble.detail.contains(says), "{says}: {trouble:?}");
        assert!(trouble.detail.contains(&format!("proxy 127.0.0.1:{port}")), "{trouble:?}");
        for secret in ["user", "p%40ss", "p@ss", "dXNlcjpwQHNz"] {
            assert!(!format!("{trouble:?}").contains(secret), "{trouble:?}");
        }
    }
    let transport = transport(&[("HTTPS_PROXY", "http://no-such-proxy.invalid:3128".to_owned())]);
    let trouble = ask(&transport, "https://upstream.test/a", None, 10).await.unwrap_err();
    assert_eq!((trouble.kind, trouble.cause), (TroubleKind::Dns, Some(Cause::Proxy)));
    let says = "the host name of the proxy no-such-proxy.invalid:3128 does not resolve";
    assert_eq!(trouble.detail, says);
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_named_when_the_time_is_over() {
    let proxy = Proxy::start(Habit::Hangs);
    let transport = transport(&[("ALL_PROXY", format!("127.0.0.1:{}", proxy.port))]);
    let trouble = ask(&transport, "https://upstream.test/a", None, 30).await.unwrap_err();
    assert_eq!((trouble.kind, trouble.cause), (TroubleKind::Connect, Some(Cause::Proxy)));
    assert_eq!(trouble.detail, format!("no connection within 5 s through the proxy 127.0.0.1:{}", proxy.port));
}

#[tokio::test]
async fn a_tunnel_is_opened_with_the_proxys_login_and_the_servers_certificate_is_judged_behind_it() {
    let own = Identity::self_signed(openssl_req("upstream"));
    let (folder, port) = (TempDir::new().unwrap(), own.serve());
    std::fs::write(folder.path().join("ca"), own.pem()).unwrap();
    let bundle = Arc::new(Bundle::open("upstream.caFile", vec![folder.path().join("ca")]).unwrap());
    let proxy = Proxy::start(Habit::Wants(LOGIN));
    let transport = transport(&[("https_proxy", format!("http://user:p%40ss@127.0.0.1:{}", proxy.port))]);
    assert_eq!(ask(&transport, &format!("https://127.0.0.1:{port}/a"), Some(&bundle), 10).await, Ok(StatusCode::OK));
    let trouble = ask(&transport, &format!("https://127.0.0.1:{port}/a"), None, 10).await.unwrap_err();
    assert_eq!((trouble.kind, trouble.cause), (TroubleKind::Tls, Some(Cause::SelfSigned)), "{trouble:?}");
    let trouble = ask(&transport, &format!("https://upstream.test:{port}/a"), Some(&bundle), 10).await.unwrap_err();
    assert_eq!(trouble.cause, Some(Cause::WrongName), "{trouble:?}");
    assert!(proxy.heads().iter().all(|head| head.starts_with("CONNECT ")), "{:?}", proxy.heads());
}

#[tokio::test]
async fn an_http_address_is_asked_of_the_proxy_itself_and_its_407_is_the_proxys() {
    let proxy = Proxy::start(Habit::Wants(LOGIN));
    let with = |login: &str| transport(&[("HTTP_PROXY", format!("http://{login}127.0.0.1:{}", proxy.port))]);
    assert_eq!(ask(&with("user:p%40ss@"), "http://upstream.test/a", None, 10).await, Ok(StatusCode::OK));
    assert!(proxy.heads()[0].starts_with("GET http://upstream.test/a HTTP/1.1\r\n"), "{:?}", proxy.heads());
    let trouble = ask(&with(""), "http://upstream.test/a", None, 10).await.unwrap_err();
    assert_eq!((trouble.kind, trouble.sent, trouble.cause), (TroubleKind::Connect, Sent::No, Some(Cause::ProxyLogin)));
    // no service may have it, so that every connection is refused
    let free = 1;
    let dead = transport(&[("HTTP_PROXY", format!("http://127.0.0.1:{free}"))]);
    let trouble = ask(&dead, "http://upstream.test/a", None, 10).await.unwrap_err();
    assert!(trouble.detail.starts_with(&format!("the proxy 127.0.0.1:{free} refuses the connection")), "{trouble:?}");
}

#[tokio::test]
async fn what_no_proxy_names_and_what_goes_to_gitea_is_reached_directly() {
    let proxy = Proxy::start(Habit::Forwards);
    let port = plain(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    let address = format!("http://127.0.0.1:{port}/a");
    let through = |not: &str| {
        let proxy = format!("http://127.0.0.1:{}", proxy.port);
        transport(&[("HTTP_PROXY", proxy), ("NO_PROXY", not.to_owned())])
    };
    for not in ["*", "127.0.0.0/8", "localhost, 127.0.0.1", &format!("127.0.0.1:{port}")] {
        assert_eq!(ask(&through(not), &address, None, 10).await, Ok(StatusCode::NO_CONTENT), "{not}");
    }
    assert_eq!(proxy.heads(), Vec::<String>::new());
    assert_eq!(ask(&through("127.0.0.1:1"), &address, None, 10).await, Ok(StatusCode::OK));
    assert_eq!(proxy.heads().len(), 1);
    let request = Request::get(&address).body(Bytes::new()).unwrap();
    let timeout = Duration::from_secs(10);
    let call = Call { operation: "test", route: Route::Direct, request, bundle: None, timeout, largest: 1_000 };
    assert_eq!(through("").send(call).await.unwrap().status(), StatusCode::NO_CONTENT);
}
