"""Helm 3 as a program and Helm 4 as a library, behind one function each."""

import json
import os
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import yaml
from helm_python import _native, chart as helm4
from helm_python.errors import HelmError

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "chart"
HERE = ROOT / "tests" / "chart"

MONITORING = "monitoring.coreos.com/v1"
CILIUM = "cilium.io/v2"

RELEASE, NAMESPACE = "cutover-api", "catalyst"


class Refused(Exception):
    """Helm did not render."""


class Loader(yaml.CSafeLoader):
    """Refuses a key that stands twice: Helm takes the last one, in silence."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise ValueError(f"stands twice at {node.start_mark}: {twice}")
        return super().construct_mapping(node, deep)


def documents(text):
    return [document for document in yaml.load_all(text, Loader) if document]


class Helm3:
    name = "helm3"

    @staticmethod
    def run(*arguments):
        environment = {**os.environ, "HELM_CACHE_HOME": "/nonexistent", "HELM_CONFIG_HOME": "/nonexistent"}
        return subprocess.run(["helm", *arguments], capture_output=True, text=True, env=environment, check=False)

    def template(self, values, apis=(), kube="v1.33.0", chart=CHART, release=RELEASE):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(values, file)
            file.flush()
            apis = [argument for api in apis for argument in ("--api-versions", api)]
            done = self.run("template", release, str(chart), "--namespace", NAMESPACE, "--kube-version", kube,
                            "--values", file.name, *apis)
        if done.returncode:
            raise Refused(done.stderr)
        return done.stdout

    def lint(self, values, kube="v1.33.0"):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(values, file)
            file.flush()
            done = self.run("lint", "--strict", str(CHART), "--kube-version", kube, "--values", file.name)
        return done.returncode == 0, done.stdout + done.stderr


class Helm4:
    name = "helm4"

    def files(self, values, apis=(), kube="v1.33.0", chart=CHART, release=RELEASE):
        """What each template gave, NOTES.txt among them."""
        options = {"name": release, "namespace": NAMESPACE, "kube_version": kube, "api_versions": list(apis)}
        with loaded(str(chart)) as it:
            try:
                return json.loads(_native.call_string("helm_render", it._raw(), json.dumps(values), json.dumps(options)))
            except HelmError as error:
                raise Refused(str(error)) from error

    def template(self, values, apis=(), kube="v1.33.0", chart=CHART, release=RELEASE):
        files = self.files(values, apis, kube, chart, release)
        return "\n---\n".join(text for path, text in sorted(files.items()) if path.endswith(".yaml"))

    @staticmethod
    def lint(values, kube="v1.33.0"):
        report = helm4.lint(CHART, values, strict=True, kube_version=kube)
        bad = [message for message in report["messages"] if message["severity"] >= 2]
        return not (bad or report["errors"]), json.dumps(report)


def loaded(path):
    return helm4.Chart.load(path)


HELMS = [Helm3(), Helm4()]


def nested(pairs):
    """`{"a.b": 1}` as `{"a": {"b": 1}}`."""
    values = {}
    for path, value in pairs.items():
        keys = path.split(".")
        place = values
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        place[keys[-1]] = value
    return values


@lru_cache(maxsize=None)
def _render(pairs, apis):
    return documents(Helm4().template(nested(json.loads(pairs)), apis))


def render(pairs=None, apis=()):
    """The objects for these values, by paths."""
    return _render(json.dumps(pairs or {}, sort_keys=True), tuple(apis))


def of_kind(objects, kind, name=None):
    found = [it for it in objects if it["kind"] == kind and name in (None, it["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} of kind {kind}: {[it['metadata']['name'] for it in found]}"
    return found[0]


def kinds(objects):
    return sorted(it["kind"] for it in objects)


def pod_specs(objects):
    """Every pod that an object brings about, with what it is called."""
    for it in objects:
        name = f"{it['kind']}/{it['metadata']['name']}"
        if it["kind"] == "Pod":
            yield name, it["spec"]
        elif it["kind"] in ("Deployment", "Job"):
            yield name, it["spec"]["template"]["spec"]
        elif "podSpec" in it.get("data", {}):
            yield name, yaml.load(it["data"]["podSpec"], Loader)


@lru_cache(maxsize=None)
def sets():
    """The value sets whose renders are kept: name → (values, APIs of the cluster)."""
    found = {}
    for path in sorted((HERE / "values").glob("*.yaml")):
        text = path.read_text()
        apis = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("# api:")]
        found[path.stem] = (yaml.safe_load(text) or {}, tuple(apis))
    return found
