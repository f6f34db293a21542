//! The pages: `docs/`, and those beside the sources and the chart. Their commands are run, or say why not, and their tables
//! are held to the program.
//!
//! A block of commands is marked `sh` and run here, page by page, each page in a shell and a folder of its own with a
//! service; or `sh cluster`, `sh release`, `sh source`, for what needs a cluster, a container engine, or the sources. Of the
//! last kind are those that `.ci/run` runs itself, which is demanded of it.

mod configuration;
mod contract;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use standin::{Gitea, Upstream};
use tempfile::TempDir;

use crate::http::walkthrough::{find, steps};

const BINARY: &str = env!("CARGO_BIN_EXE_cutover-api");
const TOKEN: &str = "pages-operator-token-0123456789";

/// The pages whose commands are run by a test of their own.
const ELSEWHERE: &[&str] = &["docs/api.md", "docs/webhooks.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Every page under `docs/`, and those that lie beside the sources and the chart, by its path from the root.
fn pages() -> Vec<String> {
    let mut folders = vec![root().join("docs"), root().to_owned(), root().join("chart")];
    let mut pages = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if folder.starts_with(root().join("docs")) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path.strip_prefix(root()).unwrap().display().to_string());
            }
        }
    }
    pages.sort();
    pages
}

/// What a page is read beside: a folder with the files that the pages name, a Gitea, an upstream, and a service.
struct Scene {
    folder: TempDir,
    gitea: standin::Served,
    gitea_token: String,
    upstream: Upstream,
    address: String,
}

/// The addresses by which the README calls what is somewhere else here.
const README_GITEA: &str = "http://127.0.0.1:3000";
const README_UPSTREAM: &str = "https://github.com/openova-io/openova";
const README_LISTEN: &str = "127.0.0.1:8080";

impl Scene {
    fn set() -> Self {
        #[expect(clippy::disallowed_methods, reason = "processes live on real time")]
        let base = SystemTime::now();
        let folder = TempDir::with_prefix("cutover-pages-").unwrap();
        let upstream = Upstream::start(base);
        upstream.create_sample("openova");
        let gitea = Gitea::new(standin::Options { base, speed: 4, ..standin::Options::default() });
        gitea.add_user("bot", "unused-password", false);
        let token = gitea.add_token("bot", &["write:repository", "write:organization"]);
        let gitea = gitea.serve_in_background("127.0.0.1:0".parse().unwrap()).unwrap();
        // nobody else asks the kernel for this port before the service does, in a test that ends at once if so
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let scene = Self { folder, gitea, gitea_token: token.clone(), upstream, address };
        let configuration = blocks("docs/configure.md").into_iter().find(|(kind, ..)| kind == "yaml").unwrap().2;
        for (name, content) in [
            ("gitea-token", token.as_str()),
            ("upstream-token", "upstream-token-0123456789"),
            ("operator-token", TOKEN),
            ("tokens", &format!("operator ops {TOKEN}\n")),
            ("cutover.yaml", &configuration),
        ] {
            fs::write(scene.folder.path().join(name), content).unwrap();
        }
        scene
    }

    /// Runs a script, and answers what it prints.
    fn run(&self, script: &str) -> Result<String, String> {
        let mut command = Command::new("bash");
        for (name, _) in std::env::vars() {
            if ["CUTOVER_", "GITEA_", "UPSTREAM_", "MIRROR_"].iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        let programs = Path::new(BINARY).parent().unwrap().display().to_string();
        let done = command
            .args(["-c", script])
            .current_dir(self.folder.path())
            .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()))
            .env("NO_COLOR", "1")
            .env("CUTOVER_LISTEN", &self.address)
            .env("CUTOVER_URL", format!("http://{}", self.address))
            .env("CUTOVER_TOKEN_FILE", "operator-token")
            .env("GITEA_INTERNAL_URL", &self.gitea.url)
            .env("GITEA_TOKEN_FILE", "gitea-token")
            .env("GITEA_ACCESS_TOKEN", &self.gitea_token)
            .env("UPSTREAM_REPO_URL", self.upstream.url("openova"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let (output, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        if done.status.success() {
            Ok(output.into_owned())
        } else {
            Err(format!("{}\n{output}\n{errors}", done.status))
        }
    }
}

/// The fenced blocks of a page: what each is marked as, its line, and its text.
fn blocks(page: &str) -> Vec<(String, usize, String)> {
    let text = read(page);
    let mut lines = text.lines().enumerate();
    let mut blocks = Vec::new();
    while let Some((index, line)) = lines.next() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| !line.trim_start().starts_with("```"));
            blocks.push((kind.to_owned(), index + 1, inside.fold(String::new(), |text, line| text + line + "\n")));
        }
    }
    blocks
}

