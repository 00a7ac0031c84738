"""What `verify` can hold an incident to: each check says what it found, and what is not known is not called good."""

from __future__ import annotations

import base64
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from irkit import checks, workloads
from irkit.app.respond import respond
from irkit.app.verify import verify
from irkit.checks import http, tcp
from irkit.checks.scanned import REPORTS
from irkit.checks.wanted import ALL, wanted
from irkit.errors import ForbiddenError, IrkitError, UsageError
from irkit.model.changes import Patch, Rotate
from irkit.model.credential import Credential, fingerprint
from irkit.model.edits import ABSENT, Edit, present
from irkit.model.image import Scan, Vulnerability
from irkit.model.incident import Container
from irkit.model.kube import ENDPOINTSLICES, JOBS, PODS, SECRETS, SERVICES, Obj, ref_of
from irkit.ports import Observed
from irkit.workloads import rollout
from tests.engine.harness import bench
from tests.recovery.world import NEW, OLD, Way
from tests.workloads.world import World, deployed, incident, make, ref, seen

DIGEST, ID = f"sha256:{'d' * 64}", f"registry.example/todo/backend@sha256:{'d' * 64}"


def judge(name: str, obj: Obj, world: World, given: dict[str, Any] | None = None, opened: Any = None, **observed: Any) -> checks.CheckResult:
    looked: Observed = msgspec.structs.replace(seen(world), **observed)
    return checks.find(name, given or {}).judge(opened or incident(obj), ref(obj), looked)


def app(image: str = OLD, identity: str = "") -> tuple[Obj, Obj, list[Obj]]:
    deployment, revision, pods = deployed("backend")
    for one in (deployment["spec"]["template"], *pods):
        one["spec"]["containers"] = [{"name": "backend", "image": image}]
    for pod in pods:
        pod["status"]["containerStatuses"] = [{"name": "backend", "imageID": identity, "restartCount": 0, "ready": True, "state": {"running": {}}}]
    return deployment, revision, pods


# the old image


@pytest.mark.parametrize(("image", "identity", "holds"), [
    (NEW, "", True), (OLD, "", False), (NEW, ID, False), (f"other.example/x@{DIGEST}", "", False), ("other.example/x:1", DIGEST, False),
    (OLD, f"registry.example/todo/backend@sha256:{'e' * 64}", True),
])  # fmt: skip
def test_the_old_image_is_hunted_by_image_id_and_by_words_where_a_node_tells_none(image, identity, holds):
    """A tag that names another image by now is not the old one: the node knows."""
    deployment, _, pods = app(image, identity)
    stranger = {**pods[0], "metadata": {**pods[0]["metadata"], "namespace": "elsewhere", "ownerReferences": []}}
    result = judge("old-image", deployment, World([deployment, stranger]), {"ids": [ID], "names": [OLD]})
    assert result.holds is holds, result
    assert ("only the spec is known" in result.summary) == (identity == "")
    if not holds:
        assert result.findings[0].startswith("Pod elsewhere/backend-")


def test_a_quarantined_pod_is_evidence_and_not_counted():
    deployment, _, pods = app(OLD, ID)
    pods[0]["metadata"]["labels"] = {"quarantine": "true", "irkit.dev/incident": "k7q2"}
    cut = Patch(ref=ref_of(pods[0], PODS), action="relabel", why="", edits=())
    result = judge("old-image", deployment, World([deployment, pods[0]]), {"ids": [ID]}, begun=(cut,))
    assert result.holds is True
    assert "but the 1 quarantined pod" in result.summary


