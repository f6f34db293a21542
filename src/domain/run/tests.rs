//! Words and ends of runs.

use super::*;
use crate::domain::problem::Code;

fn run(ends: &[End]) -> Run {
    let name = |index: usize| MirrorName::parse(&format!("m{index}")).unwrap();
    let at = Timestamp::UNIX_EPOCH;
    let mut run = Run::accepted(RunId(Uuid::nil()), Trigger::Api, "ops".into(), at, (0..ends.len()).map(name));
    for (index, end) in ends.iter().enumerate() {
        run.end_part(&name(index), end, at);
    }
    run
}

#[test]
fn a_label_is_what_serde_writes_and_reads() {
    for phase in Phase::ALL {
        assert_eq!(serde_json::to_value(phase).unwrap(), phase.label());
        assert_eq!(Phase::from_label(phase.label()), Some(*phase));
    }
    for status in Status::ALL {
        assert_eq!(serde_json::to_value(status).unwrap(), status.label());
    }
    for outcome in Outcome::ALL {
        assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.label());
    }
}

#[test]
fn one_failure_fails_the_run_and_a_doubt_makes_it_unverified() {
    let failed = End::Failed { problem: Problem::new(Code::NotAMirror, "x") };
    let unverified = End::Unverified { problem: Problem::new(Code::UpstreamUnreachable, "x") };
    assert_eq!(run(&[unverified.clone(), failed.clone(), End::Canceled]).status(), Status::Failed);
    assert_eq!(run(&[unverified.clone(), End::Canceled]).status(), Status::Canceled);
    assert_eq!(run(std::slice::from_ref(&unverified)).status(), Status::Unverified);
    assert!(run(&[unverified]).finished_at.is_some());
    assert_eq!(run(&[]).status(), Status::Succeeded);
}

#[test]
fn the_first_end_of_a_part_stands() {
    let mut run = run(&[End::Canceled]);
    let name = run.parts[0].name.clone();
    run.end_part(&name, &End::Failed { problem: Problem::new(Code::Internal, "x") }, Timestamp::UNIX_EPOCH);
    assert_eq!(run.status(), Status::Canceled);
}