/// Starts a service in the page's shell and ends it, with all that the page leaves running.
const AROUND: &str = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n";
const SERVICE: &str = "cutover-api serve --tokens-file tokens --state-dir state 2> service.log &\n\
                       timeout 60 sh -c 'until cutover-api healthcheck > /dev/null 2>&1; do kill -0 $0; done' $!\n";

#[test]
fn every_command_of_every_page_works_and_shows_what_the_page_shows() {
    let mut run = 0;
    for page in pages().into_iter().filter(|page| !ELSEWHERE.contains(&page.as_str())) {
        let steps = steps(&read(&page));
        if steps.is_empty() {
            continue;
        }
        run += steps.len();
        // the page that tells how to start a service does so
        let starts = steps.iter().any(|step| step.commands.contains("cutover-api serve"));
        let mut script = AROUND.to_owned() + if starts { "rm tokens operator-token\n" } else { SERVICE };
        for (index, step) in steps.iter().enumerate() {
            script += &format!("echo '@@ {index}'; echo 'at {page}:{}' >&2\n{}\n", step.line, step.commands);
        }
        let scene = Scene::set();
        if page == "README.md" {
            let upstream = scene.upstream.url("openova");
            for (there, here) in
                [(README_GITEA, &scene.gitea.url), (README_UPSTREAM, &upstream), (README_LISTEN, &scene.address)]
            {
                assert!(script.contains(there), "{page} does not name {there}");
                script = script.replace(there, here);
            }
        }
        let output = scene.run(&script).unwrap_or_else(|failure| {
            let log = fs::read_to_string(scene.folder.path().join("service.log")).unwrap_or_default();
            panic!("{page}: {failure}\n{log}")
        });
        for (index, step) in steps.iter().enumerate() {
            let (_, from) = output.split_once(&format!("@@ {index}\n")).unwrap();
            let mut rest = from.split("@@ ").next().unwrap();
            for shown in &step.shown {
                let end = find(shown, rest);
                let end = end.unwrap_or_else(|| panic!("{page}:{}: {shown}\nis not in\n{rest}", step.line));
                rest = &rest[end..];
            }
        }
    }
    assert!(run >= 11, "{run}");
}

/// What `.ci/run` runs: itself, and the scripts of ours that it names.
fn ci() -> String {
    let all = read(".ci/run");
    let named: BTreeSet<_> =
        all.split_whitespace().filter(|word| word.starts_with("tests/") && root().join(word).is_file()).collect();
    assert!(named.len() >= 4, "{named:?}");
    named.iter().fold(all.clone(), |text, script| text + &read(script))
}

/// What is wrong with a command that needs the sources: it names an example that CI does not run, or tests that are none.
fn not_of_the_sources(command: &str) -> Option<String> {
    let words: Vec<_> = command.split_whitespace().take_while(|word| *word != "#").collect();
    let after = |flag: &str| words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1));
    if let Some(example) = after("--example")
        && !ci().split_whitespace().any(|word| word == *example)
    {
        return Some(format!("CI does not run the example {example}"));
    }
    if after("--test") == Some(&"it") {
        let at = words.iter().position(|word| *word == "it").unwrap();
        let filters = words[at + 1..].iter().take_while(|word| !word.starts_with('-'));
        let is_there = |filter: &str| {
            let module = filter.trim_end_matches("::");
            read("tests/it/main.rs").lines().any(|line| line == format!("mod {module};"))
        };
        return filters.copied().find(|filter| !is_there(filter)).map(|filter| format!("no tests are called {filter}"));
    }
    None
}

#[test]
fn the_two_commands_of_the_readme_are_run_by_ci() {
    let two = blocks("README.md").into_iter().find(|(kind, ..)| kind == "sh source").unwrap().2;
    let two: Vec<_> = commands(&two).iter().map(|line| line.split('#').next().unwrap().trim().to_owned()).collect();
    assert_eq!(two.len(), 2, "{two:?}");
    let run: Vec<_> = read(".ci/run").lines().map(|line| line.replace(" --locked", "").trim().to_owned()).collect();
    for command in two {
        // the demo is ended by itself there
        assert!(run.contains(&command) || run.contains(&format!("{command} -- --once")), "CI does not run: {command}");
    }
}

