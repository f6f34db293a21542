use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use jiff::{Timestamp, ToSpan as _};
use uuid::Uuid;

use super::*;
use crate::domain::event::{Event, EventId, Recorded};
use crate::domain::evidence::{PruneCertainty, PruneMemory};
use crate::domain::key::{Fingerprint, Key, Keyed};
use crate::domain::mode::{Mode, ModeChange, Source};
use crate::domain::names::MirrorName;
use crate::domain::notice::Notice;
use crate::domain::refs::Prune;
use crate::domain::run::{End, Run, RunId, Trigger};
use crate::domain::status::Facts;
use crate::journal::{Intent, KnownDelivery, MIGRATE};

fn name(text: &str) -> MirrorName {
    MirrorName::parse(text).unwrap()
}

fn id(number: u128) -> RunId {
    RunId(Uuid::from_u128(number))
}

fn now() -> Timestamp {
    "2026-11-23T10:00:00Z".parse().unwrap()
}

fn run(number: u128, ended: bool) -> Arc<Run> {
    let mut run = Run::accepted(id(number), Trigger::Api, "ops".into(), now(), [name("one"), name("two")]);
    if ended {
        run.end_part(&name("one"), &End::Canceled, now());
        run.end_part(&name("two"), &End::Canceled, now());
    }
    Arc::new(run)
}

fn keyed() -> Keyed {
    Keyed { caller: "ops".into(), key: Key::parse("k").unwrap(), request: Fingerprint::of("{}") }
}

fn in_flight() -> Vec<(RunId, MirrorName)> {
    ["one", "two"].map(|mirror| (id(1), name(mirror))).to_vec()
}

/// Writes two rows of each kind: one to damage, one to keep.
fn fill(store: &mut Store) {
    store.begin_events().unwrap();
    let told = |number| {
        let event = Event::RunAccepted(run(number, false));
        [Arc::new(Recorded { id: EventId::new(u64::try_from(number).unwrap()), at: now(), event })]
    };
    store.accept(&run(1, false), Some(&keyed()), &told(1)).unwrap();
    store.accept(&run(2, true), None, &told(2)).unwrap();
    for mirror in ["one", "two"] {
        let memory = PruneMemory { repository: 7, prune: Prune::Off, certainty: PruneCertainty::Known };
        store.remember_pruning(&name(mirror), &memory).unwrap();
        let notice = Notice { id: Uuid::now_v7(), mirror: name(mirror), body: "{\"a\":1}".into(), at: now() };
        store.write_facts(&[(name(mirror), Facts::default())], &[notice]).unwrap();
        for run in [1, 2] {
            let intent = Intent {
                run: id(run),
                mirror: name(mirror),
                kind: MIGRATE,
                written_at: now(),
                gitea_date: now(),
                about: serde_json::json!({ "target": "openova/one" }),
            };
            store.intend(&intent).unwrap();
        }
        let change = ModeChange {
            id: RunId(Uuid::now_v7()),
            mode: Mode::Pinned,
            source: Source::Api,
            by: Some("ops".into()),
            reason: None,
            at: now(),
            configured: Mode::Follow,
            convert: false,
            applied_at: None,
            problem: None,
        };
        store.write_mode(&name(mirror), &change).unwrap();
        let delivery = KnownDelivery { mirror: name(mirror), id: "d".into(), run: id(1), received_at: now() };
        store.write_deliveries(&[delivery]).unwrap();
    }
    store.connection.execute("UPDATE intents SET answer = '{\"answer\":\"created\"}'", []).unwrap();
    for _ in 0..2 {
        store.begin_life(&in_flight()).unwrap();
    }
}

/// Uses the journal as a start, a run, a reader and a webhook do.
fn use_everything(store: &mut Store) -> Result<(), JournalError> {
    for mirror in ["one", "two"] {
        store.remembered(&name(mirror))?;
        assert!(store.intents(&name(mirror))?.len() <= 2);
    }
    store.runs(9, None)?;
    store.begin_life(&in_flight())?;
    let begun = store.begin_events()?;
    store.events(EventId::default(), begun, None, 99)?;
    store.deliveries()?;
    store.request_of(&keyed(), now())?;
    for run in store.in_flight(now())? {
        assert!(run.parts.iter().any(|part| part.end.is_none()), "it can come to its end: {run:?}");
        store.write_run(&run, &[])?;
    }
    store.run(id(1))?;
    while let Some(next) = store.outbox(now(), Duration::from_mins(1))?.next {
        store.told(next.seq)?;
    }
    store.accept(&run(3, false), Some(&keyed()), &[])?;
    assert_eq!(store.request_of(&keyed(), now())?.map(|known| known.run), Some(id(3)), "a key is taken anew");
    store.retain(now() + 40.hours() * 24)
}

