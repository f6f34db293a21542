"""What the chart renders: the kept renders, on both Helms, against the schemas of the API."""

import copy
import json
import os
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

import helm
from helm import CHART, HELMS, HERE, Helm3, Helm4, documents, of_kind, pod_specs, sets

KUBERNETES = [f"1.{minor}" for minor in range(28, 35)]
OPERATORS = {"monitoring.coreos.com/v1", "gateway.networking.k8s.io/v1"}

# As far as we write it: Cilium's own schema comes in no package.
PORTS = {"type": "array", "minItems": 1, "items": {
    "type": "object", "additionalProperties": False, "required": ["ports"], "properties": {
        "ports": {"type": "array", "items": {
            "type": "object", "additionalProperties": False, "required": ["port"],
            "properties": {"port": {"type": "string", "pattern": "^[0-9]+$"}, "protocol": {"enum": ["TCP", "UDP", "ANY"]}}}},
        "rules": {"type": "object", "additionalProperties": False, "properties": {"dns": {"type": "array", "items": {
            "type": "object", "additionalProperties": False, "properties": {"matchPattern": {"type": "string"}}}}}}}}}
ENDPOINTS = {"type": "array", "minItems": 1, "items": {
    "type": "object", "additionalProperties": False, "required": ["matchLabels"],
    "properties": {"matchLabels": {"type": "object", "additionalProperties": {"type": "string"}}}}}
CILIUM = {
    "type": "object", "additionalProperties": False, "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {"apiVersion": {"const": "cilium.io/v2"}, "kind": {"const": "CiliumNetworkPolicy"}, "metadata": {}, "spec": {
        "type": "object", "additionalProperties": False, "required": ["endpointSelector"], "properties": {
            "endpointSelector": {"type": "object"},
            "ingress": {"type": "array", "items": {"type": "object", "additionalProperties": False, "properties": {
                "fromEndpoints": ENDPOINTS, "toPorts": PORTS,
                "fromEntities": {"type": "array", "items": {"enum": ["ingress", "host"]}}}}},
            "egress": {"type": "array", "items": {"type": "object", "additionalProperties": False, "properties": {
                "toEndpoints": ENDPOINTS, "toPorts": PORTS, "toEntities": {"type": "array", "items": {"enum": ["kube-apiserver"]}},
                "toFQDNs": {"type": "array", "minItems": 1, "items": {
                    "type": "object", "additionalProperties": False, "required": ["matchName"],
                    "properties": {"matchName": {"type": "string", "pattern": r"^[a-z0-9.-]+$"}}}}}}}}}},
}


def objects_of(name):
    values, apis = sets()[name]
    return documents(Helm4().template(values, apis))


def operators_say(objects):
    done = subprocess.run(["node", str(HERE / "operators.mjs")], input=json.dumps(objects), capture_output=True, text=True,
                          check=True)
    return done.stdout.splitlines()


def core_says(objects, version):
    said = []
    for it in objects:
        try:
            kubernetes_validate.validate(it, version, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            said.append(f"{it['kind']}/{it['metadata']['name']}: {error.message}")
    return said


def split(objects):
    operators = [it for it in objects if it["apiVersion"] in OPERATORS]
    cilium = [it for it in objects if it["apiVersion"] == "cilium.io/v2"]
    core = [it for it in objects if it not in operators and it not in cilium]
    return core, operators, cilium


@pytest.fixture(scope="session")
def kept_chart(tmp_path_factory):
    """The chart with other rules and another dashboard: the kept renders show the templates, not what alerts there are."""
    folder = tmp_path_factory.mktemp("kept") / "bp-cutover-api"
    shutil.copytree(CHART, folder, ignore=shutil.ignore_patterns("files"))
    shutil.copytree(HERE / "files", folder / "files")
    return folder


@pytest.mark.parametrize("name", sets())
def test_a_set_of_values_renders_as_it_is_kept(name, kept_chart):
    values, apis = sets()[name]
    kept = HERE / "golden" / f"{name}.yaml"
    text = Helm3().template(values, apis, chart=kept_chart)
    if os.environ.get("CUTOVER_BLESS") == "1":
        kept.write_text(text)
    assert text == kept.read_text(), "if this is meant: CUTOVER_BLESS=1 tests/chart/run"


@pytest.mark.parametrize("name", sets())
def test_both_helms_render_the_same_objects(name):
    values, apis = sets()[name]
    three, four = (documents(it.template(values, apis)) for it in HELMS)
    key = lambda it: (it["kind"], it["metadata"]["name"])  # noqa: E731
    assert sorted(three, key=key) == sorted(four, key=key)


@pytest.mark.parametrize("it", HELMS, ids=lambda it: it.name)
@pytest.mark.parametrize("name", sets())
def test_lint_is_strict_and_content(it, name):
    values, apis = sets()[name]
    # lint knows no --api-versions
    if apis:
        values = copy.deepcopy(values)
        values.get("serviceMonitor", {}).pop("renderMode", None)
        values.get("networkPolicy", {}).pop("flavour", None)
    good, said = it.lint(values)
    assert good, said


@pytest.mark.parametrize("it", HELMS, ids=lambda it: it.name)
def test_lint_can_fail(it):
    good, _ = it.lint({"replicaCount": 2})
    assert not good


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_is_one_of_that_kubernetes(version):
    for name in sets():
        core, _, _ = split(objects_of(name))
        assert core_says(core, version) == [], name


@pytest.mark.parametrize("version", KUBERNETES)
def test_what_the_step_and_the_hooks_bring_about_is_valid_too(version):
    seen = 0
    for name in sets():
        for pod_name, spec in pod_specs(objects_of(name)):
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "it"}, "spec": spec}
            assert core_says([pod], version) == [], f"{name}: {pod_name}"
            seen += 1
    assert seen > 15