#[test]
fn commands_within_a_sentence_are_known_to_the_program_too() {
    let scene = Scene::set();
    scene.run(&format!("{AROUND}{SERVICE}")).unwrap();
    let journal = rusqlite::Connection::open(scene.folder.path().join("state").join("journal.sqlite3")).unwrap();
    let (mut checked, mut wrong) = (0, Vec::new());
    // what is generated is compared elsewhere; it names commands of other programs
    for page in pages().into_iter().filter(|page| !page.starts_with("docs/problems/") && page != "CHANGELOG.md") {
        let mut fenced = false;
        for (line, text) in (1..).zip(read(&page).lines()) {
            if text.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            let digest = format!("sha256:{}", "0".repeat(64));
            for command in code(text).into_iter().filter(|_| !fenced) {
                let command = &command.replace("DIGEST", &digest);
                let words: Vec<_> = command.split_whitespace().collect();
                let fault = match words[..] {
                    ["cutover-api", ref own @ ..] if !own.is_empty() => {
                        let known = Command::new(BINARY).args(own).arg("--help").output().unwrap().status.success();
                        (!known).then(|| "the program does not know it".to_owned())
                    }
                    ["cargo", ..] => not_of_the_sources(command),
                    ["sqlite3", file, ..] => {
                        let statement = command.split('\'').nth(1).unwrap();
                        let there = file.ends_with(cutover_api::journal::FILE);
                        let fault = journal.prepare(statement).err().map(|error| error.to_string());
                        fault.or_else(|| (!there).then(|| format!("there is no {file}")))
                    }
                    _ => continue,
                };
                checked += 1;
                wrong.extend(fault.map(|fault| format!("{page}:{line}: {command}: {fault}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 15, "{checked}");
}

/// The commands of a block, a line each, with what is continued on the next line.
fn commands(block: &str) -> Vec<String> {
    block.replace("\\\n", " ").lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn what_is_not_run_here_says_why_and_names_nothing_that_is_not_there() {
    const KNOWN: &[&str] = &["", "text", "json", "yaml", "sh", "sh cluster", "sh release", "sh source", "promql"];
    let (mut checked, mut wrong) = (0, Vec::new());
    let build_arguments: BTreeSet<String> = read("Dockerfile")
        .lines()
        .filter_map(|line| line.strip_prefix("ARG "))
        .map(|line| line.split('=').next().unwrap().to_owned())
        .collect();
    for page in pages() {
        for (kind, line, text) in blocks(&page) {
            if !KNOWN.contains(&kind.as_str()) {
                wrong.push(format!("{page}:{line}: a block is not marked as {kind:?}"));
            }
            if !kind.starts_with("sh") {
                const PROGRAMS: [&str; 7] = ["cargo", "kubectl", "helm", "curl", "docker", "export", "git"];
                let is_command = |line: &&str| PROGRAMS.contains(&line.split(' ').next().unwrap());
                let found = text.lines().find(is_command);
                wrong
                    .extend(found.map(|command| format!("{page}:{line}: a command in a block of {kind:?}: {command}")));
            }
            if !kind.starts_with("sh ") {
                continue;
            }
            checked += 1;
            let syntax = Command::new("bash").args(["-n", "-c", &text]).output().unwrap();
            if !syntax.status.success() {
                wrong.push(format!("{page}:{line}: {}", String::from_utf8_lossy(&syntax.stderr)));
            }
            for command in commands(&text) {
                if kind == "sh source" {
                    wrong
                        .extend(not_of_the_sources(&command).map(|fault| format!("{page}:{line}: {command}: {fault}")));
                }
                let words: Vec<_> = command.split_whitespace().map(|word| word.trim_matches('"')).collect();
                for own in words.split(|word| ["|", "&&", ";", "&"].contains(word)) {
                    let Some(at) = own.iter().position(|word| *word == "cutover-api") else { continue };
                    let own = own[at + 1..].iter().take_while(|word| !word.contains('>') && !word.starts_with('#'));
                    // with --help nothing is done, and what is not known is refused all the same; a release's name
                    // is an argument of helm's
                    if !matches!(words[0], "helm" | "kubectl")
                        && !Command::new(BINARY).args(own).arg("--help").output().unwrap().status.success()
                    {
                        wrong.push(format!("{page}:{line}: the program does not know: {command}"));
                    }
                }
                for pair in words.windows(2).filter(|pair| pair[0] == "--build-arg") {
                    let name = pair[1].split('=').next().unwrap();
                    if !build_arguments.contains(name) {
                        wrong.push(format!("{page}:{line}: the Dockerfile takes no {name}"));
                    }
                }
                for pair in words.windows(2).filter(|pair| pair[0].starts_with("--set")) {
                    let path = pair[1].split('=').next().unwrap();
                    if !is_value(path) {
                        wrong.push(format!("{page}:{line}: the chart has no value {path}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 12, "{checked}");
}

/// Whether the chart has a value of this path.
fn is_value(path: &str) -> bool {
    let values: serde_json::Value = serde_saphyr::from_str(&read("chart/values.yaml")).unwrap();
    path.split('.').try_fold(&values, |values, key| values.get(key)).is_some()
}

/// What stands in a line or a cell as code.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}
