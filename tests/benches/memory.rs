//! How much memory lists of refs take, and how long their comparison: the release binary against servers that make their lists up as they send them, so
//! that nothing but the service has them in memory.

use std::fs;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use cutover_api::domain::refs::{ObjectId, Prune, RefList, RefName, compare};
use tempfile::TempDir;

use crate::bench::{PATIENCE, Service, TOKEN, Table, milliseconds, now};

/// A name of 60 bytes.
fn name(number: usize) -> String {
    if number == 0 { "refs/heads/main".to_owned() } else { format!("refs/heads/{number:049}") }
}

/// A server whose repositories have so many refs each: upstream or, given upstream's address, a Gitea in which each is a
/// mirror that is as it must be. Returns its address.
fn serve(upstream: Option<&str>, refs: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let upstream = upstream.unwrap_or_default().to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let upstream = upstream.clone();
            // a client that hangs up ends its thread
            std::thread::spawn(move || while answer(&stream, &upstream, refs).is_some() {});
        }
    });
    address
}

/// Answers one request.
fn answer(stream: &TcpStream, upstream: &str, refs: usize) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_lowercase());
    }
    let length = lines.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = lines.first()?.split(' ').nth(1)?.to_owned();
    let mut out = BufWriter::new(stream);
    if path.ends_with("/git-upload-pack") {
        return list(&mut out, refs);
    }
    let (media, text) = if path.contains("/info/refs") {
        let v2 = "001e# service=git-upload-pack\n0000000eversion 2\n000cls-refs\n0017object-format=sha1\n0000";
        ("application/x-git-upload-pack-advertisement", v2.to_owned())
    } else if path.ends_with("/version") {
        ("application/json", r#"{"version":"1.26.4"}"#.to_owned())
    } else {
        let full = path.trim_start_matches("/api/v1/repos/");
        let name = full.split('/').next_back()?;
        let text = format!(
            r#"{{"id":7,"full_name":"{full}","mirror":true,"mirror_interval":"10m0s","empty":false,"archived":false,
            "mirror_updated":"2026-01-01T00:00:00Z","created_at":"2026-01-01T00:00:00Z","default_branch":"main",
            "original_url":"http://{upstream}/up/{name}"}}"#
        );
        ("application/json", text)
    };
    let length = text.len();
    write!(out, "HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nDate: Thu, 01 Jan 2026 01:00:00 GMT\r\nContent-Length: {length}\r\n\r\n{text}").ok()?;
    out.flush().ok()
}

/// Sends a list, in chunks.
fn list(out: &mut impl Write, refs: usize) -> Option<()> {
    out.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-result\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .ok()?;
    let mut number = 0;
    while number <= refs {
        let mut chunk = String::new();
        while chunk.len() < 60_000 && number < refs {
            // the branch that is tracked comes last, as it does by name
            let name = name((number + 1) % refs);
            chunk += &format!("{:04x}{number:040x} {name}\n", name.len() + 46);
            number += 1;
        }
        if number == refs {
            chunk += "0000";
            number += 1;
        }
        write!(out, "{:x}\r\n{chunk}\r\n", chunk.len()).ok()?;
    }
    out.write_all(b"0\r\n\r\n").ok()?;
    out.flush().ok()
}

/// The most memory that a service takes that observes so many mirrors of so many refs a side, twice, in MiB.
fn peak(mirrors: usize, refs: usize, reason: Option<&str>) -> f64 {
    let folder = TempDir::with_prefix("cutover-memory-").unwrap();
    let upstream = serve(None, refs);
    let gitea = serve(Some(&upstream), refs);
    fs::write(folder.path().join("gitea-token"), "0123456789").unwrap();
    fs::write(folder.path().join("tokens"), format!("operator bench {TOKEN}\n")).unwrap();
    let secret = folder.path().join("gitea-token");
    let mut yaml = format!("gitea: {{ url: 'http://{gitea}', tokenFile: {} }}\n", secret.display());
    yaml += "observation: { ttl: 5s }\nmirrors:\n";
    for mirror in 0..mirrors {
        yaml += &format!(
            "  - {{ name: m{mirror}, upstream: {{ url: 'http://{upstream}/up/m{mirror}' }}, target: {{ owner: ours, repo: m{mirror} }} }}\n"
        );
    }
    fs::write(folder.path().join("config.yaml"), yaml).unwrap();
    let service = Service::start(folder.path());
    let began = now();
    let observed = |text: &str| text.matches(if reason.is_some() { "too-many-refs" } else { "\"fresh\"" }).count();
    for round in 0..2 {
        loop {
            let (status, _) = service.get("/status");
            if observed(&status) >= mirrors {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{mirrors} mirrors of {refs} refs: {status}");
            std::thread::sleep(Duration::from_millis(200));
        }
        if round == 0 {
            // what was seen has grown old by then, and is looked at again
            std::thread::sleep(Duration::from_secs(6));
            service.get("/status");
            std::thread::sleep(Duration::from_secs(4));
        }
    }
    service.peak_mib()
}

/// Two lists of so many refs compared and digested, the best of ten, in milliseconds.
pub(crate) fn compare_refs(count: usize) -> f64 {
    let list = || {
        RefList::complete(
            (0..count).map(|n| {
                let name = RefName::parse(&format!("refs/heads/topic/{n:06}")).unwrap();
                (name, ObjectId::parse(&format!("{n:040x}")).unwrap())
            }),
            None,
        )
    };
    let (upstream, gitea) = (list(), list());
    let one = || {
        let began = now();
        assert!(compare(&upstream, &gitea, Prune::Off).differing == 0);
        assert_eq!(upstream.digest(), gitea.digest_restricted_to(&upstream));
        milliseconds(began)
    };
    (0..10).map(|_| one()).fold(f64::INFINITY, f64::min)
}

/// Adds the figures.
pub(crate) fn figures(table: &mut Table) {
    table.figure("peak, 200,000 refs a side", peak(1, 200_000, None), 96.0, "MiB");
    table.figure("peak, 8 mirrors of 200,000 refs", peak(8, 200_000, None), 96.0, "MiB");
    table.figure("peak, 8 mirrors of 900,000 refs", peak(8, 900_000, Some("too-many-refs")), 96.0, "MiB");
}