def test_objects_of_operators_are_valid_by_their_crds():
    monitoring = split(objects_of("monitoring"))[1]
    assert sorted(it["kind"] for it in monitoring) == ["PrometheusRule", "ServiceMonitor"]
    exposed = split(objects_of("exposed"))[1]
    assert [it["kind"] for it in exposed] == ["HTTPRoute"]
    assert operators_say(monitoring + exposed) == []


def test_cilium_policies_hold_only_what_is_known_of_them():
    cilium = split(objects_of("exposed"))[2]
    assert len(cilium) == 1
    helm_validate(cilium[0], CILIUM)
    cilium[0]["spec"]["egress"][0]["toPort"] = []
    with pytest.raises(Exception, match="toPort"):
        helm_validate(cilium[0], CILIUM)


def helm_validate(it, schema):
    import jsonschema

    jsonschema.validate(it, schema)


def test_the_schemas_refuse_what_is_wrong():
    deployment = copy.deepcopy(of_kind(objects_of("default"), "Deployment"))
    deployment["spec"]["template"]["spec"]["containers"][0]["imagePolicy"] = "Always"
    assert core_says([deployment], "1.30") != []
    monitor, rule = (copy.deepcopy(of_kind(objects_of("monitoring"), kind)) for kind in ("ServiceMonitor", "PrometheusRule"))
    monitor["spec"]["endpoints"][0]["interval"] = "often"
    rule["spec"]["groups"][0]["rules"][0]["for"] = "a while"
    assert len(operators_say([monitor, rule])) == 2


@pytest.mark.parametrize("it", HELMS, ids=lambda it: it.name)
def test_it_renders_without_a_value_row_63(it):
    assert sorted(o["kind"] for o in documents(it.template({}))) == [
        "ConfigMap", "Deployment", "PersistentVolumeClaim", "Pod", "Service", "ServiceAccount"]


def test_kubernetes_before_1_28_is_refused():
    with pytest.raises(helm.Refused, match="1.28"):
        Helm3().template({}, kube="v1.27.9")
    # a vendor's suffix is none of our business
    Helm3().template({}, kube="v1.28.0-eks-1234")


def test_two_renders_are_equal():
    for name in ("platform", "monitoring"):
        values, apis = sets()[name]
        assert Helm3().template(values, apis) == Helm3().template(values, apis)


def test_the_chart_is_packed_with_its_files_and_without_its_tests(tmp_path):
    done = Helm3.run("package", str(CHART), "--destination", str(tmp_path))
    assert done.returncode == 0, done.stderr
    archive = next(tmp_path.glob("*.tgz"))
    names = subprocess.run(["tar", "tzf", str(archive)], capture_output=True, text=True, check=True).stdout.split()
    for wanted in ("README.md", "values.schema.json", "blueprint.yaml", "files/prometheus/rules.yaml",
                   "files/dashboards/cutover-api.json", "templates/NOTES.txt", "templates/tests/ready.yaml"):
        assert f"bp-cutover-api/{wanted}" in names
    assert not [name for name in names if name.startswith("bp-cutover-api/tests/")]


def test_yaml_is_tidy():
    files = [CHART / "Chart.yaml", CHART / "values.yaml", CHART / "blueprint.yaml", *sorted((HERE / "values").glob("*.yaml"))]
    rules = {"extends": "default", "rules": {
        "line-length": {"max": 130}, "document-start": "disable", "braces": {"max-spaces-inside": 1},
        "comments": {"min-spaces-from-content": 1}, "octal-values": "enable"}}
    # the icon is one long word
    rules["ignore"] = []
    rules["rules"]["line-length"]["allow-non-breakable-words"] = True
    done = subprocess.run(["yamllint", "-s", "-d", yaml.safe_dump(rules), *map(str, files)], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout
