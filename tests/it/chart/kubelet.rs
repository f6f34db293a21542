//! Plays the kubelet for one pod of a kept render: lays out its volumes in a folder and runs its container's command
//! there, with the paths of its mounts moved into that folder.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::read;
use crate::process::BINARY;

/// Where a pod finds the token of the account that it runs as.
pub(super) const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The objects of a kept render.
pub(super) fn render(set: &str) -> Vec<Value> {
    yaml_documents(&read(&format!("tests/chart/golden/{set}.yaml")))
}

pub(super) fn yaml_documents(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// The one object of this kind, and of this name if one is given.
pub(super) fn of_kind<'a>(objects: &'a [Value], kind: &str, name: Option<&str>) -> &'a Value {
    let mut found =
        objects.iter().filter(|it| it["kind"] == kind && name.is_none_or(|name| it["metadata"]["name"] == name));
    let first = found.next().unwrap_or_else(|| panic!("there is no {kind} {name:?}"));
    assert!(found.next().is_none(), "there are several {kind} {name:?}");
    first
}

/// A pod with one container, whose volumes are there.
pub(super) struct Pod {
    folder: TempDir,
    mounts: Vec<String>,
    /// The container's arguments. The image's entry point is the program.
    pub(super) arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Pod {
    /// Lays out what `spec` mounts. Each `ConfigMap` is looked for among `objects`; `secret` has what a key of a Secret holds,
    /// and, under the empty name, what the token of its account is.
    pub(super) fn start(spec: &Value, objects: &[Value], secret: &dyn Fn(&str, &str) -> String) -> Self {
        let containers = spec["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 1);
        let container = &containers[0];
        assert!(container["command"].is_null(), "the image's entry point is what is run");
        let none = Vec::new();
        let mounted = container["volumeMounts"].as_array().unwrap_or(&none);
        let mut mounts: Vec<String> = mounted.iter().map(|mount| text(&mount["mountPath"])).collect();
        if spec["automountServiceAccountToken"] == true {
            mounts.push(ACCOUNT.to_owned());
        }
        let strings = |list: &Value| list.as_array().unwrap_or(&none).iter().map(text).collect();
        let environment = container["env"].as_array().unwrap_or(&none);
        let mut pod = Self {
            folder: TempDir::with_prefix("cutover-pod-").unwrap(),
            mounts,
            arguments: strings(&container["args"]),
            environment: environment.iter().map(|it| (text(&it["name"]), text(&it["value"]))).collect(),
        };
        for mount in mounted {
            let volumes = spec["volumes"].as_array().expect("what is mounted is a volume");
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).expect("it has its volume");
            pod.fill(&text(&mount["mountPath"]), volume, objects, secret);
        }
        if spec["automountServiceAccountToken"] == true {
            pod.write(&format!("{ACCOUNT}/token"), &secret("", "token"));
        }
        pod.arguments = pod.arguments.iter().map(|argument| pod.moved(argument)).collect();
        pod.environment = pod.environment.iter().map(|(name, value)| (name.clone(), pod.moved(value))).collect();
        for argument in pod.arguments.iter().chain(pod.environment.iter().map(|(_, value)| value)) {
            let path = argument.split_once('=').map_or(argument.as_str(), |(_, value)| value);
            assert!(!path.starts_with('/') || path.starts_with(pod.root()), "no volume brings {path}");
        }
        pod
    }

    fn fill(&self, at: &str, volume: &Value, objects: &[Value], secret: &dyn Fn(&str, &str) -> String) {
        fs::create_dir_all(self.path(at)).unwrap();
        if let (Some(name), Some(items)) =
            (volume["configMap"]["name"].as_str(), volume["configMap"]["items"].as_array())
        {
            // one that the render does not bring
            for item in items {
                self.write(&format!("{at}/{}", text(&item["path"])), &secret(name, &text(&item["key"])));
            }
        } else if let Some(name) = volume["configMap"]["name"].as_str() {
            for (key, content) in of_kind(objects, "ConfigMap", Some(name))["data"].as_object().unwrap() {
                self.write(&format!("{at}/{key}"), &self.moved(content.as_str().unwrap()));
            }
        } else if let Some(name) = volume["secret"]["secretName"].as_str() {
            for item in volume["secret"]["items"].as_array().expect("only the keys that are needed are mounted") {
                self.write(&format!("{at}/{}", text(&item["path"])), &secret(name, &text(&item["key"])));
            }
        } else if let Some(sources) = volume["projected"]["sources"].as_array() {
            for source in sources {
                let token = &source["serviceAccountToken"];
                self.write(&format!("{at}/{}", text(&token["path"])), &secret("", "token"));
            }
        } else {
            assert!(
                volume["emptyDir"].is_object() || volume["persistentVolumeClaim"].is_object(),
                "a volume of a kind that is not played here: {volume}"
            );
        }
    }

    fn root(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    /// Where a path of the container is.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A text with every path below a mount moved into the folder.
    fn moved(&self, text: &str) -> String {
        let mut moved = String::new();
        for (at, letter) in text.char_indices() {
            let begins = letter == '/' && text[..at].chars().next_back().is_none_or(|c| matches!(c, '=' | ' ' | '"'));
            let below = |mount: &&String| {
                text[at..]
                    .strip_prefix(mount.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '\n', '"']))
            };
            if begins && self.mounts.iter().any(|mount| below(&mount)) {
                moved += self.root();
            }
            moved.push(letter);
        }
        moved
    }

    /// Sets what an argument or a variable begins with to something else: the address of a service.
    pub(super) fn replace(&mut self, from: &str, to: &str) {
        let mut count = 0;
        for value in self.arguments.iter_mut().chain(self.environment.iter_mut().map(|(_, value)| value)) {
            count += value.matches(from).count();
            *value = value.replace(from, to);
        }
        assert_eq!(count, 1, "{from} stands {count} times in the pod");
    }

    /// The container's process with these arguments and nothing of this process's environment.
    pub(super) fn command(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        // these two are in every container, whatever enableServiceLinks says
        command.env("KUBERNETES_SERVICE_HOST", "10.96.0.1").env("KUBERNETES_SERVICE_PORT", "443");
        command.current_dir(self.folder.path()).stdin(std::process::Stdio::null());
        command
    }

    /// The container's process.
    pub(super) fn container(&self) -> Command {
        self.command(&self.arguments)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}
