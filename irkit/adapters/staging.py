"""A namespace of a real cluster as the stage of a game, in the real time; implements `irkit.stage`.

There is no audit log, no Vault and no node to reach into: what they would give stays empty, and nothing is written into a log.
Who wrote what is read from ``managedFields``, in which whoever only read, and whoever deleted, leaves no trace. What lives for
less time than lies between two looks is not seen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime, timedelta

import msgspec

from irkit.errors import ApiError, ConflictError, ForbiddenError, NotFoundError, RefusedError
from irkit.model.kube import (
    DEPLOYMENTS,
    ENDPOINTSLICES,
    KNOWN,
    NAMESPACES,
    NETWORKPOLICIES,
    PODS,
    ROLEBINDINGS,
    SECRETS,
    SERVICEACCOUNTS,
    STATEFULSETS,
    Obj,
    ObjectRef,
    Resource,
    at,
    known,
    ref_of,
)
from irkit.ports import Clock, Cluster
from irkit.stage import Asked, by_person

FRESH = 1.0  # seconds for which a list is not asked for again
WATCHED = (PODS, DEPLOYMENTS, STATEFULSETS, SECRETS, SERVICEACCOUNTS, NETWORKPOLICIES, ROLEBINDINGS, ENDPOINTSLICES)
"""What is looked at all the time: what responders write, and who serves."""
_MACHINES = ("kubelet", "kwok")  # beside system:* and kube-*, which no game takes for players


class GameTime:
    """The time of a game: the cluster's people live in the real one, ``speed`` times slower."""

    def __init__(self, clock: Clock, speed: float = 1.0) -> None:
        self.speed, self._clock = speed, clock
        self._began, self._start = clock.now().replace(microsecond=0), clock.monotonic()

    def now(self) -> datetime:
        return self._began + timedelta(milliseconds=int(1000 * self.speed * (self._clock.monotonic() - self._start)))

    def sleep(self, seconds: float) -> None:
        """Let so many seconds of the game pass."""
        self._clock.sleep(seconds / self.speed)


