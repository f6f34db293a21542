#!/usr/bin/env bash
# bp-cutover-api: checks that blueprint.yaml and Chart.yaml agree, in the form that the platform's release job reads with awk
# and rewrites with sed.
#
#   1. Chart.yaml `version` == blueprint.yaml `spec.version`.
#   2. Chart.yaml `name` == blueprint.yaml `metadata.name`, and begins with bp-.
#   3. Each file has exactly one line `version: …` where the release job expects it.
#   4. The chart declares that it has no upstream chart. Otherwise the platform's hollow-chart guard refuses it.
#
# Usage: bash tests/blueprint-lockstep.sh [CHART_DIR]

set -euo pipefail

CHART_DIR="$(cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}" && pwd)"

fail() {
  echo "FAIL: $1" >&2
  exit 1
}

echo "[blueprint-lockstep] Case 3: one version line each, where the release job expects it"
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
[[ $name == "$(awk '/^  name: / { print $2; exit }' "$CHART_DIR/blueprint.yaml")" ]] || fail "blueprint.yaml does not have the name $name"
echo "  PASS ($name)"

echo "[blueprint-lockstep] Case 4: the chart declares that it has no upstream chart"
grep -qE '^  catalyst.openova.io/no-upstream: "true"$' "$CHART_DIR/Chart.yaml" || fail "the annotation no-upstream is not \"true\""
echo "  PASS"

echo "[blueprint-lockstep] All bp-cutover-api blueprint-lockstep gates green."
