"""A game on a real cluster from the first look at it to the last of its namespace: nothing is made before all is known and written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import msgspec

from irkit.app.staging import guard, removal, safe
from irkit.app.staging.ledger import LABEL, Ledger, Made, namespace_of, new_id
from irkit.app.staging.removal import Cleaner, Left
from irkit.app.staging.world import Staged, staged
from irkit.errors import ConflictError, ForbiddenError, IrkitError, RefusedError, UnreachableError, UsageError
from irkit.model.incident import ClusterIdentity
from irkit.model.kube import (
    ENDPOINTSLICES,
    NAMESPACES,
    PODS,
    REPLICASETS,
    SERVICEACCOUNTS,
    Obj,
    ObjectRef,
    Permission,
    Resource,
    at,
    is_ready,
    labels_of,
    permission,
    ref_of,
    selects,
)
from irkit.model.scenario import Scenario
from irkit.ports import Clock, Cluster, Connection, exists
from irkit.settings import Settings
from irkit.stage import Stage, Turns
from irkit.text import plural, printable

IMAGE = "registry.k8s.io/pause:3.9@sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097"
PATCHED = "registry.k8s.io/pause:3.10@sha256:ee6521f290b2168b6e0935a181d4cff9be1ac3f505666ef0e3c98fae8199917a"
"""What every pod of a game runs, and what takes the place of an image without its hole: programs that do nothing."""
QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
LIMITS = Resource("", "v1", "limitranges", "LimitRange")
_QUOTA = {"pods": "60", "requests.cpu": "1", "requests.memory": "2Gi", "limits.memory": "4Gi", "persistentvolumeclaims": "0",
          "services.loadbalancers": "0", "services.nodeports": "0"}  # fmt: skip
_LIMIT = {"type": "Container", "default": {"cpu": "50m", "memory": "32Mi"}, "defaultRequest": {"cpu": "1m", "memory": "8Mi"}}
_BOUND = 5.0  # seconds for the quota to be in force
_READY = 180.0  # seconds for all pods to run
_SPARE = timedelta(minutes=30)  # after the end of a game, before others may take its namespace for left behind


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """A real cluster, and what is known of it without asking. ``names``: by what they are names of."""

    cluster: Cluster
    connection: Connection
    clock: Clock
    settings: Settings
    context: str
    names: Mapping[str, str]
    base: Callable[[str], Sequence[Obj]]
    stage: Callable[[str, str, Mapping[str, str], float], tuple[Stage, Turns]]


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What would be made where, all of it known and allowed."""

    made: Made
    staged: Staged
    identity: ClusterIdentity
    images: Mapping[str, str]
    until: str  # RFC 3339


def survey(ground: Ground, scenario: Scenario, images: tuple[str, str], speed: float, *, really: bool) -> Ready:
    """Look whether it may be played there; makes nothing. ``images``: what all pods run, and the patched one.

    Raises RefusedError, UsageError, ForbiddenError, UnreachableError.
    """
    guard.check_names(ground.names)
    if images[0] == images[1]:
        raise UsageError("--image and --patched name one image, and a redeployment could not be told from none")
    identifier = new_id(ground.clock.now())
    namespace = namespace_of(identifier)
    if namespace in ground.settings.protected_namespaces:
        raise RefusedError(f"{namespace} is a protected namespace; nothing was made", next="the same command again")
    found = staged(scenario, ground.base(scenario.world.base), identifier, namespace, images)
    identity = ground.connection.identify()
    _check_rights(ground.cluster, found, namespace)
    guard.check_cluster(ground.cluster, really=really)
    made = Made(id=identifier, namespace=namespace, context=ground.context, server=identity.server, cluster=identity.uid,
                kubeconfig=ground.settings.kubeconfig, began=ground.clock.now().isoformat(timespec="seconds"))  # fmt: skip
    until = ground.clock.now() + timedelta(seconds=scenario.lasts / speed) + _SPARE
    return Ready(made=made, staged=found, identity=identity, images={"patched": images[1]}, until=until.isoformat(timespec="seconds"))


def rights(found: Staged, namespace: str) -> tuple[Permission, ...]:
    """All that a game needs there."""
    asked = [permission(verb, NAMESPACES) for verb in ("create", "get", "delete")]
    kinds = {safe.resource_of(obj) for obj in found.objects}
    asked += [permission("create", r, namespace) for r in (*[o for o in safe.ORDER if o in kinds], QUOTAS, LIMITS)]
    asked += [permission("get", r, namespace) for r in (QUOTAS, SERVICEACCOUNTS)]
    asked += [permission("list", r, namespace) for r in (*[o for o in safe.ORDER if o in kinds or o == PODS], REPLICASETS, ENDPOINTSLICES)]
    asked += [permission(verb, PODS, namespace) for verb in ("patch", "delete")]
    return tuple(dict.fromkeys(asked))


def _check_rights(cluster: Cluster, found: Staged, namespace: str) -> None:
    asked = rights(found, namespace)
    with ThreadPoolExecutor(8) as pool:
        missing = [p for p, allowed in zip(asked, pool.map(cluster.can, asked), strict=True) if not allowed]
    if missing:
        named = ", ".join(str(p).removesuffix(f" in {namespace}") for p in missing)
        raise ForbiddenError(f"a game needs rights that you don't have on this cluster: {named}; nothing was made",
                             next="have these granted by a ClusterRole, or play on the built-in cluster: irkit rehearse")  # fmt: skip


