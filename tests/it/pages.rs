//! The pages under `docs/`: their commands are run, or say why not, and their tables are held to the program.
//!
//! A block of commands is marked `sh` and run here, page by page, each page in a shell and a folder of its own with a
//! service; or `sh cluster`, `sh release`, `sh source`, for what needs a cluster, a container engine, or the sources.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use clap::Args as _;
use cutover_api::config::{self, Options};
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

/// Every page under `docs/`, by its path from the root.
fn pages() -> Vec<String> {
    let mut folders = vec![root().join("docs")];
    let mut pages = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
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
    upstream: Upstream,
    address: String,
}

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
        let scene = Self { folder, gitea, upstream, address };
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
                       until cutover-api healthcheck > /dev/null 2>&1; do kill -0 $!; sleep 0.1; done\n";

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
    assert!(run >= 8, "{run}");
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
            if !kind.starts_with("sh ") {
                continue;
            }
            checked += 1;
            let syntax = Command::new("bash").args(["-n", "-c", &text]).output().unwrap();
            if !syntax.status.success() {
                wrong.push(format!("{page}:{line}: {}", String::from_utf8_lossy(&syntax.stderr)));
            }
            for command in commands(&text) {
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
    assert!(checked > 8, "{checked}");
}

/// Whether the chart has a value of this path.
fn is_value(path: &str) -> bool {
    let values: serde_json::Value = serde_saphyr::from_str(&read("chart/values.yaml")).unwrap();
    path.split('.').try_fold(&values, |values, key| values.get(key)).is_some()
}

/// The rows of the table under a heading of the configuration's page, each a list of cells, the head among them.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let text = read("docs/configure.md");
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let rows =
        section.split("\n## ").next().unwrap().lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// What stands in a cell as code.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_page_of_the_configuration_has_every_flag_with_its_variable_and_its_default() {
    let command = Options::augment_args(clap::Command::new("serve"));
    let wanted: BTreeSet<_> = command
        .get_arguments()
        .map(|argument| {
            let flag = format!("--{}", argument.get_long().unwrap());
            let variable = argument.get_env().map(|name| name.to_str().unwrap().to_owned());
            let default = argument.get_default_values().first().map(|value| value.to_str().unwrap().to_owned());
            (flag, variable, default.filter(|default| default != "false"))
        })
        .collect();
    let first = |cell: &str| code(cell).first().map(ToString::to_string);
    let documented: BTreeSet<_> = rows("Flags and their variables")
        .into_iter()
        .filter(|row| row[0].starts_with('`'))
        .map(|row| (first(&row[0]).unwrap(), first(&row[1]), first(&row[2])))
        .collect();
    assert_eq!(documented, wanted);
}

#[test]
fn the_page_of_the_configuration_has_every_variable() {
    let source = read("src/config/environment.rs");
    let list = source.split_once("const ALL").and_then(|(_, rest)| rest.split_once("];")).unwrap().0;
    let wanted: BTreeSet<_> = list.split('"').skip(1).step_by(2).collect();
    assert!(wanted.len() > 10, "{wanted:?}");
    let table = rows("One mirror, by variables");
    let documented: BTreeSet<_> = table.iter().flat_map(|row| code(&row[0])).collect();
    assert_eq!(documented, wanted);
}

/// The keys that a configuration file may have: found by writing a text under each and reading what is said about that.
fn keys() -> BTreeSet<String> {
    let folder = TempDir::with_prefix("cutover-keys-").unwrap();
    let mut keys = BTreeSet::new();
    let mut sections = vec![String::new()];
    while let Some(section) = sections.pop() {
        for key in faults(&folder, &section, "zzzzzzzz").1 {
            let path = if section.is_empty() { key } else { format!("{section}.{key}") };
            let (said, within) = faults(&folder, &path, "");
            if !within.is_empty() {
                sections.push(path);
            } else if said.iter().any(|what| what.ends_with("write a list")) && path == "mirrors" {
                sections.push("mirrors[]".into());
            } else {
                keys.insert(path);
            }
        }
    }
    keys
}

/// What is said about a text under a path of the file (and under a key that nobody knows in it), and the keys that this
/// names as possible.
fn faults(folder: &TempDir, path: &str, unknown: &str) -> (Vec<String>, Vec<String>) {
    let mut document = if unknown.is_empty() { String::from("zzzz") } else { format!("{{ {unknown}: zzzz }}") };
    for key in path.split('.').rev().filter(|key| !key.is_empty()) {
        document = match key.strip_suffix("[]") {
            Some(list) => format!("{{ {list}: [{document}] }}"),
            None => format!("{{ {key}: {document} }}"),
        };
    }
    let file: PathBuf = folder.path().join("cutover.yaml");
    fs::write(&file, document).unwrap();
    let options = Options { config: Some(file), ..Options::default() };
    let faults = match config::load(&options, &|_| None) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.faults,
    };
    let place = |path: &str| path.replace("[]", "[0]");
    let here = |found: &str| {
        let found = found.split(" (line").next().unwrap();
        if unknown.is_empty() { found == place(path) } else { found.ends_with(unknown) }
    };
    let said: Vec<_> =
        faults.iter().filter(|fault| here(&fault.place.to_string())).map(|fault| fault.what.clone()).collect();
    let lists = said.iter().filter_map(|what| {
        what.split_once("the keys here are ").or_else(|| what.split_once("write a mapping with the keys "))
    });
    let keys = lists.flat_map(|(_, keys)| keys.split(", ").map(str::to_owned)).collect();
    (said, keys)
}

#[test]
fn the_page_of_the_configuration_has_every_key_of_the_file_and_no_other() {
    let keys = keys();
    assert!(keys.len() > 20, "{keys:?}");
    let wanted: BTreeSet<_> = keys.iter().map(String::as_str).collect();
    let table = rows("The file");
    let documented: BTreeSet<_> = table.iter().flat_map(|row| code(&row[0])).collect();
    assert_eq!(documented, wanted);
}
