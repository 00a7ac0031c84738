"""What an attacker's objects claim of themselves: nobody is spared a restart, its evidence or its count for that, and no key its maker."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from irkit.checks.old_image import OldImage
from irkit.checks.scanned import REPORTS, Scanned
from irkit.credentials import Consumers, count, ended_by, with_own
from irkit.credentials.classes import classify
from irkit.engine import rotation
from irkit.errors import IrkitError, UsageError
from irkit.model.changes import Change, Patch, Rotate
from irkit.model.credential import CLASS_ANNOTATION, RESTART_ANNOTATION, Credential, Source
from irkit.model.edits import Edit, present
from irkit.model.incident import ClusterIdentity, Incident, Operator, Target
from irkit.model.kube import DEPLOYMENTS, PODS, SECRETS, Obj, ObjectRef, Resource, ref_of
from irkit.model.outcome import Failed
from irkit.ports import Kept, Observed
from irkit.rotators import values
from irkit.rotators.base import Tools
from irkit.settings import Settings
from irkit.settings.rotation import ClassRule, RotationSettings
from tests.credentials import world as held

TOKEN = "k7q2-0123456789ab"
SECRET = ObjectRef(resource=SECRETS, name="db", namespace="shop")
QUARANTINED = {"quarantine": "true", "irkit.dev/incident": "k7q2"}
SPEC = {"containers": [{"name": "app", "envFrom": [{"secretRef": {"name": "db"}}]}]}


class Cluster(dict[Resource, list[Obj]]):
    def list(self, resource: Resource, namespace: str | None = None) -> list[Obj]:
        return self.get(resource, [])


def pod(name: str, *, owner: str = "d1", mark: str = "", labels: dict[str, str] | None = None, **more: Any) -> Obj:
    meta: Obj = {
        "name": name,
        "namespace": "shop",
        "uid": f"u-{name}",
        "labels": labels or {},
        "annotations": {RESTART_ANNOTATION: mark} if mark else {},
    }
    if owner:
        meta["ownerReferences"] = [{"kind": "Deployment", "name": "web", "uid": owner, "controller": True}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": SPEC, "status": {"phase": "Running"}, **more}


def world(*pods: Obj, mark: str = "") -> Cluster:
    template = {"metadata": {"annotations": {RESTART_ANNOTATION: mark} if mark else {}}, "spec": SPEC}
    deployment = {"metadata": {"name": "web", "namespace": "shop", "uid": "d1"}, "spec": {"template": template}}
    return Cluster({DEPLOYMENTS: [deployment], PODS: list(pods)})


def test_a_pod_that_claims_to_be_new_is_collected_and_ended_like_the_others() -> None:
    (user,) = Consumers("shop", world(pod("old"), pod("liar", mark=TOKEN))).of(SECRET)
    patch = Consumers("shop", world(pod("old"), pod("liar", mark=TOKEN))).restart(user.ref, TOKEN)
    assert patch is not None
    assert {p.name for p in patch.ends} == {"old", "liar"}, "law 4: none ends before its evidence is stored"


@pytest.mark.parametrize("liar", [
    pod("liar", mark=TOKEN),  # adopted by the new ReplicaSet, which ended another one instead
    pod("liar", mark=f"{TOKEN},x"),
    pod("liar", mark=TOKEN, owner=""),  # let go of by its owner
    pod("liar", mark=TOKEN, labels=QUARANTINED),
    pod("liar", labels=QUARANTINED, owner=""),
], ids=["adopted", "marks", "orphan", "quarantined", "orphan-quarantined"])  # fmt: skip
def test_a_pod_from_before_never_counts_as_restarted(liar: Obj) -> None:
    """Whoever may write to a pod may write irkit's mark, its labels and its owners; not its uid."""
    edit = Edit(path=("spec", "template", "metadata", "annotations", RESTART_ANNOTATION), before=present(""), after=present(TOKEN))
    workload = ref_of(world()[DEPLOYMENTS][0], DEPLOYMENTS)
    restart = Patch(ref=workload, action="restart", why="", forward=True, pods=(ref_of(liar, PODS),), edits=(edit,))
    begun: list[Change] = [restart]
    consumers = Consumers("shop", world(pod("new", mark=TOKEN), liar, mark=TOKEN), kept=keeping(*begun))
    tokens = {u.ref.uid: TOKEN for u in consumers.of(SECRET)}
    found = count(SECRET, tokens, consumers, ended_by(begun, tokens.values()))
    assert found.restarted < found.total, found
    assert found.left
    honest = Consumers("shop", world(pod("new", mark=TOKEN), mark=TOKEN))
    assert count(SECRET, {"d1": TOKEN}, honest, ended_by(begun, [TOKEN])).restarted == 1


