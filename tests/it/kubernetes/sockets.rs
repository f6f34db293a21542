//! The API server over sockets: whom its certificate convinces, and the whole service beside it.
//!
//! The key in `authority/` is of a certificate for 127.0.0.1 that nobody trusts but these tests; the authorities' own
//! keys were thrown away.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cutover_api::domain::answer::{Trouble, TroubleKind};
use cutover_api::transport::{Call, HttpTransport, Route, Transport as _};
use http::{Request, StatusCode};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::server::ApiServer;
use super::{OURS, PLATFORM, PLATFORM_NAME};
use crate::http::stage::{Setting, Stage};

const AUTHORITY: &[u8] = include_bytes!("authority/authority.pem");
const ANOTHER: &[u8] = include_bytes!("authority/another.pem");
const SERVER: &[u8] = include_bytes!("authority/server.pem");
const SERVER_KEY: &[u8] = include_bytes!("authority/server-key.pem");

/// A server that answers each connection's first request with 200.
fn tls_server() -> u16 {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(SERVER).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(SERVER_KEY).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (listener, config) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(config));
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream.unwrap());
            if stream.read(&mut [0; 4_096]).is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}");
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    port
}

async fn get(transport: &HttpTransport, route: Route, port: u16) -> Result<StatusCode, Trouble> {
    let request = Request::get(format!("https://127.0.0.1:{port}/version")).body(Bytes::new()).unwrap();
    let call =
        Call { operation: "test", route, request, bundle: None, timeout: Duration::from_secs(10), largest: 1_000 };
    transport.send(call).await.map(|answer| answer.status())
}

#[tokio::test]
async fn the_api_server_is_believed_by_the_cluster_s_own_authority_and_no_other() {
    let (port, folder) = (tls_server(), tempfile::tempdir().unwrap());
    let file = folder.path().join("ca.crt");
    let transport = HttpTransport::new(None).unwrap().trusting(file.clone());
    let refused = |result: Result<StatusCode, Trouble>| {
        let trouble = result.unwrap_err();
        assert_eq!(trouble.kind, TroubleKind::Tls, "{trouble:?}");
        trouble.detail
    };
    assert!(refused(get(&transport, Route::Cluster, port).await).contains("does not exist"));
    let none = "holds no certificate";
    for (content, words) in [(&b""[..], none), (b"hello", none), (ANOTHER, "which is not trusted here")] {
        std::fs::write(&file, content).unwrap();
        let detail = refused(get(&transport, Route::Cluster, port).await);
        assert!(detail.contains(words), "{detail}");
    }
    // the file is looked at again each time, and may hold the old authority beside the new one
    std::fs::write(&file, [ANOTHER, AUTHORITY].concat()).unwrap();
    assert_eq!(get(&transport, Route::Cluster, port).await, Ok(StatusCode::OK));
    assert_eq!(get(&transport, Route::Cluster, port).await, Ok(StatusCode::OK));
    // and what is believed there is believed nowhere else
    for route in [Route::Direct, Route::Proxied] {
        refused(get(&transport, route, port).await);
    }
    std::fs::write(&file, ANOTHER).unwrap();
    refused(get(&transport, Route::Cluster, port).await);
    refused(get(&HttpTransport::new(None).unwrap(), Route::Cluster, port).await);
}

/// Serves the scripted API server on loopback, on a thread of its own, and says at which URL.
pub(crate) fn on_a_socket(server: &ApiServer) -> String {
    let (router, listener) = (server.router(), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    format!("http://{address}")
}

#[test]
fn the_whole_service_recognises_callers_over_a_socket_and_counts_what_it_asks() {
    let server = ApiServer::default();
    server.our_token_is(OURS);
    server.account(PLATFORM, PLATFORM_NAME, &[]);
    let address = on_a_socket(&server);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, OURS).unwrap();
    let yaml = format!(
        "kubernetes:\n  enabled: true\n  apiServer: {address}\n  tokenFile: {}\n  operators: ['{PLATFORM_NAME}']\n  \
         statusConfigMap: ''\n  pastPivotGuard: false\n",
        token.display()
    );
    let stage = Stage::set(Setting { yaml: &yaml, anonymous: false });
    let ask = |token: &str, path: &str| {
        stage
            .say(format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
            ))
            .unwrap()
    };
    assert_eq!((ask(PLATFORM, "/status").status, ask(PLATFORM, "/status").status), (200, 200));
    assert_eq!(ask("somebody-else-s", "/status").code(), "unauthenticated");
    assert_eq!(server.count("create tokenreviews"), 2);
    let metrics = ask("", "/metrics").text();
    let series = "cutover_kubernetes_requests_total{code=\"201\",operation=\"review_token\"} 2";
    assert!(metrics.lines().any(|line| line == series), "{metrics}");
}
