use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

fn evicted(place: &Place) -> bool {
    place.evicted.is_cancelled()
}

#[tokio::test(start_paused = true)]
async fn at_the_cap_the_one_that_has_been_longest_without_a_complete_request_makes_room() {
    let connections = Arc::new(Connections::new(3));
    let mut places = Vec::new();
    for _ in 0..3 {
        places.push(connections.place().await);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    places[0].stands(Stand::Answering);
    places[0].stands(Stand::Silent); // so that the first is the one that was heard of last
    places[1].stands(Stand::Receiving); // half a body is no complete request
    places.push(connections.place().await);
    assert_eq!(places.iter().map(evicted).collect::<Vec<_>>(), [false, true, false, false]);
    places.push(connections.place().await);
    assert_eq!(places.iter().map(evicted).collect::<Vec<_>>(), [false, true, true, false, false]);
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
    let _three = connections.place().await;
    assert!(evicted(&one) && !evicted(&two));
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