def test_where_not_all_namespaces_may_be_listed_it_is_not_known():
    class Own(World):
        def list(self, resource: Any, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Any:
            if namespace is None:
                raise ForbiddenError("you may not list pods cluster-wide")
            return super().list(resource, namespace)

    deployment, _, pods = app(NEW)
    result = judge("old-image", deployment, Own([deployment, *pods]), {"ids": [ID]})
    assert result.holds is None
    assert "the other namespaces were not searched: you may not list pods cluster-wide" in result.summary


# the workload


def test_image_names_each_pod_that_runs_another_one():
    deployment, revision, pods = app(NEW)
    wish = {"images": {"backend": NEW}}
    assert judge("image", deployment, World([deployment, revision, *pods]), wish).holds is True
    pods[1]["spec"]["containers"][0]["image"] = OLD
    result = judge("image", deployment, World([deployment, revision, *pods]), wish)
    assert (result.holds, len(result.findings)) == (False, 1)


def test_steady_compares_with_the_counts_of_the_redeployment():
    deployment, revision, pods = app()
    world = World([deployment, revision, *pods])
    first = judge("steady", deployment, world, {"first": True})
    pods[0]["status"]["containerStatuses"][0]["restartCount"] = 4
    assert judge("steady", deployment, world, {"first": True}).holds is True
    late = judge("steady", deployment, world, restarts=first.data["restarts"])
    assert (late.holds, late.findings[0].endswith("(0 → 4)")) == (False, True)
    assert judge("steady", deployment, world, restarts=judge("steady", deployment, world).data["restarts"]).holds is True


def test_ready_says_why_not():
    deployment, revision, pods = app()
    assert judge("ready", deployment, World([deployment, revision, *pods])).holds is True
    deployment["status"] |= {"readyReplicas": 2, "conditions": [
        {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: pods=10"},
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}  # fmt: skip
    pods[0]["status"] |= {
        "conditions": [],
        "containerStatuses": [
            {
                "name": "backend",
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
                "lastState": {"terminated": {"exitCode": 3}},
            }
        ],
    }
    result = judge("ready", deployment, World([deployment, revision, *pods]))
    assert result.holds is False
    assert result.findings[0] == "its pods can't be created: exceeded quota: pods=10"
    assert "CrashLoopBackOff: back-off 10s (its last run ended with 3" in result.findings[1]
    assert "ProgressDeadlineExceeded" in rollout.given_up(workloads.observe(ref(deployment), World([deployment])))


@pytest.mark.parametrize(("endpoints", "holds"), [([{"conditions": {"ready": True}}], True), ([{"conditions": {}}], True),
                                                  ([{"conditions": {"ready": False}}], False), ([], False)])  # fmt: skip
def test_endpoints(endpoints, holds):
    deployment, revision, pods = app()
    service = make(SERVICES, "backend", spec={"selector": {"app": "backend"}})
    piece = make(ENDPOINTSLICES, "backend-x", labels={"kubernetes.io/service-name": "backend"}) | {"endpoints": endpoints}
    assert judge("endpoints", deployment, World([deployment, revision, *pods, service, piece])).holds is holds


# what was written


def test_held_names_who_reverted_what():
    deployment, _, pods = app()
    deployment["metadata"]["managedFields"] = [
        {"manager": "argocd-controller", "time": "2026-11-22T03:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    ]
    patch = Patch(ref=ref(deployment), edits=(Edit(("spec", "replicas"), present(3), present(0)),), why="stop")
    result = judge("held", deployment, World([deployment, *pods]), opened=incident(pods[0]), begun=(patch,))
    assert (result.holds, result.findings) == (False, ("Deployment todo-app/backend spec.replicas is 3: reverted by argocd-controller",))
    deployment["spec"]["replicas"] = 0
    assert judge("held", deployment, World([deployment, *pods]), opened=incident(pods[0]), begun=(patch,)).holds is True
    assert judge("held", deployment, World([*pods]), opened=incident(pods[0]), begun=(patch,)).holds is False
    assert judge("held", deployment, World([deployment], forbidden={"Deployment"}), opened=incident(pods[0]), begun=(patch,)).holds is None


@pytest.mark.parametrize(("value", "holds"), [(b"new-value", True), (b"canary-old-9", False)])
def test_rotated_finds_an_old_value_by_its_hmac_and_never_shows_it(value, holds):
    key = b"k" * 32
    secret = make(SECRETS, "backend-secret") | {"data": {"SECRET_KEY": base64.b64encode(value).decode(), "other": "!"}}
    _, _, pods = app()
    credential = Credential(ref=ref_of(secret, SECRETS), keys=("SECRET_KEY",), cls="generated")
    begun = (Rotate(credential=credential, rotator="x", stage="renew", step="rotate"),)
    befores = {credential.id: {"values": {"SECRET_KEY": fingerprint(b"canary-old-9", key)}, "version": 3}}
    result = judge("rotated", pods[0], World([secret]), begun=begun, befores=befores, prints=lambda v: fingerprint(v, key))
    assert result.holds is holds
    assert "canary" not in repr(result)
    assert judge("rotated", pods[0], World([secret], forbidden={"Secret"}), begun=begun, befores=befores, prints=lambda v: "x").holds is None
    assert judge("rotated", pods[0], World([secret]), begun=begun, befores=befores).holds is None


def test_what_applies_follows_from_what_is_in_force():
    deployment, _, pods = app()
    opened = incident(pods[0], workload=ref(deployment), containers=(Container(name="backend", image=OLD, image_id=ID),))
    stop = Patch(ref=ref(deployment), edits=(Edit(("spec", "replicas"), present(3), present(0)),), action="scale", why="stop")
    before, after = [{"name": "backend", "image": OLD}], [{"name": "backend", "image": NEW}]
    image = Patch(ref=ref(deployment), edits=(Edit(("spec", "template", "spec", "containers"), present(before), present(after)),),
                  action="redeploy", why="run", forward=True)  # fmt: skip
    pause = Patch(ref=ref(make(SECRETS, "x")), edits=(Edit(("a",), ABSENT, present(1)),), why="pause")

    def names(*begun: Any, stopping: bool = True) -> list[str]:
        return [w.check for w in wanted(ALL, opened, begun, pod=None, stopping=stopping)]

    assert names() == ["stopped"]
    assert names(stop, pause) == ["stopped", "held"]
    assert names(image) == ["ready", "image", "old-image", "steady", "endpoints"]
    assert names(image, stop) == ["stopped"], "it was stopped again"
    assert names(stopping=False) == []
    hunt = next(w for w in wanted(ALL, opened, [image], pod=None, stopping=True) if w.check == "old-image")
    assert hunt.given == {"ids": [ID], "names": [OLD]}


# images


def test_reports_of_trivys_operator_count_where_nothing_scans():
    deployment, _, _ = app()
    report = {"apiVersion": REPORTS.api_version, "kind": REPORTS.kind, "metadata": {"name": "r", "namespace": "todo-app", "uid": "u"},
              "report": {"artifact": {"digest": f"sha256:{'a' * 64}"}, "summary": {"criticalCount": 2, "highCount": 1}}}  # fmt: skip
    result = judge("scanned", deployment, World([report]), {"image": NEW}, outward=Way(None))
    assert (result.holds, result.data["counts"]) == (False, {"critical": 2, "high": 1})
    assert "VulnerabilityReport todo-app/r" in result.summary
    assert judge("scanned", deployment, World([], unserved={"VulnerabilityReport"}), {"image": NEW}, outward=Way(None)).holds is None


def test_hostile_words_of_a_scanner_are_escaped():
    deployment, _, _ = app()
    scan = Scan("trivy", (Vulnerability("CVE-\x1b[2J", "critical", "p\nq"),))
    result = judge("scanned", deployment, World(), {"image": NEW}, outward=Way(scan))
    assert "\x1b" not in repr(result.findings).replace("\\x1b", "")
    assert "\n" not in result.findings[0]


# probes


@pytest.mark.parametrize("text", ["", "shop.example", "ftp://x", "http://x 99", "http://x yes", "http://ü"])
def test_an_http_probe_is_a_url(text):
    with pytest.raises(UsageError, match="an http probe is"):
        http.parse(text)


@pytest.mark.parametrize("text", ["", "db", "db:", ":5432", "db:0", "db:99999", "d b:1"])
def test_a_tcp_probe_is_a_place(text):
    with pytest.raises(UsageError, match="a tcp probe is"):
        tcp.parse(text)


PROBES = """
apiVersion: irkit.dev/v1
kind: Playbook
metadata: {name: probing, title: Probing, severity: low, runbook: probing.md}
parameters: {pod: {type: pod, required: true}}
phases:
  recovery:
    - id: prove
      step: verify
      timeout: 20s
      with: {checks: [alive], http: ["http://shop.example/health", "http://shop.example/old 410"], tcp: ["[::1]:1"], pod: "${pod}", JOB}
"""


def probing(tmp_path: Path, job: str = "") -> str:
    (tmp_path / "probing.md").write_text("#")
    (tmp_path / "probing.yaml").write_text(PROBES.replace(", JOB", job))
    return str(tmp_path / "probing.yaml")


def test_probes_of_a_playbook_are_made_and_made_again_by_verify(tmp_path):
    with bench(tmp_path) as b:
        way = Way(status={"http://shop.example/health": 204, "http://shop.example/old": 200})
        b.ports = msgspec.structs.replace(b.ports, outward=way)
        result = respond(b.ports, b.request(playbook=probing(tmp_path), phase=""))
        held = {c["check"]: c["holds"] for c in result.checks}
        assert held == {"alive": True, "http http://shop.example/health": True, "http http://shop.example/old": False, "tcp ::1:1": False}
        assert result.exit_code == 5
        way.status["http://shop.example/old"] = 410
        again = {c["check"]: c["holds"] for c in verify(b.ports, result.incident, None, "").checks}
        assert again["http http://shop.example/old"] is True


@pytest.mark.parametrize(("phase", "holds"), [("Succeeded", True), ("Failed", False)])
def test_a_probe_through_a_job_is_judged_by_its_end_and_lifted_by_nobody(tmp_path, phase, holds):
    with bench(tmp_path) as b:

        def finish() -> None:
            while not over.wait(0.05):
                for pod in b.ports.cluster.list(PODS, "todo-app"):
                    if pod["metadata"]["name"].startswith("irkit-probe-") and pod["status"].get("phase") == "Running":
                        with suppress(IrkitError):
                            b.ports.cluster.patch(ref_of(pod, PODS), {"status": {"phase": phase}}, subresource="status")

        over, kubelet = threading.Event(), threading.Thread(target=finish)
        kubelet.start()
        path = probing(tmp_path, ", job: probe@sha256:" + "0" * 64 + ", job-command: [check, --all]")
        try:
            result = respond(b.ports, b.request(playbook=path, phase=""))
        finally:
            over.set()
            kubelet.join()
        assert {c["check"]: c["holds"] for c in result.checks}["job"] is holds, result
        (job,) = [j for j in b.ports.cluster.list(JOBS, "todo-app") if j["metadata"]["name"].startswith("irkit-probe-")]
        assert job["spec"]["template"]["spec"]["containers"][0]["command"] == ["check", "--all"]
        assert b.state().undone() == []
