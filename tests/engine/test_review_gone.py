"""A pod that had ended before irkit came: another one of its name is another one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from irkit.app import lift as lifting
from irkit.app.respond import respond
from irkit.engine import binder
from irkit.engine.observe import Snapshot
from irkit.errors import ForbiddenError
from irkit.model.changes import Capture
from irkit.model.incident import ClusterIdentity, Incident, Operator
from irkit.model.kube import DEPLOYMENTS, EVENTS, PODS, ObjectRef, labels_of
from irkit.ports import Observed
from irkit.steps.collect import Collect
from irkit.steps.quarantine import Quarantine
from irkit.steps.scale_down import ScaleDown
from tests.engine.harness import Bench, bench


def suspect(b: Bench) -> ObjectRef:
    namespace, name = b.box.suspect
    return ObjectRef(resource=PODS, name=name, namespace=namespace)


class Forgetful:
    """A cluster whose events have expired, or may not be read."""

    def __init__(self, cluster, error=None):
        self._cluster, self._error = cluster, error

    def __getattr__(self, name):
        return getattr(self._cluster, name)

    def list(self, resource, *args, **kwargs):
        if resource == EVENTS:
            if self._error:
                raise self._error
            return ()
        return self._cluster.list(resource, *args, **kwargs)


def bound(b: Bench, cluster) -> Incident:
    target = binder.bind(binder.parse(b.box.suspect[1]), b.box.suspect[0], cluster)
    return Incident(id="20261122T031502Z-backend-k7q2", opened="2026-11-22T03:15:02Z", operator=Operator(name="test"), playbook="case", target=target,
                    cluster=ClusterIdentity(context="c", server="s", uid="u"))  # fmt: skip


def test_what_took_its_name_is_neither_cut_off_nor_spared(tmp_path):
    """As a StatefulSet's pod does within seconds. It is a sibling: collected, and ended with its workload."""
    with bench(tmp_path) as b, ThreadPoolExecutor(2) as pool:
        there = b.ports.cluster.get(suspect(b))
        b.ports.cluster.delete(suspect(b))
        b.box.settle()
        incident = bound(b, Forgetful(b.ports.cluster))
        assert (incident.target.gone, incident.target.pod.uid) == (True, "")
        again = {k: v for k, v in there.items() if k != "status"}
        again["metadata"] = {k: there["metadata"][k] for k in ("name", "namespace", "labels", "ownerReferences")}
        again["spec"] = {k: v for k, v in there["spec"].items() if k != "nodeName"}
        ref = ObjectRef(resource=DEPLOYMENTS, name="backend", namespace=b.box.suspect[0])
        b.ports.cluster.patch(ref, {"spec": {"replicas": 9}}, subresource="scale")
        new = b.ports.cluster.create(PODS, again)
        b.box.settle()
        seen = Observed(cluster=Snapshot(b.ports.cluster, pool), now=b.ports.clock.now(), settings=b.ports.settings, step="s", run="r")
        assert [type(c).__name__ for c in Quarantine(pod=incident.target.pod).plan(incident, seen)] == ["Check"]
        assert incident.target.workload is not None
        ended = [p for c in ScaleDown(workload=incident.target.workload).plan(incident, seen) for p in c.ends]
        captures = [c for c in Collect(pods=incident.target.siblings).plan(incident, seen) if isinstance(c, Capture)]
        uid = new["metadata"]["uid"]
        assert uid in {p.uid for p in ended}
        assert {c.pod.uid: c.suspect for c in captures}[uid] is False
        assert captures[0].suspect, "of the suspect itself there are its events and its owners"


def test_lift_does_not_delete_what_took_its_name(tmp_path):
    with bench(tmp_path) as b:
        there = b.ports.cluster.get(suspect(b))
        b.ports.cluster.delete(suspect(b))
        b.box.settle()
        import msgspec

        ports = msgspec.structs.replace(b.ports, cluster=Forgetful(b.ports.cluster))
        result = respond(ports, b.request())
        assert result.exit_code == 0
        assert result.evidence is not None
        assert (b.home / "incidents" / str(result.incident) / "bags/1/data/incident-events.txt").exists()
        bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": suspect(b).name, "namespace": suspect(b).namespace},
                "spec": {"containers": [{"name": "c", "image": there["spec"]["containers"][0]["image"]}]}}  # fmt: skip
        new = b.ports.cluster.create(PODS, bare)
        assert lifting.lift(ports, None, "delete").exit_code == 0
        assert b.ports.cluster.get(suspect(b))["metadata"]["uid"] == new["metadata"]["uid"]
        assert labels_of(b.ports.cluster.get(suspect(b))) == {}


def test_events_that_may_not_be_read_do_not_hide_a_mistake(tmp_path):
    with bench(tmp_path) as b:
        blind = Forgetful(b.ports.cluster, ForbiddenError("you may not list events"))
        with pytest.raises(Exception, match="did you mean"):
            binder.bind(binder.parse(b.box.suspect[1][:-2]), b.box.suspect[0], blind)
