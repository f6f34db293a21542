"""The chart's README, blueprint and scripts."""

import os
import re
import shlex
import shutil
import subprocess

import pytest
import yaml

import readme
from helm import CHART, ROOT, Helm3

PAGES = [ROOT / "README.md", CHART / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SCRIPTS = sorted((CHART / "tests").glob("*.sh"))


def test_the_readmes_table_is_that_of_the_values():
    page = (CHART / "README.md").read_text()
    assert page == readme.with_table(page, (CHART / "values.yaml").read_text()), "run: python tests/chart/readme.py"


def test_a_value_without_a_comment_is_refused():
    text = (CHART / "values.yaml").read_text()
    with pytest.raises(readme.Undocumented, match="secret has no comment"):
        readme.values(text + "secret: 1\n")
    with pytest.raises(readme.Undocumented, match="within a documented key"):
        readme.values("# -- a\na:\n  # -- b\n  b: 1\n")
    with pytest.raises(readme.Undocumented, match="documents nothing"):
        readme.values("a: 1\n# -- nothing\n")


def test_every_value_is_used_by_a_template():
    templates = "".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())
    # read through the section that holds them
    whole = {"mirror", "limits", "serviceMonitor", "prometheusRule", "networkPolicy"}
    unused = []
    for path, _, _ in readme.values((CHART / "values.yaml").read_text()):
        head, _, rest = path.partition(".")
        wanted = f".{rest}" if head in whole and rest else f".Values.{path}"
        parent = wanted.rpartition(".")[0]
        if head in ("mirror", "limits"):
            continue
        if wanted not in templates and f"{parent} " not in templates:
            unused.append(path)
    assert unused == []


