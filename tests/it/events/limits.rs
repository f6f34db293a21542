//! How many streams there are, and what becomes of a reader that does not read.

use serde_json::json;

use super::{assert_rising, kinds};
use crate::world::{World, id, story};

#[test]
fn a_reader_that_does_not_keep_up_is_cut_off_and_goes_on_without_a_gap() {
    story(async |mut world| {
        world.start().await;
        // runs that fail at their first look are the quickest to tell much of
        std::fs::write(world.path("gitea-token"), "no-token-of-any-gitea-0123456789").unwrap();
        let mut slow = world.follow("/events", None).await;
        let mut quick = world.follow("/events", None).await;
        let first = slow.event().await;
        quick.event().await;
        let mut told = Vec::new();
        while told.len() < 400 {
            world.run().await;
            told.extend(quick.until("run-ended").await);
        }
        let mut heard = slow.rest().await;
        assert!(heard.len() < told.len(), "it was cut off");
        assert_eq!(world.metric(r#"cutover_sse_disconnects_total{reason="lagged"}"#).await, Some(1.0));
        let last = heard.last().unwrap_or(&first).id().to_string();
        let mut again = world.follow("/events", Some(&last)).await;
        while heard.len() < told.len() {
            heard.push(again.event().await);
        }
        assert_eq!(heard, told);
    });
}

#[test]
fn with_two_hundred_mirrors_a_stream_tells_everything_and_nothing_is_kept_for_whoever_does_not_read() {
    story(async |mut world: World| {
        let names: Vec<String> = (0..200).map(|n| format!("m{n}")).collect();
        let mirrors: Vec<_> = names.iter().map(|name| (name.as_str(), "one", name.as_str(), "")).collect();
        let yaml = world.yaml_of(&mirrors);
        world.start_with(&yaml).await;
        // each of them fails at its first look
        std::fs::write(world.path("gitea-token"), "no-token-of-any-gitea-0123456789").unwrap();
        let mut idle = world.follow("/events", None).await;
        let mut stream = world.follow("/events", None).await;
        let snapshot = stream.event().await;
        assert_eq!(snapshot.data()["status"], world.get("/status").await.json());
        let asked = world.post(&json!({"mirrors": names})).await;
        let id = id(&asked);
        let told = stream.until("run-ended").await;
        assert_rising(&told);
        assert_eq!(kinds(&told).iter().filter(|kind| **kind == "mirror-ended").count(), 200);
        assert_eq!(told.last().unwrap().data()["run"], world.run_now(&id).await);
        // a snapshot is made when it is read, and the queue behind it is not longer than any other
        let rest = idle.rest().await;
        assert_eq!((kinds(&rest), rest[0].id()), (vec!["snapshot"], snapshot.id()));
        // and from the journal, page by page, the same
        let replayed = world.follow("/events", Some(&rest[0].id().to_string())).await.until("run-ended").await;
        assert_eq!(replayed, told);
    });
}

#[test]
fn a_quarter_of_the_connections_may_be_streams() {
    story(async |mut world: World| {
        let yaml = world.yaml() + "limits: { connections: 16 }\n";
        world.start_with(&yaml).await;
        let mut open = Vec::new();
        for _ in 0..4 {
            open.push(world.follow("/events", None).await);
        }
        let refused = world.get("/events").await;
        assert_eq!((refused.problem().as_str(), refused.status.as_u16()), ("too-many-streams", 503));
        assert_eq!(refused.headers["retry-after"], "5");
        assert_eq!(world.get("/status").await.status, 200);
        open.pop();
        assert_eq!(world.follow("/events", None).await.status, 200);
    });
}

#[test]
fn at_the_end_every_stream_says_so_and_ends() {
    story(async |mut world| {
        world.start().await;
        let mut streams = [world.follow("/events", None).await, world.follow("/events?format=platform", None).await];
        for stream in &mut streams {
            stream.event().await;
        }
        world.begin_the_end();
        let rest = streams[0].rest().await;
        assert_eq!(kinds(&rest), ["shutdown"]);
        assert!(streams[1].rest().await.is_empty());
        assert_eq!(world.metric(r#"cutover_sse_disconnects_total{reason="shutdown"}"#).await, Some(2.0));
        assert_eq!(world.get("/events").await.problem(), "shutting-down");
    });
}
