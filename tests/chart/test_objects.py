"""What the objects say: the restricted profile, labels, Secrets, networks, rights, the platform's contract.

Row numbers are those of the platform's compatibility contract, which docs/platform.md explains.
"""

import json

import pytest
import yaml

from helm import CHART, CILIUM, MONITORING, Helm4, Loader, documents, kinds, nested, of_kind, pod_specs, render, sets

STEP = {"cutoverStep.enabled": True, "kubernetes.enabled": True}


def every_object():
    for name, (values, apis) in sets().items():
        for it in documents(Helm4().template(values, apis)):
            yield name, it


def every_pod():
    for name, (values, apis) in sets().items():
        for pod_name, spec in pod_specs(documents(Helm4().template(values, apis))):
            yield f"{name}: {pod_name}", spec


def faults_of_a_pod(spec):
    """What keeps a pod out of a namespace that enforces the restricted profile, and what it should not have anyway."""
    pod = spec.get("securityContext", {})
    if not pod.get("runAsNonRoot") or pod.get("runAsUser", 0) < 1000:
        yield "root"
    if pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "seccomp"
    if spec.get("hostNetwork") or spec.get("hostPID") or spec.get("hostIPC"):
        yield "host"
    if spec.get("enableServiceLinks") is not False:
        yield "service links"
    if "automountServiceAccountToken" not in spec:
        yield "token by default"
    for container in spec["containers"]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities", {}).get("drop") != ["ALL"]:
            yield "privileges"
        if own.get("readOnlyRootFilesystem") is not True:
            yield "writable root"
        if not container.get("resources", {}).get("requests") or "memory" not in container["resources"].get("limits", {}):
            yield "resources"
        for variable in container.get("env", []):
            if "secretKeyRef" in variable.get("valueFrom", {}):
                yield "secret in the environment"
        for mount in container.get("volumeMounts", []):
            if "subPath" in mount:
                yield "subPath"
    for volume in spec.get("volumes", []):
        if "hostPath" in volume:
            yield "hostPath"


def test_every_pod_is_restricted_rows_53_and_62():
    seen = 0
    for name, spec in every_pod():
        assert list(faults_of_a_pod(spec)) == [], name
        seen += 1
    assert seen > 15


def test_the_profile_is_really_looked_at():
    _, spec = next(every_pod())
    bad = {**spec, "securityContext": {}, "containers": [{**spec["containers"][0], "securityContext": {}}]}
    assert set(faults_of_a_pod(bad)) == {"root", "seccomp", "privileges", "writable root"}


def test_one_pod_that_is_recreated_rows_9_and_60():
    spec = of_kind(render(), "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert spec["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "bp-cutover-api", "app.kubernetes.io/instance": "cutover-api"}
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 30


