//! Holds the tests to waiting well: nothing sleeps on real time, and no port is asked for to be given back and hoped for.

use std::fs;

use super::{files, root};

/// Files that may do what is forbidden, and why.
const ALLOWED: [(&str, &str); 4] = [
    ("tests/benches/", "measures real time"),
    ("tests/standin/src/git.rs", "waits for a child process of git, also while tokio's time is paused"),
    ("tests/demo/", "is shown to a person, in real time"),
    ("tests/it/pages/mod.rs", "the commands of a page name the port before the service has one"),
];

/// What a file does that a test must not do. `code` has no comments, and `""` for each literal.
fn faults(code: &str) -> Vec<&'static str> {
    let mut faults = Vec::new();
    if code.contains("thread::sleep") {
        faults.push("thread::sleep: wait for what has to come, as `wait_for` in tests/it/http/stage.rs does");
    }
    // a stage's and a scene's service is on real time, and so is a test of tokio's that does not pause it
    let real = ["Stage::set(", "Scene::set(", "#[tokio::test]"].iter().any(|sign| code.contains(sign));
    let paused = ["story(", "story_in_a_cluster(", "start_paused"].iter().any(|sign| code.contains(sign));
    if real && !paused && code.contains("sleep(") {
        faults.push("tokio's sleep on real time: wait for what has to come");
    }
    if code.split(';').any(|statement| statement.contains("TcpListener::bind(") && statement.contains("local_addr")) {
        faults.push("a port that is bound and given back: let the service bind port 0 and say its address");
    }
    faults
}

#[test]
fn no_test_sleeps_on_real_time_or_hopes_for_a_port() {
    let (mut wrong, mut read, mut needed) = (Vec::new(), 0, [false; ALLOWED.len()]);
    for path in ["src", "tests"].iter().flat_map(|folder| files(&root().join(folder), "rs")) {
        let place = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let found = faults(&super::parts(&fs::read_to_string(&path).unwrap()).code);
        read += 1;
        match ALLOWED.iter().position(|(allowed, _)| place.starts_with(allowed)) {
            Some(at) => needed[at] |= !found.is_empty(),
            None => wrong.extend(found.iter().map(|fault| format!("{place}: {fault}"))),
        }
    }
    assert!(read > 300, "only {read} files were read");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(needed.iter().all(|needed| *needed), "ALLOWED has an entry that nothing needs: {needed:?}");
}

#[test]
fn planted_sleeps_and_ports_are_found() {
    assert_eq!(faults("std::thread::sleep(a)").len(), 1);
    assert_eq!(faults("Stage::set(a); tokio::time::sleep(b).await;").len(), 1);
    assert_eq!(faults("story(async || tokio::time::sleep(b).await);").len(), 0);
    assert_eq!(faults("let a = TcpListener::bind(b).unwrap().local_addr();").len(), 1);
    assert_eq!(faults("let a = TcpListener::bind(b).unwrap(); let c = a.local_addr();").len(), 0);
}
