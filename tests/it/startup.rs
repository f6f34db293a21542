//! What the process needs from its environment at start: file descriptors, and a valid log level.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::http::stage::{Reply, wait_for};
use crate::process::{BINARY, Scene, TOKEN};

/// A process that ends with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The service with at most so many open files.
fn serve(scene: &Scene, descriptors: u32) -> Process {
    let log = std::fs::File::create(scene.path("log")).unwrap();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")).arg(BINARY);
    command.args(["serve", "--listen", "127.0.0.1:0", "--config", "config.yaml", "--tokens-file", "tokens"]);
    command.args(["--state-dir", "state", "--log-format", "json"]).current_dir(scene.folder.path());
    let process = Process(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    scene.learn_the_address(0);
    scene.wait_for("/readyz", |ready| ready["status"] == "ok");
    process
}

fn connect(scene: &Scene) -> TcpStream {
    let stream = TcpStream::connect(scene.url("").trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// The answer to a caller whose token is judged.
fn status(stream: &mut TcpStream) -> Option<u16> {
    let request = format!("GET /status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    Reply::read(stream).map(|reply| reply.status)
}

#[test]
fn a_flood_of_connections_leaves_descriptors_for_the_tokens_file_and_the_journal() {
    let scene = Scene::set();
    let process = serve(&scene, 96);
    let flood: Vec<_> = (0..200).map(|_| connect(&scene)).collect();
    // a file that has just been written is read anew at each use, which takes a descriptor
    std::fs::copy(scene.path("tokens"), scene.path("same")).unwrap();
    std::fs::rename(scene.path("same"), scene.path("tokens")).unwrap();
    assert_eq!(status(&mut connect(&scene)), Some(200));
    scene.wait_for("/readyz", |ready| ready["status"] == "ok");
    let log = std::fs::read_to_string(scene.path("log")).unwrap();
    assert!(log.contains("29 are served, not 256"), "{log}");
    assert!(!log.contains("accept failed"), "{log}");
    drop(flood);

    // should they run out all the same, the listener waits until there are some again
    let set = |descriptors| {
        let limit = Rlimit { current: Some(descriptors), maximum: Some(96) };
        prlimit(Pid::from_raw(process.0.id().try_into().unwrap()), Resource::Nofile, limit).unwrap();
    };
    set(8);
    let mut waiting = connect(&scene);
    let complaint = "accept failed";
    wait_for(|| if scene.log().contains(complaint) { Ok(()) } else { Err(scene.log()) });
    set(96);
    assert_eq!(status(&mut waiting), Some(200));
    let log = std::fs::read_to_string(scene.path("log")).unwrap();
    assert_eq!(log.matches(complaint).count(), 1, "{log}");
}

#[test]
fn a_process_with_too_few_descriptors_or_a_log_level_that_is_none_does_not_start() {
    let scene = Scene::set();
    let configured = ["--config", "config.yaml", "--tokens-file", "tokens"];
    for command in ["serve", "check-config"] {
        for filter in ["verbose", "info,loud", "cutover_api=loud"] {
            let output = scene.command(&[command]).args(configured).env("CUTOVER_LOG", filter).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(2), "{command} {filter}: {said}");
            assert!(said.contains("CUTOVER_LOG: write a level"), "{command} {filter}: {said}");
        }
        let mut few = Command::new("sh");
        few.args(["-c", "ulimit -n 40 && exec \"$0\" \"$@\"", BINARY, command]).args(configured);
        let output = few.current_dir(scene.folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(2), "{command}: {said}");
        assert!(said.contains("limits.connections: this process may open 40 files"), "{command}: {said}");
    }
}
