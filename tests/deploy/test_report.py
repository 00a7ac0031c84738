"""The weekly report of rules in dry run: admitted, with the right to list the queue and no other, and really printed on the node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import yaml

from irkit.model.order import DRY_RUN, Ended, Origin
from tests.controlplane.running import Obj, Running
from tests.deploy.chart import ID, LISTENER, NAMESPACE, Chart, held, order_map, rendered
from tests.deploy.site import Site

REPORT = f"system:serviceaccount:{NAMESPACE}:irkit-report"
RULE = {"name": "miner", "match": {"source": "falco", "severity": "high"}, "run": {"command": "contain"}, "dry-run": True}
RULES = {"rules": {"apiVersion": "irkit.dev/v1", "kind": "Rules", "rules": [RULE]}}


def of_the_report(plane: Running, values: Obj) -> list[Obj]:
    """What the chart makes for it."""
    return [o for o in yaml.safe_load_all(rendered(plane, values)) if o and o["metadata"]["name"] == "irkit-report"]


@contextmanager
def reporting(plane: Running, values: Obj) -> Iterator[None]:
    objects = of_the_report(plane, {**values, **RULES})
    assert {o["kind"] for o in objects} == {"ServiceAccount", "Role", "RoleBinding", "CronJob"}
    plane.apply(*objects)
    try:
        yield
    finally:
        for one in objects:
            plane.kubectl("delete", one["kind"].lower(), "irkit-report", "-n", NAMESPACE, "--wait=false")
        plane.kubectl("delete", "job", "this-week", "-n", NAMESPACE, "--ignore-not-found")


@contextmanager
def recorded(chart: Chart) -> Iterator[None]:
    """What a rule in dry run would have ordered just now."""
    one = held()
    status = msgspec.structs.replace(one.status, state="done", begun=0, ended=Ended(outcome=DRY_RUN, exit_code=0, summary=""))
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    order = msgspec.structs.replace(one.order, origin=Origin(door="webhook", sender="falco"), command="contain", playbook="compromised-pod",
                                    needs="one", rule="miner", because="a miner", created=now)  # fmt: skip
    manifest = order_map(msgspec.structs.replace(one, order=order, status=status))
    manifest["metadata"]["labels"] = {"irkit.dev/order": "over"}
    assert not (answer := chart.create(LISTENER, manifest)).refused, answer.text
    try:
        yield
    finally:
        assert not (answer := chart.as_(LISTENER, "delete", "configmap", f"irkit-order-{ID}", "-n", NAMESPACE)).refused, answer.text


def pod_of_this_week(plane: Running, seconds: float = 20) -> Obj:
    plane.kubectl("create", "job", "this-week", "--from=cronjob/irkit-report", "-n", NAMESPACE)
    until = time.monotonic() + seconds
    while not (pods := plane.get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=report")["items"]):
        assert time.monotonic() < until, plane.kubectl("describe", "jobs", "-n", NAMESPACE).stdout
        time.sleep(0.1)
    found: Obj = pods[0]
    return found


def printed(chart: Chart, folder: Path) -> str:
    """`irkit serve report` with the settings that are installed, and with the account's rights alone."""
    document = json.loads(chart.plane.admin_kubeconfig.read_text())
    document["users"][0]["user"]["as"] = REPORT
    (folder / "kubeconfig").touch(0o600)
    (folder / "kubeconfig").write_text(json.dumps(document))
    (folder / "config.yaml").write_text(chart.configuration)
    mine = {"PATH": os.environ["PATH"], "HOME": folder, "KUBECONFIG": folder / "kubeconfig", "IRKIT_CONFIG": folder / "config.yaml"}
    command = [sys.executable, "-m", "irkit", "serve", "report"]
    done = subprocess.run(command, env={k: str(v) for k, v in mine.items()}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.controlplane
def test_there_is_a_report_only_where_a_rule_is_a_dry_run(chart: Chart) -> None:
    assert of_the_report(chart.plane, {}) == []
    assert of_the_report(chart.plane, {**RULES, "report": {"schedule": ""}}) == []


@pytest.mark.controlplane
def test_its_pod_is_admitted_and_it_may_list_the_queue_and_nothing_else(chart: Chart, tmp_path: Path) -> None:
    with reporting(chart.plane, {}), recorded(chart):
        pod = pod_of_this_week(chart.plane)
        assert (pod["spec"]["serviceAccountName"], pod["metadata"]["labels"]["app.kubernetes.io/name"]) == (
            "irkit-report",
            "irkit",
        )  # by the policies
        assert "miner: contain, 1 time, after one approval" in printed(chart, tmp_path)
        for verb, what in (("get", "secrets"), ("create", "configmaps"), ("create", "jobs.batch"), ("get", "pods"), ("create", "leases")):
            assert chart.as_(REPORT, "auth", "can-i", verb, what, "-n", NAMESPACE).refused, (verb, what)


@pytest.mark.node
def test_the_report_is_printed_on_the_node(site: Site) -> None:
    with reporting(site.plane, site.values), recorded(site.chart):
        name = pod_of_this_week(site.plane)["metadata"]["name"]
        site.plane.kubectl("wait", f"pod/{name}", "-n", NAMESPACE, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", check=False)
        assert "miner: contain, 1 time, after one approval" in site.plane.kubectl("logs", name, "-n", NAMESPACE, check=False).stdout
