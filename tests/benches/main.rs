//! The figures that cutover-api is held to, each beside what it is compared with, measured in one run.
//!
//! ```text
//! cargo bench
//! cargo bench -- memory    # only the memory that lists of refs take
//! cargo bench -- reads     # only the reads with 200 mirrors
//! ```
//!
//! Machines are noisy, so nothing here is a test: a figure over its limit is printed as such and ends with status 1,
//! and it is for a person to say whether the machine or the code is to blame. Servers are the stand-in Gitea and a real
//! git upstream on loopback; the service is the release binary in a process of its own.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]
#![expect(clippy::format_push_string, reason = "a configuration is written piece by piece")]

mod bench;
mod http;
mod memory;
mod reads;

use std::process::ExitCode;
use std::time::Duration;

use bench::{Bed, TOKEN, Table, median};

fn main() -> ExitCode {
    // `cargo test --benches` and `cargo bench` both hand over flags of libtest's; there is little to choose here
    let mut table = Table::default();
    let alone = |name: &str| std::env::args().any(|argument| argument == name);
    if alone("memory") || alone("reads") {
        if alone("memory") {
            memory::figures(&mut table);
        } else {
            reads::figures(&mut table);
        }
        table.print();
        return if table.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let bed = Bed::new(3);

    table.figure("release binary", bench::binary_size(), 14.0, "MB");
    table.figure("start to ready, median of 5", median((0..5).map(|_| bed.start_to_ready())), 50.0, "ms");

    let service = bed.serve();
    table.figure("resident memory, idle", service.resident_mib(), 16.0, "MiB");

    let mut cut_overs = Vec::new();
    for round in 0..3 {
        let raw = bed.raw_cut_over(round);
        cut_overs.push((bed.cut_over(&service, round), raw));
    }
    let (ours, raw) = (median(cut_overs.iter().map(|pair| pair.0)), median(cut_overs.iter().map(|pair| pair.1)));
    table.beside("cut-over of 5,000 commits", ours, raw, 1.05 * raw + 150.0);

    let mut noops = Vec::new();
    for round in 0..15 {
        let raw = bed.raw_noop(round % 3);
        noops.push((bed.cut_over(&service, round % 3), raw));
    }
    let (ours, raw) = (median(noops.iter().map(|pair| pair.0)), median(noops.iter().map(|pair| pair.1)));
    table.beside("noop", ours, raw, raw + 20.0);

    let mut pushes = Vec::new();
    for round in 0..9 {
        // Gitea's own clock has seconds only: two syncs within one could not be told apart
        std::thread::sleep(Duration::from_millis(1_100));
        let raw = bed.push_by_hand(round % 3);
        std::thread::sleep(Duration::from_millis(1_100));
        pushes.push((bed.push_by_webhook(&service, round % 3), raw));
    }
    let (ours, raw) = (median(pushes.iter().map(|pair| pair.0)), median(pushes.iter().map(|pair| pair.1)));
    table.beside("push to proof, by webhook", ours, raw, 1.2 * raw);

    table.figure("10,000 refs compared and digested", memory::compare_refs(10_000), 50.0, "ms");
    table.figure("resident memory, after it all", service.resident_mib(), 48.0, "MiB");
    drop(service);

    // on a bed of its own, so that the run they all join has a clone to wait for
    let (bed, connections, each) = (Bed::new(1), 200, 5);
    let (p99, runs) = http::identical_posts(bed.serve().address, TOKEN, connections, each);
    table.figure("1,000 identical POSTs, p99", p99, 50.0, "ms");
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    table.figure("runs that they made", runs as f64, 1.0, "");

    memory::figures(&mut table);
    reads::figures(&mut table);

    table.print();
    // lets a log that is read from the other end see the whole table
    std::thread::sleep(Duration::from_millis(10));
    if table.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
