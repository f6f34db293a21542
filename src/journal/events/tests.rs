use jiff::{Timestamp, ToSpan as _};
use uuid::Uuid;

use super::*;
use crate::domain::event::ModeChanged;
use crate::domain::names::MirrorName;
use crate::domain::run::{End, Run, Trigger};

fn event(id: u64) -> Arc<Recorded> {
    let mirror = MirrorName::parse("one").unwrap();
    let event = Event::Mode(ModeChanged { mirror, mode: "pinned".into() });
    Arc::new(Recorded { id: EventId::new(id), at: Timestamp::UNIX_EPOCH, event })
}

fn ids(store: &mut Store, after: u64) -> Vec<u64> {
    let page = store.events(EventId::new(after), EventId::new(u64::MAX >> 1), None, 50_000).unwrap();
    page.events.iter().map(|event| event.id.get()).collect()
}

fn run(age: u128, ended: bool) -> Arc<Run> {
    let name = MirrorName::parse("one").unwrap();
    let at = Timestamp::UNIX_EPOCH;
    let mut run = Run::accepted(RunId(Uuid::from_u128(age)), Trigger::Api, "ops".into(), at, [name.clone()]);
    if ended {
        run.end_part(&name, &End::Canceled, at);
    }
    Arc::new(run)
}

#[test]
fn every_kind_comes_back_as_it_was_written_in_order_and_by_run() {
    let mut store = Store::in_memory().unwrap();
    let (accepted, ended) = (run(1, false), run(1, true));
    let recorded = |id, event| Arc::new(Recorded { id: EventId::new(id), at: Timestamp::UNIX_EPOCH, event });
    let mut events = vec![recorded(1, Event::RunAccepted(accepted))];
    let ends = crate::domain::event::of_ends(&ended, [&ended.parts[0].name]);
    events.extend(ends.into_iter().zip(2..).map(|(event, id)| recorded(id, event)));
    store.write_run(&ended, &events).unwrap();
    locked(&store.ledger.outbox).note([event(9)]);
    assert_eq!(ids(&mut store, 0), [1, 2, 3], "what waits is not written by a read");
    store.flush_events().unwrap();
    events.push(event(9));
    let upto = EventId::new(99);
    assert_eq!(store.events(EventId::default(), upto, None, 50).unwrap().events, events);
    let of_run = store.events(EventId::new(1), upto, Some(ended.id), 50).unwrap().events;
    assert_eq!(of_run, events[1..3]);
    assert_eq!(store.events(EventId::default(), EventId::new(2), None, 1).unwrap().events, events[..1]);
}

#[test]
fn ten_thousand_are_kept_and_the_journal_says_which_are_gone() {
    let mut store = Store::in_memory().unwrap();
    store.begin_events().unwrap();
    for chunk in 0..21 {
        let events: Vec<_> = (0..500).map(|n| event(chunk * 500 + n + 1)).collect();
        store.write_run(&run(1, false), &events).unwrap();
        store.retain(Timestamp::UNIX_EPOCH).unwrap();
    }
    assert_eq!(ids(&mut store, 0).len(), 10_500);
    store.write_run(&run(1, false), &[event(10_501)]).unwrap();
    store.retain(Timestamp::UNIX_EPOCH).unwrap();
    let left = ids(&mut store, 0);
    assert_eq!((left.len(), left[0]), (10_000, 502));
    assert_eq!(store.flush_events().unwrap(), EventId::new(501));
}

#[test]
fn the_end_of_a_dropped_run_is_dropped_with_all_earlier_events() {
    let mut store = Store::in_memory().unwrap();
    let ended = run(1, true);
    let end = Arc::new(Recorded {
        id: EventId::new(2),
        at: Timestamp::UNIX_EPOCH,
        event: Event::RunEnded(Arc::clone(&ended)),
    });
    store.write_run(&ended, &[event(1), end, event(3)]).unwrap();
    store.retain(Timestamp::UNIX_EPOCH + 31.hours() * 24).unwrap();
    assert_eq!(ids(&mut store, 0), [3]);
    assert_eq!(store.flush_events().unwrap(), EventId::new(2));
}

#[test]
fn no_process_reuses_an_id_of_an_earlier_one() {
    let mut store = Store::in_memory().unwrap();
    let first = store.begin_events().unwrap().get();
    store.write_run(&run(1, false), &[event(first + 1)]).unwrap();
    // These wait in memory and are lost with the process.
    locked(&store.ledger.outbox).note((2..=BLOCK / 2).map(|n| event(first + n)));
    let second = store.begin_events().unwrap().get();
    assert!(second >= first + BLOCK / 2, "{first} {second}");
    store.flush_events().unwrap();
    assert_eq!(ids(&mut store, 0), [first + 1]);
    // A process reserves further blocks before it runs out of ids.
    store.write_run(&run(1, false), &[event(second + BLOCK - 1)]).unwrap();
    assert!(store.begin_events().unwrap().get() > second + BLOCK);
}

#[test]
fn unwritten_events_wait_and_over_the_limit_they_are_reported_as_dropped() {
    let mut store = Store::in_memory().unwrap();
    store.write_run(&run(1, false), &[event(1)]).unwrap();
    store
        .connection
        .execute_batch("CREATE TEMP TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    locked(&store.ledger.outbox).note([event(2)]);
    assert!(store.flush_events().is_err() && store.write_run(&run(1, true), &[]).is_err());
    assert_eq!(store.run(run(1, true).id).unwrap().unwrap(), *run(1, false), "both or neither");
    assert_eq!(locked(&store.ledger.outbox).len(), 1);
    store.connection.execute_batch("DROP TRIGGER full").unwrap();
    store.write_run(&run(1, true), &[event(3)]).unwrap();
    assert_eq!(ids(&mut store, 0), [1, 2, 3]);
    locked(&store.ledger.outbox).note((4..5_000).map(event));
    locked(&store.ledger.outbox).note([event(5_000)]);
    assert_eq!(store.flush_events().unwrap(), EventId::new(4_999));
    assert_eq!(ids(&mut store, 0), [5_000]);
}
