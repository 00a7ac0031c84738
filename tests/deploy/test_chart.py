"""The chart and the plain manifests are one, and refuse values that would not be safe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import generate
from irkit import settings
from tests.controlplane.plugin import built
from tests.deploy.chart import PLAIN


@pytest.fixture(scope="module", autouse=True)
def helm() -> None:
    built("helm")


def manifests(*options: str) -> list[dict[str, Any]]:
    return [o for o in yaml.safe_load_all(generate.render(*options)) if o]


def pods(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield from (o["spec"]["template"]["spec"] for o in objects if o["kind"] == "Deployment")


def test_the_plain_manifests_are_the_chart() -> None:
    for path, text in generate.files().items():
        assert path.read_text() == text, "run make manifests"


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("--set=image.digest=latest", "image.digest must be"),
        ("--set=playbooks={compromised-pot}", 'no playbook "compromised-pot"'),
        ("--namespace=default", "irkit lives in namespace irkit-system"),
    ],
)
def test_values_that_would_not_do_are_refused(option: str, why: str) -> None:
    with pytest.raises(SystemExit, match=why):
        generate.render(option)


def test_no_token_and_no_value_of_a_secret_is_in_it() -> None:
    objects = manifests(f"--values={PLAIN}", "--set=jobs.secret=irkit-jobs")
    assert not [o for o in objects if o["kind"] == "Secret"]
    (pod,) = pods(objects)
    (container,) = pod["containers"]
    assert [e["name"] for e in container["env"] if "valueFrom" in e] == ["SLACK_APP_TOKEN", "SLACK_BOT_TOKEN"]
    assert container["args"][-1] == "--slack"


def test_settings_of_ones_own_are_kept_and_jobs_are_the_charts(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("settings: {concurrency: 4, orders: {most-running: 3, jobs: {image: evil}}}")
    objects = manifests(f"--values={tmp_path}/values.yaml")
    text = next(o for o in objects if o["kind"] == "ConfigMap")["data"]["config.yaml"]
    (tmp_path / "config.yaml").write_text(text)
    found = settings.load({"IRKIT_CONFIG": str(tmp_path / "config.yaml"), "HOME": str(tmp_path)})
    assert (found.concurrency, found.orders.most_running, found.orders.queue) == (4, 3, "cluster")
    assert found.orders.jobs is not None
    assert found.orders.jobs.image == "registry.example/irkit@sha256:" + "0" * 64


def test_without_a_door_there_is_no_listener_and_with_slack_alone_no_port() -> None:
    assert not list(pods(manifests()))
    objects = manifests("--set=listener.slackSecret=irkit-slack")
    (pod,) = pods(objects)
    assert pod["containers"][0]["args"] == ["slack"]
    assert "ports" not in pod["containers"][0]
    assert not [o for o in objects if o["kind"] == "Service"]


def test_the_listener_reaches_slack_or_a_proxy_and_no_other_address() -> None:
    chosen = "--set=listener.slackSecret=irkit-slack"

    def egress(*options: str) -> object:
        found = [o["spec"] for o in manifests(*options) if (o["kind"], o["metadata"]["name"]) == ("NetworkPolicy", "irkit-listener")]
        return found[0].get("egress")

    everywhere = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}
    assert egress(chosen) == [{"to": [everywhere], "ports": [{"protocol": "TCP", "port": 443}]}]
    proxy = ("--set=network.slack.cidrs={10.1.2.3/32}", "--set=network.slack.ports={3128}")
    assert egress(chosen, *proxy) == [{"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"protocol": "TCP", "port": 3128}]}]
    assert egress(f"--values={PLAIN}", "--set=listener.slackSecret=") is None


def test_bags_are_mounted_by_the_listener_only_where_that_is_asked_for_and_read_only() -> None:
    mounts = [m for pod in pods(manifests(f"--values={PLAIN}")) for m in pod["containers"][0]["volumeMounts"]]
    assert "home" not in {m["name"] for m in mounts}
    (pod,) = pods(manifests(f"--values={PLAIN}", "--set=listener.readsBags=true"))
    assert next(m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "home")["readOnly"] is True


def test_the_rules_and_settings_of_the_plain_manifests_are_right(tmp_path: Path) -> None:
    from irkit.listeners.web.rules import loader

    data = next(o for o in manifests(f"--values={PLAIN}") if o["kind"] == "ConfigMap")["data"]
    for name, text in data.items():
        (tmp_path / name).write_text(text.replace("/etc/irkit/", f"{tmp_path}/"))
    found = settings.load({"IRKIT_CONFIG": str(tmp_path / "config.yaml"), "HOME": str(tmp_path)})
    assert [rule.name for rule in loader.load(found)] == ["evidence"]
    assert set(found.serve.sources) == {"falco"}


def test_the_listener_is_restricted_and_spread() -> None:
    objects = manifests(f"--values={PLAIN}")
    (pod,) = pods(objects)
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert pod["affinity"]["podAntiAffinity"]
    deployment = next(o for o in objects if o["kind"] == "Deployment")
    budget = next(o for o in objects if o["kind"] == "PodDisruptionBudget")
    assert deployment["spec"]["replicas"] == 2
    assert budget["spec"]["minAvailable"] == 1