def keeping(*begun: Change) -> Kept:
    """Whom an incident that began these changes keeps, whatever the pods say."""
    return with_own(INCIDENT, begun, lambda pods: {})


def test_a_pod_that_irkit_cut_off_is_no_consumer() -> None:
    kept = pod("suspect", owner="", labels=QUARANTINED)
    relabel = Patch(ref=ref_of(kept, PODS), action="relabel", why="", edits=())
    assert Consumers("shop", Cluster({PODS: [kept]}), kept=keeping(relabel)).of(SECRET) == ()
    assert len(Consumers("shop", Cluster({PODS: [kept]}), kept=keeping()).of(SECRET)) == 1


def seen(*pods: Obj, begun: tuple[Change, ...] = ()) -> Observed:
    cluster: Any = Cluster({PODS: list(pods)})
    return Observed(cluster=cluster, now=datetime(2026, 11, 22, 4, tzinfo=UTC), settings=Settings(), begun=begun)


INCIDENT = Incident(id="20261122T031502Z-web-k7q2", opened="2026-11-22T03:15:02Z", operator=Operator(name="oncall"), playbook="compromised-pod",
                    cluster=ClusterIdentity(context="c", server="s", uid="u"),
                    target=Target(pod=ObjectRef(resource=PODS, name="suspect", namespace="shop", uid="u-suspect")))  # fmt: skip
OLD = "registry.example/web@sha256:" + "ab" * 32


def running(name: str, labels: dict[str, str] | None = None) -> Obj:
    status = {"phase": "Running", "containerStatuses": [{"name": "app", "image": OLD, "imageID": OLD}]}
    return pod(name, labels=labels, spec={"containers": [{"name": "app", "image": OLD}]}, status=status)


def test_the_hunt_spares_nobody_who_labels_himself() -> None:
    """The old image under a quarantine that is not irkit's is found; the suspect, and what irkit cut off, is evidence."""
    check, ref = OldImage(ids=(OLD,)), ObjectRef(resource=DEPLOYMENTS, name="web", namespace="shop")
    assert check.judge(INCIDENT, ref, seen(running("suspect", QUARANTINED))).holds is True
    assert check.judge(INCIDENT, ref, seen(running("liar", QUARANTINED))).holds is False
    cut = running("sibling", QUARANTINED)
    relabel = Patch(ref=ref_of(cut, PODS), action="relabel", why="", edits=())
    assert check.judge(INCIDENT, ref, seen(cut, begun=(relabel,))).holds is True
    assert check.judge(INCIDENT, ref, seen(running("sibling"), begun=(relabel,))).holds is False, "its labels are gone: it serves again"


def secret(annotation: str, type_: str = "Opaque") -> Obj:
    return {"kind": "Secret", "type": type_, "metadata": {"name": "db", "namespace": "shop", "annotations": {CLASS_ANNOTATION: annotation}}}


@pytest.mark.parametrize("annotation", ["generated", json.dumps({"STRIPE": "generated"})])
@pytest.mark.parametrize(("type_", "rule"), [
    ("Opaque", "issuer-made"), ("Opaque", "database"), ("Opaque", "manual"), ("kubernetes.io/dockerconfigjson", ""),
    ("kubernetes.io/service-account-token", ""),
])  # fmt: skip
def test_no_annotation_has_noise_written_over_what_others_make(annotation: str, type_: str, rule: Any) -> None:
    rules = (ClassRule(cls=rule, namespace="shop", key="*"),) if rule else ()
    found = classify(SECRET, "STRIPE", type_, [secret(annotation, type_)], Source(), rules)
    assert found.cls == "manual", found
    assert "generated" in found.why
    assert classify(SECRET, "STRIPE", "Opaque", [secret(annotation)], Source(), ()).cls == "generated", "where nothing else is said"
    agreed = (ClassRule(cls="generated", namespace="shop"),)
    assert classify(SECRET, "STRIPE", "Opaque", [secret('{"STRIPE": "issuer-made"}')], Source(), agreed).cls == "issuer-made", "a human is asked"


