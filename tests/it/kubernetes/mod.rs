//! cutover-api beside a scripted Kubernetes API server: callers, the platform's status, and the guard after its pivot.

mod cutover_state;
mod identity;
mod pivot;
pub(crate) mod server;
pub(crate) mod sockets;
mod success_report;

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, header};
use tracing::Dispatch;

use crate::world::{Answer, World, story};
use server::{API_SERVER, ApiServer};

/// Our own service account's token.
const OURS: &str = "our-own-service-account-token-0123456789";

/// The platform's, and its user's name.
const PLATFORM: &str = "platform-service-account-token-0123456789";
const PLATFORM_NAME: &str = "system:serviceaccount:catalyst:catalyst-api";

/// Somebody's who reads.
const READER: &str = "reader-service-account-token-0123456789";
const READER_NAME: &str = "system:serviceaccount:monitoring:grafana";

/// A story beside an API server, where `kubernetes` in the configuration has these lines more.
fn story_in_a_cluster(lines: &'static str, test: impl AsyncFnOnce(World, ApiServer)) {
    story(async |mut world| {
        let server = ApiServer::default();
        server.our_token_is(OURS);
        server.account(PLATFORM, PLATFORM_NAME, &[]);
        server.account(READER, READER_NAME, &[]);
        world.in_process.up(API_SERVER, server.router());
        std::fs::write(world.path("our-token"), OURS).unwrap();
        start(&mut world, lines).await;
        test(world, server).await;
    });
}

/// Starts the service with these lines under `kubernetes`.
async fn start(world: &mut World, lines: &str) {
    let mirrors = world.yaml();
    start_as(world, &mirrors, lines).await;
}

/// The same, with other mirrors.
async fn start_as(world: &mut World, mirrors: &str, lines: &str) {
    let token = world.path("our-token");
    let mut yaml = format!("{mirrors}kubernetes:\n  enabled: true\n");
    yaml += &format!("  apiServer: https://{API_SERVER}\n  tokenFile: {}\n", token.display());
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        yaml.extend(["  ", line, "\n"]);
    }
    world.start_with(&yaml).await;
}

/// A request with a bearer token.
async fn ask_as(world: &World, token: &str, method: Method, path: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    world.send(request.body(Body::empty()).unwrap()).await
}

/// `GET /status` with a bearer token.
async fn read_as(world: &World, token: &str) -> Answer {
    ask_as(world, token, Method::GET, "/status").await
}

/// The value of a series in the metrics.
async fn metric(world: &World, series: &str) -> Option<f64> {
    let text = world.get("/metrics").await.text;
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Waits, a minute at most, for something that happens behind everybody's back.
async fn until(what: impl Fn() -> bool) {
    let began = tokio::time::Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_mins(1), "waited in vain");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Everything that is logged on this thread while it lives.
struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

/// While there is one subscriber alone, a line that another thread comes by first is judged by that thread's own, which
/// is none, and is then silent everywhere; with a second one, all are asked.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| {
    Dispatch::new(tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(std::io::sink).finish())
});

impl Log {
    fn begin() -> Self {
        LazyLock::force(&SECOND);
        let text: Arc<Mutex<Vec<u8>>> = Arc::default();
        let into = Arc::clone(&text);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || Into(Arc::clone(&into)))
            .finish();
        Self { text, _guard: tracing::subscriber::set_default(subscriber) }
    }

    fn text(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }
}

struct Into(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Into {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
