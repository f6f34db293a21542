"""values.schema.json: it knows every value, and refuses nonsense on both Helms."""

import json

import jsonschema
import pytest
import yaml

from helm import CHART, HELMS, Refused, nested

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
DIGEST = "sha256:" + "0" * 64

NONSENSE = {
    "a misspelt key": {"replicas": 1},
    "a misspelt key inside": {"gitea.tokenSecret": {"name": "x"}},
    "two pods": {"replicaCount": 2},
    "a password": {"gitea.password": "hunter2"},
    "the tag latest": {"image.tag": "latest"},
    "a digest that is none": {"image.digest": "sha256:abc"},
    "a registry as a URL": {"image.registry": "https://registry.example.org"},
    "a global registry as a URL": {"global.imageRegistry": "oci://registry.example.org"},
    "a credential in Gitea's URL": {"sovereign.giteaInternalURL": "http://user:pass@gitea:3000"},
    "a query in Gitea's URL": {"sovereign.giteaInternalURL": "http://gitea:3000/?a=b"},
    "a credential in upstream's URL": {"upstream.repoURL": "https://user:pass@github.com/a/b"},
    "ssh to upstream": {"upstream.repoURL": "ssh://git@github.com/a/b"},
    "an upstream without a repository": {"upstream.repoURL": "https://github.com"},
    "an interval in words": {"upstream.mirrorInterval": "10 minutes"},
    "an empty branch": {"upstream.branch": ""},
    "a secret without a key": {"upstream.credentialsSecretRef": {"name": "x"}},
    "a user name without a password": {"upstream.credentialsSecretRef": {"name": "x", "usernameKey": "u"}},
    "a token beside a password": {
        "upstream.credentialsSecretRef": {"name": "x", "tokenKey": "t", "usernameKey": "u", "passwordKey": "p"}},
    "a mode that is none": {"mirror.mode": "frozen"},
    "another fate of a legacy repository": {"mirror.onLegacy": "delete"},
    "a mirror without an upstream": {"mirrors": [{"name": "a", "target": {"owner": "a", "repo": "b"}}]},
    "a mirror's name in capitals": {
        "mirrors": [{"name": "A", "upstream": {"url": "https://h/a"}, "target": {"owner": "a", "repo": "b"}}]},
    "a webhook secret without a name": {"mirror.webhook.secretRefs": [{"key": "k"}]},
    "CA certificates in the values": {"caBundle": "-----BEGIN CERTIFICATE-----"},
    "another way to recognise callers": {"auth.mode": "basic"},
    "a log level that is none": {"log.level": "loud"},
    "a log level that is none, of a target": {"log.level": "info,cutover_api=loud"},
    "no connections": {"limits.connections": 0},
    "a limit as a number": {"limits.run": 30},
    "an origin with a path": {"server.origins": ["https://console.example.org/path"]},
    "an operator with a wildcard": {"kubernetes.operators": ["system:serviceaccount:catalyst:*"]},
    "a status ConfigMap with its namespace": {"status.configMapName": "catalyst/status"},
    "a volume that many read": {"persistence.accessModes": ["ReadOnlyMany"]},
    "a size in words": {"persistence.size": "large"},
    "a privileged port": {"service.containerPort": 80},
    "a port beyond the last": {"service.port": 70000},
    "a privileged container": {"securityContext.privileged": True},
    "a secret in the environment": {"extraEnv": [{"name": "GITEA_PASSWORD", "value": "hunter2"}]},
    "a label of the step on everything": {"commonLabels": {"app.kubernetes.io/component": "cutover-step"}},
    "a label of the engine on everything": {"commonLabels": {"bp.openova.io/cutover-order": "1"}},
    "a label of the engine on the pod": {"podLabels": {"app.kubernetes.io/part-of": "self-sovereign-cutover"}},
    "another flavour of policy": {"networkPolicy.flavour": "calico"},
    "a range that is none": {"networkPolicy.upstream.cidrs": ["everywhere"]},
    "an upstream nowhere": {"networkPolicy.upstream.cidrs": []},
    "another renderMode": {"serviceMonitor.renderMode": "sometimes"},
    "a scrape in words": {"serviceMonitor.interval": "often"},
    "an alert's name in small letters": {"prometheusRule.disabled": ["stale"]},
    "a relative runbook URL": {"prometheusRule.runbookBaseUrl": "docs/runbooks"},
    "an Ingress path without a slash": {"ingress.hosts": [{"host": "a.b", "paths": [{"path": "x", "pathType": "Prefix"}]}]},
    "a step without a deadline": {"stepTimeouts.giteaMirrorSeconds": 0},
    "a trigger's deadline as a text": {"autoTrigger.timeoutSeconds": "4m"},
    "a switch as a text": {"cutoverStep.enabled": "false"},
}

SENSE = {
    "a digest": {"image.digest": DIGEST},
    "no registry": {"image.registry": ""},
    "a registry with a port and a path": {"global.imageRegistry": "registry.example.org:5000/proxy-ghcr"},
    "another chart's global": {"global.storageClass": "fast"},
    "no pod": {"replicaCount": 0},
    "Gitea under a prefix": {"sovereign.giteaInternalURL": "https://git.example.org/gitea"},
    "hours and minutes": {"upstream.mirrorInterval": "1h30m"},
    "CA certificates in a Secret": {"caBundle.secretName": "corporate-ca", "caBundle.key": "tls.crt"},
    "IPv6": {"server.listenAddress": "[::]"},
    "a sealed upstream": {"networkPolicy.upstream.cidrs": ["140.82.112.0/20", "2606:50c0::/32"]},
    "no status ConfigMap": {"status.configMapName": ""},
    "a branch with a slash": {"upstream.branch": "release/1.x"},
}


@pytest.mark.parametrize("it", HELMS, ids=lambda it: it.name)
@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_is_refused(what, it):
    with pytest.raises(Refused) as refused:
        it.template(nested(NONSENSE[what]))
    assert "schema" in str(refused.value), "the schema says so, not a template"


@pytest.mark.parametrize("it", HELMS, ids=lambda it: it.name)
@pytest.mark.parametrize("what", SENSE)
def test_sense_is_taken(what, it):
    it.template(nested(SENSE[what]))


def test_the_schema_is_one():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)


def resolved(schema):
    while "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def compare(values, schema, path=""):
    schema = resolved(schema)
    known = schema.get("properties")
    if known is None or schema.get("additionalProperties") is not False:
        return
    assert set(values) == set(known), f"values.yaml and the schema differ at {path or 'the top'}"
    for key, value in values.items():
        if isinstance(value, dict):
            compare(value, known[key], f"{path}.{key}")


def test_the_schema_has_exactly_the_keys_of_the_values():
    compare(VALUES, SCHEMA)
    with pytest.raises(AssertionError):
        compare({**VALUES, "auth": {**VALUES["auth"], "more": 1}}, SCHEMA)


def test_every_object_that_is_ours_is_closed():
    free = {"annotations", "labels"}

    def walk(schema, path):
        if schema.get("type") == "object" and "properties" in schema and path not in ("global", "securityContext"):
            assert schema.get("additionalProperties") is False or path.endswith("extraEnv[]"), path
        for key, part in schema.get("properties", {}).items():
            walk(part, f"{path}.{key}".strip("."))
        if isinstance(schema.get("items"), dict):
            walk(schema["items"], f"{path}[]")

    walk(SCHEMA, "")
    for name, part in SCHEMA["definitions"].items():
        if name not in free:
            walk(part, name if name == "securityContext" else f"definitions/{name}")
