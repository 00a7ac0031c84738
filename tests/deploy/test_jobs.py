"""A listener that was taken over can start exactly the Jobs that irkit makes, and nothing else."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import generate
from irkit.settings.orders import JobSettings
from tests.controlplane.running import Obj
from tests.deploy.chart import ACTOR, LISTENER, NAMESPACE, Chart, job_of

pytestmark = pytest.mark.controlplane


@pytest.fixture(scope="module")
def job_settings(chart: Chart, tmp_path_factory: pytest.TempPathFactory) -> JobSettings:
    return chart.job_settings(tmp_path_factory.mktemp("settings"))


def test_the_job_that_irkit_makes_is_admitted_and_so_is_its_pod(chart: Chart, job_settings: JobSettings) -> None:
    assert not (answer := chart.create(LISTENER, job_of(job_settings))).refused, answer.text
    until = time.monotonic() + 20
    while not (pods := chart.plane.get("pods", "-n", NAMESPACE, "-l", "irkit.dev/order-id")["items"]):  # restricted Pod Security lets it in
        assert time.monotonic() < until, chart.plane.kubectl("describe", "jobs", "-n", NAMESPACE).stdout
        time.sleep(0.1)
    assert pods[0]["spec"]["serviceAccountName"] == "irkit-collect-only"


def pod(change: Callable[[Obj], Any]) -> Callable[[Obj], Any]:
    return lambda job: change(job["spec"]["template"]["spec"])


def container(change: Callable[[Obj], Any]) -> Callable[[Obj], Any]:
    return lambda job: change(job["spec"]["template"]["spec"]["containers"][0])


def meta(change: Callable[[Obj], Any]) -> Callable[[Obj], Any]:
    return lambda job: change(job["spec"]["template"]["metadata"])


SECOND = {"name": "second", "image": "busybox", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
RUN = {"exec": {"command": ["/usr/bin/python3.11", "-c", "print()"]}}
FORGED: dict[str, Callable[[Obj], Any]] = {
    "another image": container(lambda c: c.update(image="registry.example/evil@sha256:" + "0" * 64)),
    "the image by a tag": container(lambda c: c.update(image="registry.example/irkit:latest")),
    "another program": container(lambda c: c.update(command=["/usr/bin/python3.11"])),
    "other arguments": container(lambda c: c.update(args=["rotate", "-n", "shop"])),
    "the order of another Job": container(lambda c: c.update(args=["order", "work", "zzzzzzzzzzzz"])),
    "more arguments": container(lambda c: c["args"].append("--playbooks=/tmp")),
    "no arguments": container(lambda c: c.pop("args")),
    "a program at start": container(lambda c: c.update(lifecycle={"postStart": RUN})),
    "a program as probe": container(lambda c: c.update(livenessProbe=RUN)),
    "another directory": container(lambda c: c.update(workingDir="/tmp")),
    "an environment of its own": container(lambda c: c["env"].append({"name": "KUBERNETES_SERVICE_HOST", "value": "192.0.2.1"})),
    "a home of its own": container(lambda c: c["env"].__setitem__(0, {"name": "IRKIT_HOME", "value": "/tmp"})),
    "a secret as environment": container(lambda c: c.update(envFrom=[{"secretRef": {"name": "irkit-signing"}}])),
    "one value of a secret": container(lambda c: c["env"].append({"name": "HOME", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}})),
    "a part of a volume": container(lambda c: c["volumeMounts"][0].update(subPath="x")),
    "a volume elsewhere": container(lambda c: c["volumeMounts"][0].update(mountPath="/usr/local/lib/python3.11")),
    "a writable image": container(lambda c: c["securityContext"].update(readOnlyRootFilesystem=False)),
    "a second container": pod(lambda p: p["containers"].append(SECOND)),
    "an init container": pod(lambda p: p.update(initContainers=[SECOND])),
    "an account of no playbook": pod(lambda p: p.update(serviceAccountName="default")),
    "the listener's account": pod(lambda p: p.update(serviceAccountName="irkit-listener")),
    "a directory of the node": pod(lambda p: p["volumes"].append({"name": "node", "hostPath": {"path": "/"}})),
    "a secret as volume": pod(lambda p: p["volumes"].append({"name": "settings2", "secret": {"secretName": "irkit-signing"}})),
    "no settings at all": container(lambda c: c["env"].pop(2)),
    "settings that are nowhere": container(lambda c: c["volumeMounts"].pop(2)),
    "another file as settings": pod(lambda p: p["volumes"][2]["configMap"].update(items=[{"key": "rules.yaml", "path": "config.yaml"}])),
    "a file of the node over the settings": container(lambda c: c.update(terminationMessagePath="/etc/irkit/config.yaml")),
    "annotations, which others may act upon": meta(lambda m: m.update(annotations={"sidecar.example.com/inject": "true"})),
    "labels, which others may act upon": meta(lambda m: m["labels"].update({"sidecar.example.com/inject": "true"})),
    "the listener's labels": meta(lambda m: m["labels"].update({"app.kubernetes.io/component": "listener"})),
    "another user": pod(lambda p: p["securityContext"].update(runAsUser=1000)),
    "another group of the volume": pod(lambda p: p["securityContext"].update(fsGroup=1000)),
    "other settings": pod(lambda p: p["volumes"][2].update(configMap={"name": "irkit-order-bcdfghjkmnpq"})),
    "a token for somebody else": pod(
        lambda p: p["volumes"][1].update(emptyDir=None, projected={"sources": [{"serviceAccountToken": {"path": "t", "audience": "a"}}]})
    ),
    "the node's network": pod(lambda p: p.update(hostNetwork=True)),
    "a chosen node": pod(lambda p: p.update(nodeName="node-0")),
    "chosen nodes": pod(lambda p: p.update(nodeSelector={"kubernetes.io/hostname": "node-0"})),
    "nodes that are kept free": pod(lambda p: p.update(tolerations=[{"operator": "Exists"}])),
    "names of its own": pod(lambda p: p.update(hostAliases=[{"ip": "192.0.2.1", "hostnames": ["s3.example.com"]}])),
    "a resolver of its own": pod(lambda p: p.update(dnsPolicy="None", dnsConfig={"nameservers": ["192.0.2.1"]})),
    "shared processes": pod(lambda p: p.update(shareProcessNamespace=True)),
    "many pods": lambda job: job["spec"].update(parallelism=500, completions=500),
    "another name": lambda job: job["metadata"].update(name="backup"),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_job_is_refused(chart: Chart, job_settings: JobSettings, what: str) -> None:
    forged = job_of(job_settings, "cdfghjkmnpqr")
    FORGED[what](forged)
    answer = chart.as_(LISTENER, "create", "--dry-run=server", "-f", "-", stdin=forged)
    assert answer.refused, what
    assert "ValidatingAdmissionPolicy 'irkit-jobs'" in answer.text, answer.text


def test_the_unforged_one_is_admitted_where_the_forged_ones_are_not(chart: Chart, job_settings: JobSettings) -> None:
    answer = chart.as_(LISTENER, "create", "--dry-run=server", "-f", "-", stdin=copy.deepcopy(job_of(job_settings, "cdfghjkmnpqr")))
    assert not answer.refused, answer.text


@pytest.mark.parametrize("resource", ["pods", "deployments.apps", "cronjobs.batch", "secrets", "serviceaccounts/token", "pods/exec"])
def test_the_listener_makes_nothing_else(chart: Chart, resource: str) -> None:
    for user in (LISTENER, ACTOR):
        assert chart.as_(user, "auth", "can-i", "create", resource, "-n", NAMESPACE).text.strip() == "no"


def test_a_playbook_starts_no_jobs(chart: Chart) -> None:
    assert chart.as_(ACTOR, "auth", "can-i", "create", "jobs.batch", "-n", NAMESPACE).text.strip() == "no"


def test_jobs_with_everything_that_values_offer_are_admitted_too(chart: Chart, tmp_path: Path) -> None:
    """The policy follows the values: rendered with each of them, it compares with what irkit makes of the settings rendered beside it."""
    options = ["jobs.secret=irkit-environment", "jobs.playbooks=irkit-playbooks", "jobs.claim=", "image.pullSecrets={pull}", "network.policies=false"]
    text = generate.render(*(f"--set={o}" for o in options))
    objects = [o for o in yaml.safe_load_all(text) if o]
    found = Chart(chart.plane, objects)
    made = job_of(found.job_settings(tmp_path), "dfghjkmnpqrs")
    policy, binding = (found.find(kind, "irkit-jobs") for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"))
    installed = [chart.find(kind, "irkit-jobs") for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")]
    assert chart.as_(LISTENER, "create", "--dry-run=server", "-f", "-", stdin=made).refused
    try:
        chart.plane.apply(policy, binding)
        until = time.monotonic() + 20
        while (answer := chart.as_(LISTENER, "create", "--dry-run=server", "-f", "-", stdin=made)).refused:
            assert time.monotonic() < until, answer.text
            time.sleep(0.3)
    finally:
        chart.plane.apply(*installed)
