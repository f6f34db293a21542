use super::*;
use crate::domain::problem::{Code, Problem};
use crate::domain::run::{End, Run, RunId, Trigger};
use crate::journal::Intent;
use uuid::Uuid;

fn named(name: &str) -> MirrorName {
    MirrorName::parse(name).unwrap()
}

fn run_of(age: u128, mirrors: &[&str]) -> Run {
    let mirrors = mirrors.iter().copied().map(named);
    Run::accepted(RunId(Uuid::from_u128(age)), Trigger::Api, "ops".into(), Timestamp::UNIX_EPOCH, mirrors)
}

fn end(run: &mut Run, mirror: &str) {
    let problem = Problem::new(Code::NotAMirror, mirror);
    run.end_part(&named(mirror), &End::Failed { problem }, Timestamp::UNIX_EPOCH);
}

fn run(age: u128, ended: bool) -> Run {
    let mut run = run_of(age, &["openova"]);
    if ended {
        end(&mut run, "openova");
    }
    run
}

#[test]
fn a_mirrors_end_writes_the_run_and_its_parts_keep_their_order() {
    let mut store = Store::in_memory().unwrap();
    let mut run = run_of(1, &["one", "two", "three"]);
    store.write_run(&run, &[]).unwrap();
    for mirror in ["three", "two"] {
        end(&mut run, mirror);
        store.write_end(&named(mirror), &Facts::default(), &[Arc::new(run.clone())], &[], &[]).unwrap();
        assert_eq!(store.in_flight(Timestamp::UNIX_EPOCH).unwrap(), [run.clone()]);
    }
    end(&mut run, "one");
    store.write_end(&named("one"), &Facts::default(), &[Arc::new(run.clone())], &[], &[]).unwrap();
    assert_eq!((store.in_flight(Timestamp::UNIX_EPOCH).unwrap(), store.runs(9, None).unwrap()), (vec![], vec![run]));
    store.retain(Timestamp::UNIX_EPOCH + 31.hours() * 24).unwrap();
    let parts: i64 = store.connection.query_row("SELECT count(*) FROM parts", [], |row| row.get(0)).unwrap();
    assert_eq!(parts, 0);
}

#[test]
fn runs_come_back_as_they_were_written_newest_first() {
    let mut store = Store::in_memory().unwrap();
    for age in 1..=5 {
        store.write_run(&run(age, age != 3), &[]).unwrap();
    }
    let ids = |runs: Vec<Run>| runs.iter().map(|run| run.id.0.as_u128()).collect::<Vec<_>>();
    assert_eq!(ids(store.runs(2, None).unwrap()), [5, 4]);
    assert_eq!(ids(store.runs(9, Some(RunId(Uuid::from_u128(4)))).unwrap()), [3, 2, 1]);
    assert_eq!(ids(store.in_flight(Timestamp::UNIX_EPOCH).unwrap()), [3]);
    assert_eq!(store.run(RunId(Uuid::from_u128(2))).unwrap(), Some(run(2, true)));
    assert_eq!(store.run(RunId(Uuid::from_u128(9))).unwrap(), None);
}

#[test]
fn retention_drops_old_runs_and_never_one_in_flight_nor_the_latest_migrate() {
    let mut store = Store::in_memory().unwrap();
    let intent = |age: u128, kind| Intent {
        run: RunId(Uuid::from_u128(age)),
        mirror: MirrorName::parse("openova").unwrap(),
        kind,
        written_at: Timestamp::UNIX_EPOCH,
        gitea_date: Timestamp::UNIX_EPOCH,
        about: serde_json::Value::Null,
    };
    store.write_run(&run(1, true), &[]).unwrap();
    store.write_run(&run(2, false), &[]).unwrap();
    for (age, kind) in [(1, MIGRATE), (1, "mirror_sync"), (2, "mirror_sync")] {
        store.intend(&intent(age, kind)).unwrap();
    }
    store.retain(Timestamp::UNIX_EPOCH + 31.hours() * 24).unwrap();
    assert_eq!(store.runs(9, None).unwrap().len(), 1);
    let known = store.intents(&MirrorName::parse("openova").unwrap()).unwrap();
    assert_eq!(known.iter().flatten().filter(|intent| intent.kind == MIGRATE).count(), 1);
    let left: i64 = store.connection.query_row("SELECT count(*) FROM intents", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 2);
}

#[test]
fn a_journal_of_version_1_is_taken_over_with_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite3");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(concat!(include_str!("../schema.sql"), "PRAGMA user_version = 1;")).unwrap();
    let mut known = run_of(1, &["one", "two", "three"]);
    end(&mut known, "two");
    let body = serde_json::to_string(&known).unwrap();
    for (id, body) in [(known.id.to_string(), body.as_str()), ("damaged".into(), "{")] {
        old.execute("INSERT INTO runs (id, body) VALUES (?1, ?2)", params![id, body]).unwrap();
    }
    drop(old);
    for _ in 0..2 {
        let mut store = Store::open(&path, &path).unwrap();
        assert_eq!(store.in_flight(Timestamp::UNIX_EPOCH).unwrap(), [known.clone()]);
        let version: i64 = store.connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, SCHEMA);
        let keys: i64 =
            store.connection.query_row("SELECT count(*) FROM idempotency_keys", [], |row| row.get(0)).unwrap();
        assert_eq!(keys, 0);
    }
}

#[test]
fn a_journal_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite3");
    let store = Store::open(&path, &path).unwrap();
    store.connection.pragma_update(None, "user_version", 99).unwrap();
    drop(store);
    assert!(matches!(Store::open(&path, &path), Err(OpenError::Schema { found: 99, known: SCHEMA })));
    std::fs::write(&path, "this is no database, whatever its name says").unwrap();
    assert!(matches!(Store::open(&path, &path), Err(OpenError::Database { .. })));
}