class NamespaceStage:
    """``namespace`` and nothing else: every write anywhere else is refused. ``images``: by name, as ``patched``."""

    def __init__(self, cluster: Cluster, namespace: str, suspect: str, images: Mapping[str, str], clock: Clock, time: GameTime) -> None:
        self.namespace, self._suspect = namespace, suspect
        self._cluster, self._images, self._clock, self._time = cluster, images, clock, time
        self._lists: dict[Resource, tuple[float, Sequence[Obj]]] = {}
        self._written: dict[tuple[str, str, str], bytes] = {}  # by uid, manager and operation: what was written last
        self._asked: list[Obj] = []
        self._seen: set[Resource] = set()
        self.version = 0
        self.look()

    @property
    def suspect(self) -> tuple[str, str]:
        return self.namespace, self._suspect

    def cast(self, namespace: str, name: str) -> None:
        self._suspect = name

    @property
    def images(self) -> Mapping[str, str]:
        return self._images

    @property
    def environment(self) -> Mapping[str, str]:
        return {}

    @property
    def asked(self) -> Sequence[Obj]:
        """Writes alone, in the form of audit events, each when it was first seen."""
        return self._asked

    def plays(self, event: Obj) -> bool:
        return by_person(event)

    def now(self) -> datetime:
        return self._time.now()

    # looking

    def look(self) -> None:
        """See who wrote what."""
        for resource in WATCHED:
            self.objects(resource)

    def objects(self, resource: Resource, namespace: str | None = None) -> Sequence[Obj]:
        if not resource.namespaced or namespace not in (None, self.namespace):
            return ()
        moves, asked_before = len(self._asked), resource in self._seen
        asked, before = self._lists.get(resource, (float("-inf"), ()))
        if self._clock.monotonic() - asked < FRESH:
            return before
        try:
            found = self._cluster.list(resource, self.namespace)
        except NotFoundError:
            found = ()
        self._lists[resource] = (self._clock.monotonic(), found)
        self.version += _versions(found) != _versions(before)
        for obj in found:
            self._notice(obj, resource)
        if not asked_before:
            del self._asked[moves:]  # what was there when it was first looked at is nobody's move
            self._seen.add(resource)
        return found

    def find(self, ref: ObjectRef) -> Obj | None:
        if ref.resource == NAMESPACES and ref.name == self.namespace:
            return self._own()
        found = next((o for o in self.objects(ref.resource, ref.namespace) if o["metadata"]["name"] == ref.name), None)
        return found if found and ref.uid in ("", found["metadata"]["uid"]) else None

    def kinds(self) -> dict[str, Resource]:
        return {resource.kind: resource for resource in KNOWN}

    def entry(self, path: str) -> Mapping[str, object]:
        return {}

    def accepts(self, role: str, password: str) -> bool:
        return False

    def _own(self) -> Obj | None:
        asked, found = self._lists.get(NAMESPACES, (float("-inf"), ()))
        if self._clock.monotonic() - asked >= FRESH:
            try:
                found = (self._cluster.get(ObjectRef(resource=NAMESPACES, name=self.namespace)),)
            except NotFoundError:
                found = ()
            self._lists[NAMESPACES] = (self._clock.monotonic(), found)
        return found[0] if found else None

    def _notice(self, obj: Obj, resource: Resource) -> None:
        meta = obj["metadata"]
        for entry in at(obj, ("metadata", "managedFields"), ()):
            manager, subresource = str(entry.get("manager") or "unknown"), entry.get("subresource", "")
            if subresource == "status" or manager in _MACHINES:
                continue
            key = (meta["uid"], f"{manager} {subresource}", str(entry.get("operation")))
            written = msgspec.json.encode((entry.get("time"), entry.get("fieldsV1")))
            if self._written.get(key) != written:
                self._written[key] = written
                about = {"resource": resource.plural, "namespace": self.namespace, "name": meta["name"]}
                self._asked.append({"stage": "ResponseComplete", "verb": "patch", "user": {"username": manager}, "objectRef": about, "requestURI": "",
                                    "responseStatus": {"code": 200}, "requestReceivedTimestamp": self.now().isoformat()})  # fmt: skip

    # doing

    def put(self, obj: Obj) -> None:
        resource = known(str(obj.get("apiVersion")), str(obj.get("kind")))
        if resource is None:
            raise KeyError(f"{obj.get('apiVersion')} {obj.get('kind')} is not known here")
        self._mine(resource, at(obj, ("metadata", "namespace"), ""))
        ref = ObjectRef(resource=resource, name=obj["metadata"]["name"], namespace=self.namespace)
        try:
            if self.find(ref) is None:
                self._done(self._cluster.create(resource, obj), resource)
            else:
                self._done(self._cluster.patch(ref, obj), resource)
        except (ApiError, ForbiddenError) as error:
            raise ValueError(error.message) from None

    def change(self, ref: ObjectRef, body: Obj) -> bool:
        self._mine(ref.resource, ref.namespace)
        if self.find(ref) is None:
            return False
        try:
            self._done(self._cluster.patch(ref, body), ref.resource)
        except (ApiError, ForbiddenError):
            return False
        return True

    def end(self, ref: ObjectRef) -> bool:
        self._mine(ref.resource, ref.namespace)
        found = self.find(ref)
        if found is None:
            return False
        try:
            self._cluster.delete(ref_of(found, ref.resource))
        except (NotFoundError, ConflictError):
            return False
        self._lists.pop(ref.resource, None)
        return True

    def _done(self, obj: Obj, resource: Resource) -> None:
        """What the game itself wrote is nobody's move."""
        moves = len(self._asked)
        self._notice(obj, resource)
        del self._asked[moves:]
        self._lists.pop(resource, None)

    def _mine(self, resource: Resource, namespace: str) -> None:
        if not resource.namespaced or namespace != self.namespace:
            raise RefusedError(f"a game on a real cluster writes in {self.namespace} and nowhere else")

    # what only the built-in cluster can do

    def fill(self, path: str, properties: Mapping[str, str]) -> None:
        raise RefusedError("a game on a real cluster has no Vault")

    def say(self, namespace: str, pod: str, text: str) -> bool:
        return False

    def crash(self, namespace: str, pod: str) -> bool:
        return False

    def steal(self, namespace: str, account: str, pod: str = "") -> str:
        return ""

    def use(self, token: str, method: str, path: str, body: Obj | None = None) -> int:
        return 401

    def seal(self, sealed: bool) -> None:
        raise RefusedError("a game on a real cluster has no Vault")


def _versions(objects: Sequence[Obj]) -> set[tuple[str, str]]:
    return {(o["metadata"]["uid"], o["metadata"].get("resourceVersion", "")) for o in objects}


class RealTurns:
    """Nobody waits for a turn: others write when they like, and what they did is seen at the next look."""

    def __init__(self, stage: NamespaceStage, time: GameTime) -> None:
        self._stage, self._time = stage, time
        self._lock = threading.RLock()
        self.due: Callable[[], datetime | None] = lambda: None
        self.act: Callable[[], None] = lambda: None
        self.look: Callable[[], None] = lambda: None
        self.heard: Callable[[Asked], None] = lambda asked: None

    def begin(self) -> None:
        """Time passes from the start: it is the cluster's."""

    def still(self) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def take(self, moment: datetime | None = None) -> Iterator[datetime]:
        with self._lock:
            while (first := self.due()) is not None and first <= self._time.now():
                self.act()
                self.look()
            yield self._time.now()
            self._stage.look()
            self.look()

    def wait(self, seconds: float) -> None:
        """Wait so long: time that nobody waits for does not pass on a real cluster."""
        until = self._time.now() + timedelta(seconds=seconds)
        while (left := (until - self._time.now()).total_seconds()) > 0:
            self._time.sleep(min(left, FRESH * self._time.speed))
            with self.take():
                pass


def stage(cluster: Cluster, namespace: str, suspect: str, images: Mapping[str, str], clock: Clock, speed: float) -> tuple[NamespaceStage, RealTurns]:
    """A namespace that stands, as a game needs it; its time begins now."""
    time = GameTime(clock, speed)
    made = NamespaceStage(cluster, namespace, suspect, images, clock, time)
    return made, RealTurns(made, time)