def test_large_annotations_of_many_keys_take_no_time() -> None:
    """A mebibyte of Secret: as many keys as fit, and a quarter of one of annotation, which each of them is looked up in."""
    keys = [f"k{n}" for n in range(20_000)]
    maps = secret(json.dumps({**dict.fromkeys(keys, "generated"), **{f"k{n}": "generatet" for n in range(200)}}))
    deep = secret("[" * 250_000)
    nested = secret('{"a":' * 50_000)
    began = time.monotonic()
    for obj in (maps, deep, nested, secret("generatet")):
        for key in keys:
            classify(SECRET, key, "Opaque", [obj], Source(), ())
    assert time.monotonic() - began < 5


def test_a_report_that_finds_nothing_does_not_hide_one_that_does() -> None:
    """Trivy's operator writes them, and so may whoever has the right in one namespace: newer, of the same digest, and clean."""
    digest = OLD.partition("@")[2]

    def report(namespace: str, when: str, critical: Any) -> Obj:
        body = {"artifact": {"digest": digest}, "updateTimestamp": when, "summary": {"criticalCount": critical}}
        return {"metadata": {"name": "r", "namespace": namespace}, "report": body}

    cluster: Any = Cluster({REPORTS: [report("shop", "2026-11-01T00:00:00Z", 3), report("evil", "2099-01-01T00:00:00Z", "0")]})
    looked = Observed(cluster=cluster, now=datetime(2026, 11, 22, 4, tzinfo=UTC), settings=Settings())
    found = Scanned(image=OLD).judge(INCIDENT, ObjectRef(resource=DEPLOYMENTS, name="web", namespace="shop"), looked)
    assert found.holds is False
    assert "shop/r: 3 critical" in found.summary


def test_a_private_key_of_a_size_that_takes_minutes_is_not_made_again() -> None:
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    large = _large(rsa).private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    began = time.monotonic()
    with pytest.raises(UsageError, match="too large"):
        values.plan({"key": large}, SECRET, ())
    assert time.monotonic() - began < 3


def _large(rsa: Any) -> Any:
    """16384 bits of known primes: 2¹¹²¹³-1 is a Mersenne prime, and so is 2⁴⁴²³-1."""
    p, q, e = 2**11213 - 1, 2**4423 - 1, 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(e, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public)
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


@pytest.mark.parametrize(("rule", "cls"), [
    (ClassRule(cls="generated"), "manual"), (ClassRule(cls="generated", namespace="shop"), "manual"),
    (ClassRule(cls="generated", namespace="shop", name="**", key="*"), "manual"),
    (ClassRule(cls="generated", namespace="shop", name="secret/data/payments/*"), "generated"),
])  # fmt: skip
def test_a_pod_that_says_it_reads_another_teams_entry_does_not_have_it_overwritten(rule: ClassRule, cls: str) -> None:
    """The annotation of a Vault agent is the pod's own; a rule that is about a whole namespace was not written for what it names."""
    path = "secret/data/payments/stripe"
    suspect = held.pod(annotations={"vault.hashicorp.com/agent-inject-secret-x": path})
    settings = Settings(rotation=RotationSettings(classes=(rule,)))
    found = held.radius([], suspect, settings=settings).findings
    entry = next(f.credential for f in found if f.credential.ref.name == path)
    assert entry.cls == cls


def test_a_rotator_that_stumbles_stops_no_other_and_says_no_value() -> None:
    """What a store answers may break a rotator, above all one of somebody else's package; the text of such an error may hold anything."""
    change = Rotate(credential=Credential(ref=SECRET, keys=("\x1b[31m",), cls="generated"), rotator="generated", stage="renew", step="s", rights=())
    nothing: Any = type("Ports", (), {"__getattr__": lambda self, name: int("canary-value")})()
    tools = Tools(nothing, INCIDENT, b"key", 0.0)
    error = rotation._before(change, tools)
    assert isinstance(error, IrkitError)
    one = rotation.Rotations(nothing, INCIDENT, nothing, nothing, "r", print)._one(change, {"values": {}}, tools, nothing)
    assert isinstance(one, Failed)
    for text in (error.message, one.error):
        assert "ValueError" in text
        assert "canary" not in text
        assert "\x1b" not in text
