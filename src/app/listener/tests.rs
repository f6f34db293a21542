use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

fn evicted(place: &Place) -> bool {
    place.evicted.is_cancelled()
}

/// One more place, for which the connection of another is closed; says which.
async fn one_more(connections: &Arc<Connections>, places: &mut Vec<Option<Place>>) -> Option<usize> {
    let mut next = std::pin::pin!(connections.place());
    assert!(futures_util::poll!(next.as_mut()).is_pending(), "a connection counts until it is closed");
    let gone: Vec<_> = (0..places.len()).filter(|&n| places[n].as_ref().is_some_and(evicted)).collect();
    assert!(gone.len() <= 1, "{gone:?}");
    for &n in &gone {
        places[n] = None;
    }
    places.push(Some(next.await));
    gone.first().copied()
}

#[tokio::test(start_paused = true)]
async fn at_the_cap_the_one_that_has_been_longest_without_a_complete_request_makes_room() {
    let connections = Arc::new(Connections::new(3));
    let mut places = Vec::new();
    for _ in 0..3 {
        places.push(Some(connections.place().await));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let stands = |place: &Option<Place>, stand| place.as_ref().unwrap().stands(stand);
    stands(&places[0], Stand::Answering);
    stands(&places[0], Stand::Silent); // so that the first is the one that was heard of last
    stands(&places[1], Stand::Receiving); // half a body is no complete request
    assert_eq!(one_more(&connections, &mut places).await, Some(1));
    assert_eq!(one_more(&connections, &mut places).await, Some(2));
    assert_eq!(connections.table().open.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn while_all_are_being_answered_a_new_one_waits_for_the_first_that_is_done() {
    let connections = Arc::new(Connections::new(2));
    let (one, two) = (connections.place().await, connections.place().await);
    one.stands(Stand::Answering);
    two.stands(Stand::Answering);
    assert!(tokio::time::timeout(Duration::from_mins(1), connections.place()).await.is_err());
    assert!(!evicted(&one) && !evicted(&two));
    one.stands(Stand::Silent);
    let mut three = std::pin::pin!(connections.place());
    assert!(futures_util::poll!(three.as_mut()).is_pending());
    assert!(evicted(&one) && !evicted(&two));
    drop(one);
    let _three = three.await;
    drop(two);
    let _four = connections.place().await;
    assert_eq!(connections.table().open.len(), 2);
}

/// The other side of a connection that answers every request with 200, and its end.
fn connect() -> (tokio::io::DuplexStream, tokio::task::JoinHandle<Duration>) {
    let (here, there) = tokio::io::duplex(1_024);
    let router = Router::new().route("/", axum::routing::any(|| async { "here" }));
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let ended = tokio::spawn(async move {
        let began = Instant::now();
        let place = Arc::new(Connections::new(1)).place().await;
        drive(here, peer, router, place, Shutdown::new()).await;
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
    let places = [connections.place().await, connections.place().await];
    let failed = async |errno: Errno| {
        let began = Instant::now();
        connections.accept_failed(&std::io::Error::from_raw_os_error(errno.raw_os_error())).await;
        began.elapsed()
    };
    // a caller that gave up costs the others nothing
    assert_eq!(failed(Errno::CONNABORTED).await, Duration::ZERO);
    assert_eq!(places.each_ref().map(evicted), [false, false]);
    for (errno, gone) in [(Errno::BADF, [false, false]), (Errno::MFILE, [true, false]), (Errno::NFILE, [true, true])] {
        assert_eq!(failed(errno).await, NO_SOCKETS, "{errno}");
        assert_eq!(places.each_ref().map(evicted), gone, "{errno}");
    }
    assert_eq!(failed(Errno::MFILE).await, NO_SOCKETS, "there is none left to make room");
}
