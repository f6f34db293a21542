#!/usr/bin/env bash
# bp-cutover-api: blueprint.yaml and Chart.yaml move together, in the shape that the platform's release job reads by awk and
# rewrites by sed.
#
#   1. Chart.yaml `version` == blueprint.yaml `spec.version`.
#   2. Chart.yaml `name` == blueprint.yaml `metadata.name`, and begins with bp-.
#   3. Exactly one line `version: …` at the place where each is looked for.
#   4. The chart says that it has no upstream chart, or the hollow-chart guard refuses it.
#
# Usage: bash tests/blueprint-lockstep.sh [CHART_DIR]

set -euo pipefail

CHART_DIR="$(cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}" && pwd)"

fail() {
  echo "FAIL: $1" >&2
  exit 1
}

echo "[blueprint-lockstep] Case 3: one version line each, where the release job looks for it"
[[ $(grep -cE '^version: ' "$CHART_DIR/Chart.yaml") -eq 1 ]] || fail "Chart.yaml does not have exactly one line \"version: …\""
[[ $(grep -cE '^  version: ' "$CHART_DIR/blueprint.yaml") -eq 1 ]] || fail "blueprint.yaml does not have exactly one line \"  version: …\""
echo "  PASS"

echo "[blueprint-lockstep] Case 1: the versions are equal"
chart="$(awk '/^version: / { print $2 }' "$CHART_DIR/Chart.yaml")"
blueprint="$(awk '/^  version: / { print $2 }' "$CHART_DIR/blueprint.yaml")"
[[ $chart == "$blueprint" ]] || fail "Chart.yaml has version $chart, blueprint.yaml has $blueprint (#817)"
echo "  PASS ($chart)"

echo "[blueprint-lockstep] Case 2: the names are equal"
name="$(awk '/^name: / { print $2 }' "$CHART_DIR/Chart.yaml")"
[[ $name == bp-* ]] || fail "the chart's name $name does not begin with bp-"
[[ $name == "$(awk '/^  name: / { print $2; exit }' "$CHART_DIR/blueprint.yaml")" ]] || fail "blueprint.yaml has another name than $name"
echo "  PASS ($name)"

echo "[blueprint-lockstep] Case 4: the chart says that it has no upstream chart"
grep -qE '^  catalyst.openova.io/no-upstream: "true"$' "$CHART_DIR/Chart.yaml" || fail "the annotation no-upstream is not \"true\""
echo "  PASS"

echo "[blueprint-lockstep] All bp-cutover-api blueprint-lockstep gates green."