def test_probes_ask_the_program_row_62():
    container = of_kind(render(), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert [container[f"{what}Probe"]["httpGet"]["path"] for what in ("startup", "liveness", "readiness")] == [
        "/healthz", "/healthz", "/readyz"]


def test_labels_of_the_platform_are_on_every_object_rows_40_and_60():
    for name, it in every_object():
        if it["metadata"]["name"].endswith("-extra"):
            continue
        labels = it["metadata"]["labels"]
        for key in ("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by",
                    "app.kubernetes.io/part-of", "app.kubernetes.io/component", "helm.sh/chart"):
            assert labels[key], f"{name}: {it['kind']}"
        assert labels["catalyst.openova.io/blueprint"] == "bp-cutover-api"
        is_step = it["metadata"]["name"] == "cutover-step-01-gitea-mirror"
        assert (labels["app.kubernetes.io/part-of"] == "self-sovereign-cutover") == is_step
        assert (labels["app.kubernetes.io/component"] == "cutover-step") == is_step
        assert any(key.startswith("bp.openova.io/") for key in labels) == is_step
        if name == "platform":
            assert labels["catalyst.openova.io/sovereign-fqdn"] == "sovereign.example.org"
        if name == "several":
            assert labels["team"] == "platform"


def test_a_new_chart_alone_restarts_no_pod():
    for name, it in every_object():
        if it["kind"] == "Deployment":
            assert "helm.sh/chart" not in it["spec"]["template"]["metadata"]["labels"], name


def test_a_new_configuration_restarts_the_pod():
    note = lambda pairs: of_kind(render(pairs), "Deployment")["spec"]["template"]["metadata"]["annotations"]  # noqa: E731
    assert note({})["checksum/config"] == note({"log.level": "debug"})["checksum/config"]
    assert note({})["checksum/config"] != note({"upstream.branch": "trunk"})["checksum/config"]


@pytest.mark.parametrize("pairs, image", [
    ({}, "ghcr.io/openova-io/cutover-api:0.1.0"),
    ({"image.tag": "1.2.3"}, "ghcr.io/openova-io/cutover-api:1.2.3"),
    ({"image.tag": "1.2.3", "image.digest": "sha256:" + "a" * 64}, "ghcr.io/openova-io/cutover-api@sha256:" + "a" * 64),
    ({"global.imageRegistry": "registry.sov.example.org/proxy-ghcr"},
     "registry.sov.example.org/proxy-ghcr/openova-io/cutover-api:0.1.0"),
    ({"global.imageRegistry": "registry.sov.example.org/proxy-ghcr/", "image.registry": "elsewhere.example.org"},
     "registry.sov.example.org/proxy-ghcr/openova-io/cutover-api:0.1.0"),
    ({"image.registry": ""}, "openova-io/cutover-api:0.1.0"),
])
def test_the_image_row_61(pairs, image):
    objects = render({**pairs, **STEP, "autoTrigger.enabled": True})
    assert {container["image"] for _, spec in pod_specs(objects) for container in spec["containers"]} == {image}
    assert len(list(pod_specs(objects))) == 4


def test_pull_secrets_reach_every_pod():
    objects = render({"global.imagePullSecrets": ["one", {"name": "two"}], "image.pullSecrets": [{"name": "three"}], **STEP,
                      "autoTrigger.enabled": True})
    for name, spec in pod_specs(objects):
        assert spec["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}, {"name": "three"}], name


def test_the_chart_renders_no_secret():
    assert "Secret" not in {it["kind"] for _, it in every_object()}


def secrets_of(pairs):
    spec = of_kind(render(pairs), "Deployment")["spec"]["template"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    return {mounts[volume["name"]]: volume["secret"] for volume in spec["volumes"] if "secret" in volume}


def test_credentials_are_files_of_existing_secrets_row_46():
    admin = secrets_of({})["/run/secrets/gitea"]
    assert (admin["secretName"], admin["defaultMode"], admin["optional"]) == ("gitea-admin-secret", 0o440, True)
    assert [item["path"] for item in admin["items"]] == ["username", "password"]
    token = secrets_of({"gitea.tokenSecretRef.name": "pat", "gitea.tokenSecretRef.key": "it"})["/run/secrets/gitea"]
    assert (token["secretName"], token["items"]) == ("pat", [{"key": "it", "path": "token"}])
    # without it the program would end again and again; a pod that waits says more
    assert "optional" not in secrets_of({})["/run/secrets/cutover"]
    assert "/run/secrets/cutover" not in secrets_of(STEP)
    assert secrets_of({**STEP, "auth.tokensSecretRef.name": "callers"})["/run/secrets/cutover"]["secretName"] == "callers"


def config_of(pairs):
    return yaml.safe_load(of_kind(render(pairs), "ConfigMap", "cutover-api")["data"]["config.yaml"])


def test_the_values_of_the_platform_have_its_names_and_defaults_rows_44_and_45():
    config = config_of({})
    assert config["gitea"]["url"] == "http://gitea-http.gitea.svc.cluster.local:3000"
    assert config["mirrors"] == [{
        "name": "openova", "upstream": {"url": "https://github.com/openova-io/openova", "branch": "main"},
        "target": {"owner": "openova", "repo": "openova"}, "interval": "10m0s", "prune": False, "private": False,
        "onLegacy": "refuse"}]
    assert sorted(config) == ["gitea", "limits", "mirrors"]
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["gitea"]["adminSecretRef"]["name"] == "gitea-admin-secret"
    assert values["stepTimeouts"]["giteaMirrorSeconds"] == 1200
    assert (values["status"]["configMapName"], values["status"]["namespace"]) == ("self-sovereign-cutover-status", "catalyst")


def test_a_mirror_is_named_after_its_repository():
    assert config_of({"gitea.repo": "My_Repo.1"})["mirrors"][0]["name"] == "my-repo-1"
    assert config_of({"gitea.repo": "x", "mirror.name": "given"})["mirrors"][0]["name"] == "given"


def test_host_names_of_the_service_are_its_own_too():
    own = ["cutover-api", "cutover-api.catalyst", "cutover-api.catalyst.svc", "cutover-api.catalyst.svc.cluster.local"]
    assert config_of({"server.hosts": ["a.example.org"]})["server"]["hosts"] == ["a.example.org", *own]
    assert config_of({"auth.mode": "none", "auth.allowAnonymous": True})["server"]["hosts"] == own
    assert "server" not in config_of({})


def test_the_journal_is_on_a_volume_or_not_row_33():
    state = lambda pairs: next(  # noqa: E731
        volume for volume in of_kind(render(pairs), "Deployment")["spec"]["template"]["spec"]["volumes"] if volume["name"] == "state")
    assert state({})["persistentVolumeClaim"] == {"claimName": "cutover-api"}
    assert of_kind(render(), "PersistentVolumeClaim")["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert "annotations" not in of_kind(render({"persistence.keep": False}), "PersistentVolumeClaim")["metadata"]
    assert state({"persistence.existingClaim": "mine"})["persistentVolumeClaim"] == {"claimName": "mine"}
    assert "PersistentVolumeClaim" not in kinds(render({"persistence.existingClaim": "mine"}))
    assert state({"persistence.enabled": False})["emptyDir"] == {"sizeLimit": "256Mi"}
    assert "PersistentVolumeClaim" not in kinds(render({"persistence.enabled": False}))


RBAC = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}


def test_rights_only_with_kubernetes_and_the_least_row_57():
    assert not RBAC & set(kinds(render({"networkPolicy.enabled": True, "persistence.enabled": False})))
    spec = of_kind(render(), "Deployment")["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    objects = render(STEP)
    assert of_kind(objects, "Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"] is True
    assert of_kind(objects, "ClusterRole")["rules"] == [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}]
    role = of_kind(objects, "Role")
    assert role["metadata"]["namespace"] == "catalyst"
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["self-sovereign-cutover-status"],
         "verbs": ["get", "patch"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}]
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        binding = of_kind(objects, kind)
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "cutover-api", "namespace": "catalyst"}]
    # a cluster without the platform may not even have that namespace
    alone = {**STEP, "status.configMapName": "", "kubernetes.pastPivotGuard": False}
    assert RBAC & set(kinds(render(alone))) == {"ClusterRole", "ClusterRoleBinding"}
    assert config_of(alone)["kubernetes"]["statusConfigMap"] == ""
    moved = of_kind(render({**STEP, "status.namespace": "flux-system", "status.configMapName": "other"}), "Role")
    assert (moved["metadata"]["namespace"], moved["rules"][0]["resourceNames"]) == ("flux-system", ["other"])


