"""Rotating in bulk, beside the shell script that people write for it. Both wait until every Secret holds its new value.

The operator makes some seven requests of the API server for each sync, and by itself sends 50 a second at most: no rotation
of 500 could take less than a minute. Here it may send 1,000, for both.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable

from bench.measure import Series, run
from bench.scenes import Stage
from bench.table import Row
from tests.components.openbao import OpenBao, program, running
from tests.components.synced import external_secret, store
from tests.controlplane.controllers import controlling
from tests.controlplane.running import Obj

ENTRIES, CONSUMERS = 500, 50
LIMITS = "--client-qps=1000 --client-burst=1000"  # of the operator; --concurrent=20 it has from controlling()
SCRIPT = """set -eu
for n in $(seq 0 {last}); do
  head -c 24 /dev/urandom | base64 | "{bao}" kv put -mount={mount} "app-$n" value=- >/dev/null
  "{kubectl}" -n {namespace} annotate externalsecret "app-$n" force-sync="$(date +%s%N)" --overwrite >/dev/null
done
for n in $(seq 0 {consumers}); do
  "{kubectl}" -n {namespace} rollout restart deployment "app-$n" >/dev/null
done
"""


def rotation(stage: Stage) -> list[Row]:
    """One run each: the script takes minutes, and what is compared differs by more than any noise."""
    os.environ["EXTERNAL_SECRETS_FLAGS"] = LIMITS
    with controlling(stage.plane.home, "external-secrets"), running() as bao:
        namespace = f"bench-{next(stage.numbers)}"
        mount = _world(stage, bao, namespace)
        theirs = _timed(stage, namespace, lambda: _script(stage, bao, mount, namespace))
        mine = _timed(stage, namespace, lambda: _irkit(stage, bao, namespace))
    beside = f"{ENTRIES} × (bao kv put, kubectl annotate), {CONSUMERS} × rollout restart"
    what = f"irkit rotate, {ENTRIES} entries, {CONSUMERS} workloads; the operator with --concurrent=20 {LIMITS} for both"
    return [Row(what, mine.minimum, mine.median, "s", beside, theirs.minimum, theirs.median, 0.1)]


def _world(stage: Stage, bao: OpenBao, namespace: str) -> str:
    mount = bao.kv()
    stage.plane.kubectl("create", "namespace", namespace)
    stage.plane.kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=20s")
    for n in range(ENTRIES):
        bao.put(mount, f"app-{n}", {"value": f"first-{n}"})
    wishes = [external_secret(f"app-{n}", {"VALUE": (f"app-{n}", "value")}) for n in range(ENTRIES)]
    for wish in wishes:
        wish["metadata"]["annotations"] = {"irkit.dev/rotation": "generated"}
    each = ENTRIES // CONSUMERS
    workloads = [_deployment(n, [f"app-{m}" for m in range(n * each, (n + 1) * each)]) for n in range(CONSUMERS)]
    stage.plane.apply(*store(bao, mount), *wishes, *workloads, namespace=namespace)
    _until(lambda: len(_values(stage, namespace)) == ENTRIES, 120)
    stage.plane.pods(namespace, count=CONSUMERS, seconds=120)
    return mount


def _deployment(number: int, secrets: list[str]) -> Obj:
    name = f"app-{number}"
    container = {"name": "app", "image": "localhost/app:1", "envFrom": [{"secretRef": {"name": s}} for s in secrets]}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def _script(stage: Stage, bao: OpenBao, mount: str, namespace: str) -> None:
    text = SCRIPT.format(last=ENTRIES - 1, consumers=CONSUMERS - 1, bao=program(), kubectl=stage.plane.kubectl_program, mount=mount,
                         namespace=namespace)  # fmt: skip
    subprocess.run(["sh", "-c", text], env=stage.environ() | {"BAO_ADDR": bao.address, "BAO_TOKEN": bao.token}, check=True, stdin=subprocess.DEVNULL)


def _irkit(stage: Stage, bao: OpenBao, namespace: str) -> None:
    environ = stage.environ() | {"VAULT_ADDR": bao.address, "VAULT_TOKEN": bao.token}
    run([stage.irkit_program, "rotate", "--scope", "namespace", "-n", namespace, "--yes", "-o", "json"], environ, accept=(0, 5))


def _timed(stage: Stage, namespace: str, rotate: Callable[[], None]) -> Series:
    """Seconds until every Secret has another value than before."""
    before = _values(stage, namespace)
    begun = time.perf_counter()
    rotate()
    _until(lambda: not before & _values(stage, namespace), 300)
    return Series([time.perf_counter() - begun])


def _values(stage: Stage, namespace: str) -> set[str]:
    """A hash of every value that was synced."""
    listed = subprocess.run([stage.plane.kubectl_program, "-n", namespace, "get", "secrets", "-o", "json"], env=stage.environ(), check=True,
                            stdout=subprocess.PIPE).stdout  # fmt: skip
    found = [s["data"]["VALUE"] for s in json.loads(listed)["items"] if "VALUE" in (s.get("data") or {})]
    return {hashlib.sha256(base64.b64decode(value)).hexdigest() for value in found}


def _until(met: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not met():
        if time.monotonic() > until:
            raise SystemExit(f"the bench's world is not as it should be after {seconds:g} s")
        time.sleep(0.1)
