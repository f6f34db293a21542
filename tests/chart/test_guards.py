"""Values that are good one by one and wrong together: each guard refuses, and says what to write instead."""

import pytest

from helm import CILIUM, HELMS, MONITORING, Helm4, Refused, nested, render, of_kind

A = {"name": "a", "upstream": {"url": "https://h.example.org/a"}, "target": {"owner": "o", "repo": "a"}}

GUARDS = {
    "everybody an operator": ({"auth.mode": "none"}, "auth.allowAnonymous", {"auth.allowAnonymous": True}),
    "a Secret of another namespace": (
        {"gitea.adminSecretRef.namespace": "gitea"}, "copy the Secret", {"gitea.adminSecretRef.namespace": "catalyst"}),
    "no credential for Gitea": (
        {"gitea.adminSecretRef.name": ""}, "gitea.tokenSecretRef.name", {"gitea.tokenSecretRef.name": "token"}),
    "nobody's ServiceAccount": (
        {"serviceAccount.create": False}, "serviceAccount.name", {"serviceAccount.name": "mine"}),
    "nobody may call": (
        {"kubernetes.enabled": True}, "kubernetes.operators", {"kubernetes.operators": ["system:serviceaccount:a:b"]}),
    "a step that nobody recognises": ({"cutoverStep.enabled": True}, "kubernetes.enabled", {"kubernetes.enabled": True}),
    "a guard without anything to look at": (
        {"kubernetes.enabled": True, "kubernetes.operators": ["system:serviceaccount:a:b"], "status.configMapName": ""},
        "status.configMapName", {"kubernetes.pastPivotGuard": False}),
    "a trigger that nobody recognises": (
        {"autoTrigger.enabled": True}, "autoTrigger.tokenSecretRef.name", {"autoTrigger.tokenSecretRef.name": "token"}),
    "scraped twice": (
        {"metrics.scrapeAnnotations": True, "serviceMonitor.enabled": True}, "keep one", {"serviceMonitor.enabled": False}),
    "an Ingress without a host": (
        {"ingress.enabled": True}, "ingress.hosts", {"ingress.hosts": [{"host": "cutover.example.org"}]}),
    "a route without a Gateway": (
        {"httpRoute.enabled": True}, "httpRoute.parentRefs", {"httpRoute.parentRefs": [{"name": "gateway"}]}),
    "two bundles of CA certificates": (
        {"caBundle.configMapName": "a", "caBundle.secretName": "b"}, "caBundle", {"caBundle.secretName": ""}),
    "a signature of nothing": (
        {"notifications.secretRef": {"name": "s", "key": "k"}}, "notifications.url",
        {"notifications.url": "https://hooks.example.org"}),
    "two mirrors of one name": (
        {"mirrors": [A, {**A, "target": {"owner": "o", "repo": "b"}}]}, "two mirrors are named a",
        {"mirrors": [A, {**A, "name": "b", "target": {"owner": "o", "repo": "b"}}]}),
    "two mirrors of one target": (
        {"mirrors": [A, {**A, "name": "b", "target": {"owner": "O", "repo": "A"}}]}, "the target o/a", {"mirrors": [A]}),
}


@pytest.mark.parametrize("it", HELMS, ids=lambda it: it.name)
@pytest.mark.parametrize("what", GUARDS)
def test_a_guard_refuses_and_its_remedy_works(what, it):
    values, words, remedy = GUARDS[what]
    with pytest.raises(Refused) as refused:
        it.template(nested(values))
    assert words in str(refused.value)
    it.template(nested({**values, **remedy}))


@pytest.mark.parametrize("it", HELMS, ids=lambda it: it.name)
@pytest.mark.parametrize("what", ["serviceMonitor", "prometheusRule"])
def test_render_modes(what, it):
    kind = {"serviceMonitor": "ServiceMonitor", "prometheusRule": "PrometheusRule"}[what]
    there = lambda mode, apis: f"kind: {kind}" in it.template(nested({  # noqa: E731
        f"{what}.enabled": True, f"{what}.renderMode": mode}), apis)
    assert [there(mode, [MONITORING]) for mode in ("skipIfMissing", "failIfMissing", "alwaysRender")] == [True] * 3
    assert not there("skipIfMissing", [])
    assert there("alwaysRender", [])
    with pytest.raises(Refused, match="install its CRDs first"):
        there("failIfMissing", [])


@pytest.mark.parametrize("it", HELMS, ids=lambda it: it.name)
def test_cilium_is_demanded_of_the_cluster(it):
    values = nested({"networkPolicy.enabled": True, "networkPolicy.flavour": "cilium"})
    with pytest.raises(Refused, match="cilium.io/v2"):
        it.template(values)
    assert "kind: CiliumNetworkPolicy" in it.template(values, [CILIUM])


@pytest.mark.parametrize("it", HELMS, ids=lambda it: it.name)
def test_an_alert_that_does_not_exist_cannot_be_left_out(it):
    values = nested({"prometheusRule.enabled": True, "prometheusRule.disabled": ["CutoverMirrorStail"]})
    with pytest.raises(Refused, match="there is no alert CutoverMirrorStail"):
        it.template(values, [MONITORING])


def test_a_chart_without_its_rules_or_dashboard_is_refused(tmp_path):
    import shutil

    from helm import CHART

    folder = tmp_path / "bp-cutover-api"
    shutil.copytree(CHART, folder, ignore=shutil.ignore_patterns("files"))
    for what in ("prometheusRule", "dashboard"):
        with pytest.raises(Refused, match="is not in the chart"):
            Helm4().template(nested({f"{what}.enabled": True}), [MONITORING], chart=folder)


def notes(pairs, apis=()):
    return Helm4().files(nested(pairs), apis)["bp-cutover-api/templates/NOTES.txt"]


def test_the_notes_say_what_to_do_next_and_warn():
    plain = notes({})
    for words in ("create secret generic cutover-api-tokens", "port-forward svc/cutover-api", "helm test cutover-api",
                  "https://github.com/openova-io/openova -> openova/openova", "gitea-admin-secret"):
        assert words in plain
    assert "WARNING" not in plain and "NOTE" not in plain
    assert "every caller that reaches the Service is an operator" in notes({"auth.mode": "none", "auth.allowAnonymous": True})
    assert "loses the history" in notes({"persistence.enabled": False})
    missing = notes({"serviceMonitor.enabled": True})
    assert "serviceMonitor.enabled is set" in missing and "prometheusRule" not in missing
    assert "WARNING" not in notes({"serviceMonitor.enabled": True}, [MONITORING])
    assert "unverified" in notes({"networkPolicy.enabled": True, "networkPolicy.upstream.enabled": False})
    step = notes({"cutoverStep.enabled": True, "kubernetes.enabled": True})
    assert "read-only" in step and "create secret generic" not in step and "kubectl create token" in step


def test_every_guard_is_tried_here():
    from helm import CHART

    guards = (CHART / "templates" / "_guards.tpl").read_text().count("fail ")
    # the one of Cilium has a test of its own
    assert guards == len(GUARDS) + 1


def test_the_step_and_the_trigger_are_operators():
    objects = render({"kubernetes.enabled": True, "cutoverStep.enabled": True, "autoTrigger.enabled": True})
    config = of_kind(objects, "ConfigMap", "cutover-api")["data"]["config.yaml"]
    assert "system:serviceaccount:catalyst:bp-self-sovereign-cutover-runner" in config
    assert "system:serviceaccount:catalyst:cutover-api-auto-trigger" in config