def policy(pairs):
    return of_kind(render({"networkPolicy.enabled": True, **pairs}), "NetworkPolicy")["spec"]


def test_the_policy_denies_all_but_what_is_listed_row_59():
    assert "NetworkPolicy" not in kinds(render())
    spec = policy({})
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    sources = spec["ingress"][0]["from"]
    assert [it["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for it in sources[1:]] == [
        "catalyst", "catalyst-system", "monitoring"]
    dns, gitea, upstream = spec["egress"]
    assert {(port["port"], port["protocol"]) for port in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert gitea["ports"] == [{"port": 3000, "protocol": "TCP"}]
    assert gitea["to"][0]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "gitea"}
    four, six = (it["ipBlock"] for it in upstream["to"])
    assert four["cidr"] == "0.0.0.0/0" and "10.0.0.0/8" in four["except"] and "fc00::/7" not in four["except"]
    assert six["cidr"] == "::/0" and six["except"] == ["fc00::/7", "fe80::/10"]
    assert upstream["ports"] == [{"port": 443, "protocol": "TCP"}]
    assert len(policy({"networkPolicy.upstream.enabled": False})["egress"]) == 2
    # nothing is left out of a range that does not hold it: the API server refuses that
    narrow = policy({"networkPolicy.upstream.cidrs": ["140.82.112.0/20"]})["egress"][2]["to"]
    assert narrow == [{"ipBlock": {"cidr": "140.82.112.0/20"}}]
    assert policy(STEP)["egress"][3]["ports"] == [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]
    moved = policy({**STEP, "cutoverStep.namespace": "elsewhere"})["ingress"][0]["from"][-1]
    assert moved["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "elsewhere"}
    # the step, the test and the trigger of this release are no servers
    assert spec["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "server"


def test_the_policy_in_giteas_namespace_is_additive_row_58():
    spec = of_kind(render({"networkPolicy.intoGitea.enabled": True}), "NetworkPolicy", "cutover-api-to-gitea")
    assert spec["metadata"]["namespace"] == "gitea"
    assert spec["spec"]["policyTypes"] == ["Ingress"], "it denies nothing that goes out"
    rule = spec["spec"]["ingress"][0]
    assert rule["from"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "catalyst"}
    assert rule["ports"] == [{"port": 3000, "protocol": "TCP"}]


def test_cilium_names_upstream_and_lets_its_gateway_in():
    pairs = {"networkPolicy.enabled": True, "networkPolicy.flavour": "cilium",
             "upstream.repoURL": "https://git.example.org:8443/a/b"}
    objects = render(pairs, [CILIUM])
    assert "NetworkPolicy" not in kinds(objects)
    spec = of_kind(objects, "CiliumNetworkPolicy")["spec"]
    assert [rule["toFQDNs"] for rule in spec["egress"] if "toFQDNs" in rule] == [[{"matchName": "git.example.org"}]]
    entities = lambda spec: [rule["fromEntities"] for rule in spec["ingress"] if "fromEntities" in rule]  # noqa: E731
    assert entities(spec) == [["host"]]
    routed = render({**pairs, "httpRoute.enabled": True, "httpRoute.parentRefs": [{"name": "g"}]}, [CILIUM])
    assert entities(of_kind(routed, "CiliumNetworkPolicy")["spec"]) == [["ingress"], ["host"]]


def test_the_rules_are_those_of_the_file():
    file = yaml.safe_load((CHART / "files" / "prometheus" / "rules.yaml").read_text())
    rule = of_kind(render({"prometheusRule.enabled": True}, [MONITORING]), "PrometheusRule")
    assert rule["spec"]["groups"] == file["groups"]


def test_rules_are_left_out_labelled_and_linked():
    file = yaml.safe_load((CHART / "files" / "prometheus" / "rules.yaml").read_text())
    alerts = [rule for group in file["groups"] for rule in group["rules"] if "alert" in rule]
    first = alerts[0]["alert"]
    rule = of_kind(render({
        "prometheusRule.enabled": True, "prometheusRule.disabled": [first], "prometheusRule.alertLabels": {"team": "x"},
        "prometheusRule.runbookBaseUrl": "https://docs.example.org/runbooks/"}, [MONITORING]), "PrometheusRule")
    rendered = [it for group in rule["spec"]["groups"] for it in group["rules"]]
    named = [it for it in rendered if "alert" in it]
    assert [it["alert"] for it in named] == [it["alert"] for it in alerts[1:]]
    for it, kept in zip(named, alerts[1:]):
        assert it["expr"] == kept["expr"] and it.get("for") == kept.get("for")
        assert it["labels"] == {**kept.get("labels", {}), "team": "x"}
        assert it["annotations"]["runbook_url"].startswith("https://docs.example.org/runbooks/Cutover")
        assert it["annotations"]["runbook_url"].endswith(".md")
    assert len(rendered) - len(named) == sum("record" in it for group in file["groups"] for it in group["rules"])


def test_the_dashboard_is_the_file():
    shown = of_kind(render({"dashboard.enabled": True}), "ConfigMap", "cutover-api-dashboard")
    assert shown["data"]["cutover-api.json"] == (CHART / "files" / "dashboards" / "cutover-api.json").read_text()
    assert json.loads(shown["data"]["cutover-api.json"])["uid"] == "cutover-api"
    assert shown["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_the_service_monitor_finds_the_service():
    objects = render({"serviceMonitor.enabled": True}, [MONITORING])
    spec = of_kind(objects, "ServiceMonitor")["spec"]
    service = of_kind(objects, "Service")
    assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert spec["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    # the alert on restarts selects its job by a part of this name
    assert "cutover-api" in service["metadata"]["labels"][spec["jobLabel"]]


def test_the_service_finds_the_server_and_no_other_pod_of_the_release():
    objects = render({**STEP, "autoTrigger.enabled": True})
    selector = of_kind(objects, "Service")["spec"]["selector"].items()
    assert selector <= of_kind(objects, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    assert not selector <= of_kind(objects, "Job")["spec"]["template"]["metadata"]["labels"].items()
    assert not selector <= of_kind(objects, "Pod")["metadata"]["labels"].items()


def test_scrape_annotations_only_when_asked():
    note = lambda pairs: of_kind(render(pairs), "Deployment")["spec"]["template"]["metadata"]["annotations"]  # noqa: E731
    assert not [key for key in note({}) if key.startswith("prometheus.io/")]
    assert note({"metrics.scrapeAnnotations": True})["prometheus.io/port"] == "8080"


def test_events_have_no_time_limit_at_the_gateway():
    route = of_kind(render({"httpRoute.enabled": True, "httpRoute.parentRefs": [{"name": "g"}]}), "HTTPRoute")
    assert route["spec"]["rules"][0]["timeouts"] == {"request": "0s"}


def step(pairs):
    it = of_kind(render({**STEP, **pairs}), "ConfigMap", "cutover-step-01-gitea-mirror")
    return it, yaml.load(it["data"]["podSpec"], Loader)


def test_the_step_is_what_the_engine_looks_for_rows_34_to_39():
    it, spec = step({})
    assert it["metadata"]["namespace"] == "catalyst"
    labels = it["metadata"]["labels"]
    assert (labels["bp.openova.io/cutover-order"], labels["bp.openova.io/cutover-mode"]) == ("1", "job")
    assert set(it["data"]) == {"stepName", "podSpec"} and it["data"]["stepName"] == "gitea-mirror"
    assert "annotations" not in it["metadata"]
    assert (spec["restartPolicy"], spec["activeDeadlineSeconds"]) == ("Never", 1200)
    assert spec["serviceAccountName"] == "bp-self-sovereign-cutover-runner"
    container = spec["containers"][0]
    # no time limit of its own: the deadline is the Job's, and is tried again
    assert container["args"] == ["mirror", "--wait", "--keep-trying", "--label=gitea-mirror"]
    assert {it["name"]: it["value"] for it in container["env"]} == {
        "CUTOVER_URL": "http://cutover-api.catalyst.svc.cluster.local:8080",
        "CUTOVER_TOKEN_FILE": "/var/run/secrets/kubernetes.io/serviceaccount/token"}
    assert spec["automountServiceAccountToken"] is True
    text = it["data"]["podSpec"]
    assert "secretName" not in text and "secretKeyRef" not in text and "gitea-admin" not in text
    assert step({"stepTimeouts.giteaMirrorSeconds": 800})[1]["activeDeadlineSeconds"] == 800


@pytest.mark.parametrize("pairs, accepted", [
    ({}, False),
    ({"networkPolicy.enabled": True}, False),
    ({"networkPolicy.upstream.enabled": False}, False),
    ({"networkPolicy.enabled": True, "networkPolicy.upstream.enabled": False}, True),
    ({"networkPolicy.enabled": True, "networkPolicy.upstream.enabled": False, "cutoverStep.acceptUnverified": False}, False),
    ({"cutoverStep.acceptUnverified": True}, True),
])
def test_an_unverified_end_is_good_where_upstream_is_out_of_reach_row_37(pairs, accepted):
    assert ("--accept-unverified" in step(pairs)[1]["containers"][0]["args"]) == accepted


def test_a_demanded_audience_brings_a_token_for_it_row_48():
    _, spec = step({"kubernetes.audiences": ["cutover-api"]})
    assert spec["automountServiceAccountToken"] is False
    source = spec["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]
    assert source["audience"] == "cutover-api"
    container = spec["containers"][0]
    file = next(it["value"] for it in container["env"] if it["name"] == "CUTOVER_TOKEN_FILE")
    assert file == f"{container['volumeMounts'][0]['mountPath']}/{source['path']}"


def trigger(pairs):
    return of_kind(render({"autoTrigger.enabled": True, **pairs}), "Job")


def test_the_trigger_is_a_hook_with_a_deadline_that_fails_no_install():
    job = trigger({"autoTrigger.tokenSecretRef.name": "operator"})
    notes = job["metadata"]["annotations"]
    assert notes["helm.sh/hook"] == "post-install"
    assert "hook-succeeded" not in notes["helm.sh/hook-delete-policy"], "its log is kept"
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert {"mirror", "--wait", "--keep-trying", "--exit-zero"} <= set(arguments)
    limit = int(next(it for it in arguments if it.startswith("--timeout=")).removeprefix("--timeout=").removesuffix("s"))
    assert limit < job["spec"]["activeDeadlineSeconds"] < 300, "its own good end comes first, and Helm's time limit last"
    assert trigger({"autoTrigger.tokenSecretRef.name": "o", "autoTrigger.onUpgrade": True})["metadata"]["annotations"][
        "helm.sh/hook"] == "post-install,post-upgrade"


def test_the_trigger_is_somebody():
    by_secret = trigger({"autoTrigger.tokenSecretRef.name": "operator"})["spec"]["template"]["spec"]
    assert by_secret["volumes"][0]["secret"]["secretName"] == "operator" and by_secret["volumes"][0]["secret"]["optional"]
    assert by_secret["automountServiceAccountToken"] is False and "serviceAccountName" not in by_secret
    by_account = trigger({"kubernetes.enabled": True})["spec"]["template"]["spec"]
    assert by_account["serviceAccountName"] == "cutover-api-auto-trigger" and "volumes" not in by_account
    assert by_account["automountServiceAccountToken"] is True
    assert of_kind(render({"autoTrigger.enabled": True, "kubernetes.enabled": True}), "ServiceAccount", "cutover-api-auto-trigger")


def test_names_fit_however_long_the_release_is():
    values = nested({**STEP, "autoTrigger.enabled": True, "networkPolicy.enabled": True,
                     "networkPolicy.intoGitea.enabled": True, "dashboard.enabled": True})
    for it in documents(Helm4().template(values, release="a-release-with-a-very-long-name-as-flux-makes-them-12")):
        if it["kind"] not in ("ClusterRole", "ClusterRoleBinding"):
            assert len(it["metadata"]["name"]) <= 63
        for value in it["metadata"]["labels"].values():
            assert len(value) <= 63


def test_nothing_is_put_into_another_namespace_unasked():
    for it in render():
        assert it["metadata"].get("namespace") == "catalyst"
