use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

fn evicted(permit: &ConnectionPermit) -> bool {
    permit.evicted.is_cancelled()
}

/// One more permit, for which another connection is closed; returns which.
async fn one_more(connections: &Arc<Connections>, permits: &mut Vec<Option<ConnectionPermit>>) -> Option<usize> {
    let mut next = std::pin::pin!(connections.permit());
    assert!(futures_util::poll!(next.as_mut()).is_pending(), "a connection counts until it is closed");
    let gone: Vec<_> = (0..permits.len()).filter(|&n| permits[n].as_ref().is_some_and(evicted)).collect();
    assert!(gone.len() <= 1, "{gone:?}");
    for &n in &gone {
        permits[n] = None;
    }
    permits.push(Some(next.await));
    gone.first().copied()
}

#[tokio::test(start_paused = true)]
async fn at_the_cap_the_one_that_has_been_longest_without_a_complete_request_makes_room() {
    let connections = Arc::new(Connections::new(3));
    let mut permits = Vec::new();
    for _ in 0..3 {
        permits.push(Some(connections.permit().await));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let set_state = |permit: &Option<ConnectionPermit>, state| permit.as_ref().unwrap().set_state(state);
    set_state(&permits[0], ConnectionState::Answering);
    set_state(&permits[0], ConnectionState::Silent); // so that the first is the one that was heard of last
    set_state(&permits[1], ConnectionState::Receiving); // half a body is no complete request
    assert_eq!(one_more(&connections, &mut permits).await, Some(1));
    assert_eq!(one_more(&connections, &mut permits).await, Some(2));
    assert_eq!(connections.table().open.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn while_all_are_being_answered_a_new_one_waits_for_the_first_that_is_done() {
    let connections = Arc::new(Connections::new(2));
    let (one, two) = (connections.permit().await, connections.permit().await);
    one.set_state(ConnectionState::Answering);
    two.set_state(ConnectionState::Answering);
    assert!(tokio::time::timeout(Duration::from_mins(1), connections.permit()).await.is_err());
    assert!(!evicted(&one) && !evicted(&two));
    one.set_state(ConnectionState::Silent);
    let mut three = std::pin::pin!(connections.permit());
    assert!(futures_util::poll!(three.as_mut()).is_pending());
    assert!(evicted(&one) && !evicted(&two));
    drop(one);
    let _three = three.await;
    drop(two);
    let _four = connections.permit().await;
    assert_eq!(connections.table().open.len(), 2);
}

/// The other side of a connection that answers every request with 200, and its end.
fn connect() -> (tokio::io::DuplexStream, tokio::task::JoinHandle<Duration>) {
    let (here, there) = tokio::io::duplex(1_024);
    let router = Router::new().route("/", axum::routing::any(|| async { "here" }));
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let ended = tokio::spawn(async move {
        let began = Instant::now();
        let permit = Arc::new(Connections::new(1)).permit().await;
        drive(here, peer, router, permit, Shutdown::new()).await;
        began.elapsed()
    });
    (there, ended)
}

async fn ask(stream: &mut tokio::io::DuplexStream) {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\nhere") {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "closed without an answer");
    }
    assert!(seen.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_lives_longer_than_a_proxys() {
    // before its first request, as a browser or a proxy opens one ahead
    let (mut ahead, ended) = connect();
    sleep(Duration::from_secs(610)).await;
    ask(&mut ahead).await;
    // and between two, each as long as the longest of the usual proxies keeps one
    for _ in 0..2 {
        sleep(Duration::from_secs(610)).await;
        ask(&mut ahead).await;
    }
    assert_eq!(ended.await.unwrap().as_secs(), 3 * 610 + 620);
    let (_silent, ended) = connect();
    assert_eq!(ended.await.unwrap().as_secs(), 620);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_has_begun_is_whole_within_five_seconds() {
    let (mut first, ended) = connect();
    sleep(Duration::from_secs(100)).await;
    first.write_all(b"G").await.unwrap();
    assert_eq!(ended.await.unwrap().as_secs(), 105);

    let (mut later, ended) = connect();
    ask(&mut later).await;
    sleep(Duration::from_secs(100)).await;
    later.write_all(b"GET / HTTP/1.1\r\nHost: a").await.unwrap();
    assert_eq!(ended.await.unwrap().as_secs(), 105);

    // each byte is heard, and none of them buys more time
    let (mut trickling, ended) = connect();
    for byte in b"GET / HTTP/1.1\r\n" {
        if trickling.write_all(&[*byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(ended.await.unwrap().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn when_there_are_no_descriptors_one_connection_makes_room_and_nothing_spins() {
    let connections = Arc::new(Connections::new(8));
    let permits = [connections.permit().await, connections.permit().await];
    let failed = async |errno: Errno| {
        let began = Instant::now();
        connections.accept_failed(&std::io::Error::from_raw_os_error(errno.raw_os_error())).await;
        began.elapsed()
    };
    // a caller that gave up costs the others nothing
    assert_eq!(failed(Errno::CONNABORTED).await, Duration::ZERO);
    assert_eq!(permits.each_ref().map(evicted), [false, false]);
    for (errno, gone) in [(Errno::BADF, [false, false]), (Errno::MFILE, [true, false]), (Errno::NFILE, [true, true])] {
        assert_eq!(failed(errno).await, NO_SOCKETS, "{errno}");
        assert_eq!(permits.each_ref().map(evicted), gone, "{errno}");
    }
    assert_eq!(failed(Errno::MFILE).await, NO_SOCKETS, "there is none left to make room");
}
