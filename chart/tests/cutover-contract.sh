#!/usr/bin/env bash
# bp-cutover-api: checks the rendered chart against the contract of the platform's cut-over engine.
#
# The cases have the same numbers as in the platform's own cutover-contract.sh:
#   1.   Renders with default values, without a label of the cut-over.
#   2+4. With cutoverStep.enabled, exactly one step ConfigMap renders, with its labels. No other object has them.
#   3.   Its data are `stepName` and `podSpec`, a literal block indented by two spaces.
#   5.   It is a Job of order 1. The engine never waits for it in place of step 4.
#   6.   On uninstall, only the journal's claim is kept.
#   7.   No rule has `create` together with `resourceNames`, which would give a 403 on every POST.
#
# Usage: bash tests/cutover-contract.sh [CHART_DIR]; needs only helm.

set -euo pipefail

CHART_DIR="$(cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}" && pwd)"
TMP="$(mktemp -d)"
trap 'rm -rf "$TMP"' EXIT

fail() {
  echo "FAIL: $1" >&2
  if [[ -s $TMP/err ]]; then cat "$TMP/err" >&2; fi
  exit 1
}

# Splits the rendered chart into one file for each object.
split() {
  rm -rf "$2" && mkdir -p "$2"
  awk -v dir="$2" 'BEGIN { n = 0 } /^---$/ { n++; next } { print > (dir "/" sprintf("%03d", n) ".yaml") }' "$1"
}

echo "[cutover-contract] Case 1: renders with default values, and without a label of the cut-over"
helm template smoke "$CHART_DIR" >"$TMP/default.yaml" 2>"$TMP/err" || fail "the chart does not render without a value"
if grep -qE "self-sovereign-cutover|cutover-step|bp\.openova\.io/" "$TMP/default.yaml"; then
  fail "the default render has a label of the cut-over, so the platform's chart would miscount its own steps"
fi
echo "  PASS ($(wc -l <"$TMP/default.yaml") lines)"

helm template smoke "$CHART_DIR" --namespace catalyst --set kubernetes.enabled=true --set cutoverStep.enabled=true \
  --set autoTrigger.enabled=true --set networkPolicy.enabled=true --set networkPolicy.intoGitea.enabled=true \
  >"$TMP/render.yaml" 2>"$TMP/err" || fail "the platform's parts do not render"
split "$TMP/render.yaml" "$TMP/objects"

echo "[cutover-contract] Case 2 + 4: exactly one step ConfigMap, with its labels"
steps="$(grep -lE "^    app.kubernetes.io/component: cutover-step$" "$TMP"/objects/*.yaml || true)"
count="$(wc -w <<<"$steps")"
[[ $count -eq 1 ]] || fail "$count objects have the label cutover-step; one malformed step breaks the discovery of all"
step="$steps"
for line in "kind: ConfigMap" "  name: cutover-step-01-gitea-mirror" "  namespace: catalyst" \
  "    app.kubernetes.io/part-of: self-sovereign-cutover" '    bp.openova.io/cutover-mode: "job"'; do
  grep -qxF "$line" "$step" || fail "the step has no line \"$line\""
done
grep -qE '^    bp.openova.io/cutover-order: "[0-9]+"$' "$step" || fail "the step has no order: a whole number in quotes"
others="$(grep -lE "self-sovereign-cutover$|bp\.openova\.io/cutover-" "$TMP"/objects/*.yaml | grep -vxF "$step" || true)"
for other in $others; do
  if grep -qE "^ +app.kubernetes.io/part-of: self-sovereign-cutover$|^ +bp\.openova\.io/cutover-" "$other"; then
    fail "another object has a label of the cut-over: $(grep -E '^  name:' "$other")"
  fi
done
echo "  PASS (1 step ConfigMap)"

echo "[cutover-contract] Case 3: required data keys present"
[[ $(grep -c '^  stepName: gitea-mirror$' "$step") -eq 1 ]] || fail "stepName is not gitea-mirror, the name that the engine expects"
[[ $(grep -c '^  podSpec: |$' "$step") -eq 1 ]] || fail "podSpec is not a literal block indented by two spaces"
[[ $(grep -cE '^  [A-Za-z.]+:' <(sed -n '/^data:/,$p' "$step")) -eq 2 ]] || fail "the step has other data than stepName and podSpec"
grep -qE '^    containers:$' "$step" || fail "podSpec has no containers"
echo "  PASS (stepName, podSpec)"

echo "[cutover-contract] Case 5: the step is a Job of order 1, and leaves step 4 to the platform"
grep -qxF '    bp.openova.io/cutover-order: "1"' "$step" || fail "the step is not the first one"
if grep -q "daemonset" "$step"; then fail "the step mentions a DaemonSet"; fi
echo "  PASS (order 1, mode job)"

echo "[cutover-contract] Case 6: only state is kept on uninstall"
kept="$(grep -lE "helm.sh/resource-policy: \"?keep" "$TMP"/objects/*.yaml || true)"
for file in $kept; do
  grep -qx "kind: PersistentVolumeClaim" "$file" || fail "kept on uninstall, but no PersistentVolumeClaim: $(grep -m1 -E '^  name:' "$file")"
done
[[ $(wc -w <<<"$kept") -eq 1 ]] || fail "the journal's claim is not kept on uninstall"
echo "  PASS (the journal's claim, and nothing else)"

echo "[cutover-contract] Case 7: RBAC splits create into a rule without resourceNames"
roles=0
for file in "$TMP"/objects/*.yaml; do
  grep -qE "^kind: (Cluster)?Role$" "$file" || continue
  roles=$((roles + 1))
  # a rule begins with "  - "; both words within one are a fault
  awk '
    /^rules:/ { inside = 1; next }
    /^[a-z]/ { inside = 0 }
    inside && /^  - / { create = 0; named = 0 }
    inside && /verbs:.*create/ { create = 1 }
    inside && /^ +- create/ { create = 1 }
    inside && /resourceNames:/ { named = 1 }
    inside && create && named { bad = 1 }
    END { exit bad }
  ' "$file" || fail "create and resourceNames in one rule: $(grep -m1 -E '^  name:' "$file")"
done
[[ $roles -eq 2 ]] || fail "$roles roles; kubernetes.enabled renders two"
echo "  PASS (2 roles)"

echo "[cutover-contract] All bp-cutover-api cutover-contract gates green."