def cleaned(ground: Ground, ledger: Ledger, uid: str) -> list[Left]:
    """Take away what killed games of this machine left on this cluster."""
    protected = ground.settings.protected_namespaces
    return Cleaner(ground.cluster, ground.clock, ledger, ground.context, uid, protected, lambda question, over: False).clean()


@contextmanager
def world(ground: Ground, ready: Ready, ledger: Ledger, seed: int, tell: Callable[[str], None]) -> Iterator[str]:
    """The namespace with all that is in it, for the time of a block; gives the name of the pod under attack. Nothing of it stays.

    Raises UnreachableError where it does not come up, or does not go.
    """
    made, lock = ready.made, ledger.lock(ready.made.id)
    ledger.write("begun", made, ground.clock.now())
    try:
        try:
            made = _namespace(ground, ready, ledger)
            _fill(ground, ready)
            yield _suspect(ground, ready, seed)
        finally:
            _take_away(ground, made, ledger, tell)
    except IrkitError as error:
        if any(one.id == made.id for one in ledger.open()):
            error.next = "irkit rehearse clean"
        raise
    finally:
        lock.release()


def _take_away(ground: Ground, made: Made, ledger: Ledger, tell: Callable[[str], None]) -> None:
    """Its namespace goes, if it was made: the answer may have been lost, and its name may be another's."""
    found = exists(ground.cluster, removal.mine(made))
    if found is not None and (made.uid or labels_of(found).get(LABEL) == made.id):
        tell(f"removing namespace {made.namespace}")
        removal.remove(ground.cluster, ref_of(found, NAMESPACES), ground.clock)
        tell(f"removed namespace {made.namespace}, with all that was in it")
    ledger.write("removed", made, ground.clock.now())


def _namespace(ground: Ground, ready: Ready, ledger: Ledger) -> Made:
    labels = {LABEL: ready.made.id, "app.kubernetes.io/managed-by": "irkit", "pod-security.kubernetes.io/enforce": "baseline"}
    meta = {"name": ready.made.namespace, "labels": labels, "annotations": {removal.UNTIL: ready.until}}
    try:
        found = ground.cluster.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    except ConflictError:
        raise RefusedError(f"there is a namespace {ready.made.namespace} already, and it is not this game's", next="the same command again") from None
    made = msgspec.structs.replace(ready.made, uid=found["metadata"]["uid"])
    ledger.write("made", made, ground.clock.now())
    return made


def _fill(ground: Ground, ready: Ready) -> None:
    """First what bounds it, then what is in it."""
    namespace = ready.made.namespace
    for resource, spec in ((QUOTAS, {"hard": _QUOTA}), (LIMITS, {"limits": [_LIMIT]})):
        meta = {"name": "irkit-game", "namespace": namespace}
        ground.cluster.create(resource, {"apiVersion": "v1", "kind": resource.kind, "metadata": meta, "spec": spec})
    quota = ObjectRef(resource=QUOTAS, name="irkit-game", namespace=namespace)
    account = ObjectRef(resource=SERVICEACCOUNTS, name="default", namespace=namespace)
    # without either, pods are refused; their controllers try again, so that a cluster that is slow with it is no reason to stop
    _holds(ground, lambda: at(ground.cluster.get(quota), ("status", "hard")) and exists(ground.cluster, account), _BOUND)
    for obj in ready.staged.objects:
        ground.cluster.create(safe.resource_of(obj), obj)


def _suspect(ground: Ground, ready: Ready, seed: int) -> str:
    """When all pods run, one of those that the scenario means."""
    namespace, wanted = ready.made.namespace, ready.staged.pods

    def pods() -> Sequence[Obj]:
        return ground.cluster.list(PODS, namespace)

    def up() -> bool:
        return sum(is_ready(pod) for pod in pods()) >= wanted

    if not _holds(ground, up, _READY):
        raise UnreachableError(f"of {plural(wanted, 'pod')} not all run after {_READY:.0f} s: {_why(pods())}", next="irkit doctor")
    found = sorted(p["metadata"]["name"] for p in pods() if selects({"matchLabels": ready.staged.selector}, at(p, ("metadata", "labels"), {})))
    if not found:
        raise UsageError(f"scenario {ready.staged.scenario.name}: no pod has the labels of the one under attack")
    return str(found[seed % len(found)])


def _holds(ground: Ground, what: Callable[[], object], seconds: float) -> bool:
    """Whether it does within so many seconds."""
    until = ground.clock.monotonic() + seconds
    while not what():
        if ground.clock.monotonic() >= until:
            return False
        ground.clock.sleep(0.2)
    return True


def _why(pods: Sequence[Obj]) -> str:
    for pod in pods:
        for status in at(pod, ("status", "containerStatuses"), ()):
            if waiting := at(status, ("state", "waiting", "reason")):
                return printable(f"{pod['metadata']['name']} waits: {waiting}", 200)
        for condition in at(pod, ("status", "conditions"), ()):
            if condition.get("status") == "False" and condition.get("message"):
                return printable(f"{pod['metadata']['name']}: {condition['message']}", 300)
    return f"the cluster made {plural(len(pods), 'pod')} of them"