def test_the_blueprint_agrees_with_the_values():
    blueprint = yaml.safe_load((CHART / "blueprint.yaml").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def walk(schema, value, path):
        if schema["type"] == "object":
            for key, part in schema["properties"].items():
                walk(part, value[key], f"{path}.{key}")
        else:
            assert schema["default"] == value, path
            assert schema["description"]

    walk(blueprint["spec"]["configSchema"], values, "")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
@pytest.mark.parametrize("relative", [False, True])
def test_a_script_of_the_platform_is_green_rows_40_56_and_63(script, relative):
    arguments = ["chart"] if relative else []
    name = os.path.relpath(script, ROOT)
    done = subprocess.run(["bash", name, *arguments], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().splitlines()[-1].endswith("gates green.")


def change(folder, path, old, new, *more):
    if more:
        change(folder, *more)
    file = folder / path
    text = file.read_text()
    assert old in text, f"{path} has no {old!r}"
    file.write_text(text.replace(old, new))


STEP = "templates/cutover-step.yaml"

# What each case of the scripts is there to see: broken, it must be told by that very case.
BROKEN = {
    "no render without a value": ("cutover-contract.sh", "Case 1", "templates/configmap.yaml", "apiVersion: v1", '{{ fail "no" }}'),
    "a second step": ("cutover-contract.sh", "Case 2", "templates/networkpolicy.yaml", '"component" "server"',
                      '"component" "cutover-step" "partOf" "self-sovereign-cutover"'),
    "a step without an order": ("cutover-contract.sh", "Case 2", STEP, 'bp.openova.io/cutover-order: "1"', 'example.org/order: "1"'),
    "another mode": ("cutover-contract.sh", "Case 2", STEP, 'cutover-mode: "job"', 'cutover-mode: "cron"'),
    "another key for the pod": ("cutover-contract.sh", "Case 3", STEP, "podSpec: |", "podspec.yaml: |"),
    "a folded pod": ("cutover-contract.sh", "Case 3", STEP, "podSpec: |", "podSpec: >"),
    "another step's name": ("cutover-contract.sh", "Case 3", STEP, "stepName: gitea-mirror", "stepName: mirror"),
    "a step that the platform waits for": ("cutover-contract.sh", "Case 5", STEP, 'cutover-order: "1"', 'cutover-order: "4"'),
    "a step that is kept": ("cutover-contract.sh", "Case 6", STEP, "  namespace: {{ .Values.cutoverStep.namespace }}\n",
                            "  namespace: {{ .Values.cutoverStep.namespace }}\n  annotations:\n    helm.sh/resource-policy: keep\n"),
    "create beside resourceNames": ("cutover-contract.sh", "Case 7", "templates/rbac.yaml", "verbs: [get, patch]",
                                    "verbs: [get, patch, create]"),
    "monitoring by default": ("observability-toggle.sh", "Case 1", "values.yaml",
                              "serviceMonitor:\n  # -- Renders a ServiceMonitor (Prometheus operator).\n  enabled: false",
                              "serviceMonitor:\n  # -- Renders a ServiceMonitor (Prometheus operator).\n  enabled: true\n  renderMode: alwaysRender"),
    "a toggle that does nothing": ("observability-toggle.sh", "Case 2", "templates/servicemonitor.yaml",
                                   "if and $monitor.enabled", "if and false $monitor.enabled"),
    "a toggle that takes false for true": (
        "observability-toggle.sh", "Case 3", "templates/prometheusrule.yaml", "if and $rule.enabled",
        'if and (kindIs "bool" $rule.enabled)', "values.yaml",
        "a PrometheusRule.\n  enabled: false", "a PrometheusRule.\n  enabled: null", "values.schema.json",
        '"enabled": {"type": "boolean"}', '"enabled": true'),
    "no look at the CRDs": ("observability-toggle.sh", "Case 4", "templates/_helpers.tpl", 'or (eq .mode "alwaysRender")',
                            'or true (eq .mode "alwaysRender")'),
    "a dashboard that does nothing": ("observability-toggle.sh", "Case 2", "templates/dashboard.yaml",
                                      "if .Values.dashboard.enabled", "if false"),
    "another version of the blueprint": ("blueprint-lockstep.sh", "Case 1", "blueprint.yaml", "\n  version: 0.1.0", "\n  version: 0.1.1"),
    "another name of the blueprint": ("blueprint-lockstep.sh", "Case 2", "blueprint.yaml", "name: bp-cutover-api", "name: bp-cutover"),
    "two versions in the blueprint": ("blueprint-lockstep.sh", "Case 3", "blueprint.yaml", "\n  version: 0.1.0",
                                      "\n  version: 0.1.0\n  version: 0.1.0"),
    "a hollow chart": ("blueprint-lockstep.sh", "Case 4", "Chart.yaml", 'no-upstream: "true"', 'no-upstream: "false"'),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_script_of_the_platform_tells_what_is_broken(what, tmp_path):
    script, case, *changes = BROKEN[what]
    folder = tmp_path / "chart"
    shutil.copytree(CHART, folder)
    change(folder, *changes)
    done = subprocess.run(["bash", str(folder / "tests" / script), str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL" in done.stderr
    assert case in [line for line in done.stdout.splitlines() if "Case" in line][-1], done.stdout + done.stderr


def test_every_case_of_every_script_has_been_seen_to_fail():
    for script in SCRIPTS:
        cases = set(re.findall(r"Case \d+", script.read_text()))
        seen = {case for name, case, *_ in BROKEN.values() if name == script.name}
        # 2 and 4 count the same thing
        assert cases - seen <= ({"Case 4"} if script.name == "cutover-contract.sh" else set()), script.name


def test_the_scripts_are_in_the_platforms_style():
    assert [path.name for path in SCRIPTS] == ["blueprint-lockstep.sh", "cutover-contract.sh", "observability-toggle.sh"]
    for script in SCRIPTS:
        text = script.read_text()
        assert text.startswith("#!/usr/bin/env bash\n") and "\nset -euo pipefail\n" in text
        assert not re.search(r"printf[^\n]*\|\s*grep -q", text), "a pipe that breaks is a false alarm"


def installs():
    """Every `helm install` and `helm upgrade` of the pages, with its arguments behind the chart."""
    for page in PAGES:
        for block in re.findall(r"^```sh[^\n]*\n(.*?)^```", page.read_text(), re.S | re.M):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["helm"] and words[1] in ("install", "upgrade"):
                    assert "./chart" in words, f"{page.name}: {line}"
                    yield page.name, words[words.index("./chart") + 1:]


def test_what_the_pages_install_renders():
    found = list(installs())
    assert len(found) >= 5
    for page, arguments in found:
        arguments = [it.replace("$NAMESPACE", "catalyst") for it in arguments if not it.endswith("reuse-values")]
        done = Helm3.run("template", "cutover-api", str(CHART), *arguments)
        assert done.returncode == 0, f"{page}: {done.stderr}"


def test_the_values_that_the_pages_name_are_values():
    known = {path for path, _, _ in readme.values((CHART / "values.yaml").read_text())}
    sections = {path.rpartition(".")[0] for path in known}
    heads = {path.partition(".")[0] for path in known if "." in path}
    named = set()
    for page in [CHART / "README.md", *(ROOT / "docs" / name for name in ("install.md", "platform.md", "upgrade.md"))]:
        text = page.read_text().split(readme.BEGIN)[0]
        named |= {(page.name, it) for it in re.findall(r"`([a-z][A-Za-z]+(?:\.[A-Za-z]+)+)`", text)
                  if it.partition(".")[0] in heads}
    assert len(named) > 15
    # keys of a list's entries, and of the program's own file
    inside = {"upstream.branch", "webhook.secretRefs", "observation.ttl", "gitea.caFile", "upstream.caFile"}
    assert {it for _, it in named} - known - sections - inside == set()