/// All text columns, with their tables.
fn columns(store: &Store) -> Vec<(String, String)> {
    let query = "SELECT m.name, c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c \
                 WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND c.type = 'TEXT'";
    let mut statement = store.connection.prepare(query).unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

#[test]
fn damaged_text_in_any_column_stops_no_use_of_the_journal() {
    let mut pristine = Store::in_memory().unwrap();
    fill(&mut pristine);
    use_everything(&mut pristine).unwrap();
    assert_eq!(pristine.damage.borrow().seen.len(), 0, "what is sound is not told");
    let columns = columns(&pristine);
    assert!(columns.len() > 30, "{columns:?}");
    for (table, column) in columns {
        let one = match table.as_str() {
            "crashes" => "mirror = 'one'",
            "parts" => "place = 0 AND run = (SELECT min(run) FROM parts)",
            _ => &format!("rowid = (SELECT min(rowid) FROM {table})"),
        };
        // One flipped bit at the beginning, in the middle and at the end, and texts of other programs.
        let flipped = |at: &str, bit: u8| {
            format!(
                "CAST(substr(CAST({column} AS BLOB), 1, {at}) || char((unicode(substr({column}, {at} + 1, 1)) | {bit}) - \
                 (unicode(substr({column}, {at} + 1, 1)) & {bit})) || substr({column}, {at} + 2) AS TEXT)"
            )
        };
        let mut damages = vec!["CAST(x'ff' AS TEXT)".to_owned(), "'{'".to_owned(), "''".to_owned()];
        let places = ["0", &format!("length({column}) / 2"), &format!("length({column}) - 1")];
        damages.extend(places.into_iter().zip([1, 4, 16]).map(|(at, bit)| flipped(at, bit)));
        for damage in damages {
            let mut store = Store::in_memory().unwrap();
            fill(&mut store);
            let changed = store.connection.execute(&format!("UPDATE {table} SET {column} = {damage} WHERE {one}"), []);
            let told = format!("{table}.{column} = {damage}");
            assert_eq!(changed, Ok(1), "{told}");
            use_everything(&mut store).unwrap_or_else(|error| panic!("{told}: {error}"));
        }
    }
}

#[test]
fn each_row_that_cannot_be_read_is_counted_once_by_its_table() {
    let mut store = Store::in_memory().unwrap();
    fill(&mut store);
    let counted = Arc::new(Mutex::new(Vec::new()));
    let tables = Arc::clone(&counted);
    store.damage.get_mut().counted_by(Arc::new(move |table| tables.lock().unwrap().push(table)));
    for table in ["intents", "mode_changes", "deliveries", "runs", "events", "notices", "idempotency_keys", "mirrors"] {
        let column = match table {
            "intents" => "about",
            "deliveries" => "received_at",
            "idempotency_keys" => "created_at",
            "mirrors" => "facts",
            _ => "body",
        };
        store.connection.execute(&format!("UPDATE {table} SET {column} = '{{'"), []).unwrap();
        let (begin, end) = (EventId::default(), EventId::new(99));
        for _ in 0..2 {
            store.intents(&name("one")).unwrap();
            store.remembered(&name("one")).unwrap();
            store.deliveries().unwrap();
            store.request_of(&keyed(), now()).unwrap();
            store.runs(9, None).unwrap();
            store.events(begin, end, None, 9).unwrap();
            store.outbox(now(), Duration::from_mins(1)).unwrap();
        }
        let told = std::mem::take(&mut *counted.lock().unwrap());
        let rows = if matches!(table, "mode_changes" | "idempotency_keys" | "mirrors") { 1 } else { 2 };
        assert_eq!(told, vec![table; rows]);
    }
}

#[test]
fn a_run_with_a_lost_part_is_not_returned_and_not_in_flight() {
    for damage in ["UPDATE parts SET body = '{'", "DELETE FROM parts WHERE place = 0", "DELETE FROM parts"] {
        let mut store = Store::in_memory().unwrap();
        fill(&mut store);
        store.connection.execute_batch(damage).unwrap();
        assert_eq!(store.in_flight(now()).unwrap(), [], "{damage}");
        assert_eq!((store.run(id(1)).unwrap(), store.runs(9, None).unwrap()), (None, vec![]), "{damage}");
        let open: i64 = store
            .connection
            .query_row("SELECT count(*) FROM runs WHERE ended_at IS NULL", [], |row| row.get(0))
            .unwrap();
        assert_eq!(open, 0, "{damage}");
    }
}

#[test]
fn a_page_of_runs_is_full_whatever_cannot_be_read_in_between() {
    let mut store = Store::in_memory().unwrap();
    for number in 1..=5 {
        store.write_run(&run(number, true), &[]).unwrap();
    }
    store.connection.execute("UPDATE runs SET body = '{' WHERE id = ?1", [id(4).to_string()]).unwrap();
    let ids: Vec<_> = store.runs(2, None).unwrap().iter().map(|run| run.id).collect();
    assert_eq!(ids, [id(5), id(3)]);
}

/// Flips one bit of a file.
fn flip(path: &Path, bit: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn no_bit_of_the_file_makes_a_start_panic_or_hang() {
    let folder = tempfile::tempdir().unwrap();
    let sound = folder.path().join("sound");
    let mut store = Store::open(&sound, &sound).unwrap();
    fill(&mut store);
    drop(store);
    let size = usize::try_from(std::fs::metadata(&sound).unwrap().len()).unwrap() * 8;
    let (mut bit, mut went_on) = (0, 0);
    for _ in 0..40 {
        // Bits all over the file, the same in each run of the test.
        bit = (bit + 7_919 * 13) % size;
        let damaged = folder.path().join(format!("damaged-{bit}"));
        std::fs::copy(&sound, &damaged).unwrap();
        flip(&damaged, bit);
        let used = Store::open(&damaged, &damaged).map(|mut store| use_everything(&mut store));
        went_on += usize::from(matches!(used, Ok(Ok(()))));
    }
    assert!(went_on > 20, "most of a file is no structure: {went_on}");
}
