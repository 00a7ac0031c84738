"""What can be seen of a game from outside: the world, what was there before, what has gone, and who asked for what."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import msgspec

from irkit.game.cast import Cast, owner_of
from irkit.game.history import History, Key, key_of, triple
from irkit.model.kube import PODS, SECRETS, SERVICEACCOUNTS, Obj, ObjectRef, at, is_ready, labels_of, ref_of
from irkit.stage import Stage

WRITES = ("create", "update", "patch", "delete", "deletecollection")
_SHORT = 8  # characters of base64: what is that short may be there by chance
_PARTS = {"tailLines", "limitBytes", "sinceSeconds", "sinceTime"}
_PAGE = 100  # events: who asks for fewer at a time does not mean to read them all


Run = tuple[str, int]
"""Of a container, counted from 0: its log ends with the run after it."""


class Gone(msgspec.Struct, frozen=True):
    """A pod that ended; ``read``: its evidence was taken before."""

    pod: ObjectRef
    at: datetime
    read: bool


class Attempt(msgspec.Struct, frozen=True):
    """A connection that the attacker tried, or a request with a stolen token."""

    at: datetime
    what: str
    through: bool
    why: str


class View:
    """Looked at again after each turn."""

    def __init__(self, stage: Stage, cast: Cast) -> None:
        self.stage, self.cast = stage, cast
        self.began = stage.now()
        self.gone: dict[str, Gone] = {}
        self.attempts: list[Attempt] = []
        self.secrets = {key_of(s): dict(s.get("data") or {}) for s in stage.objects(SECRETS)}
        self.accounts = {key_of(a): a["metadata"]["uid"] for a in stage.objects(SERVICEACCOUNTS)}
        self.values = {base64.b64decode(v).decode("utf-8", "replace") for data in self.secrets.values() for v in data.values() if len(v) > _SHORT}
        self.images = images_of(stage.find(cast.suspect))
        self.ready = {key_of(p): p["metadata"]["uid"] for p in stage.objects(PODS) if is_ready(p)}
        self.apps: dict[Key, dict[str, str]] = {}  # by namespace and label app: the pods' uids, with whose they are
        for pod in stage.objects(PODS):
            if app := labels_of(pod).get("app"):
                self.apps.setdefault((key_of(pod)[0], app), {})[pod["metadata"]["uid"]] = name_of(owner_of(pod, stage))
        self.tokens: dict[str, str] = {}  # stolen, by "namespace/account"
        self._pods: dict[str, Obj] = {}
        self._runs: dict[str, set[Run]] = {}  # by uid of the pod: what there was to read of its logs when it was first seen
        self._heard = 0
        self._logs: dict[str, set[Run]] = {}  # by uid of the pod: what was read, whole
        self._events: set[tuple[str, str]] = set()  # by namespace (empty: all) and name of what they are about (empty: everything)
        self.players: list[Obj] = []  # audit events of those who play
        self.hears = True  # reads, too; without an audit log it is not known who read what, and nothing is said of it
        self.history = History(stage)

    @property
    def now(self) -> datetime:
        return self.stage.now()

    def before(self, key: str) -> bytes:
        """What a key of a Secret (namespace/secret/key) held when the game began; empty where it was not there."""
        namespace, name, wanted = triple(key)
        return base64.b64decode(self.secrets.get((namespace, name), {}).get(wanted, ""))

    def holds(self, key: str) -> bytes:
        """What it holds now; empty where it is not there."""
        namespace, name, wanted = triple(key)
        secret = self.stage.find(ObjectRef(resource=SECRETS, name=name, namespace=namespace))
        return base64.b64decode(at(secret, ("data", wanted), ""))

    def look(self) -> None:
        """Take in what was asked and what went since the last look."""
        self._listen()
        self.history.look(self.stage)
        now = {p["metadata"]["uid"]: p for p in self.stage.objects(PODS)}
        for uid, pod in self._pods.items():
            if uid not in now and uid not in self.gone:
                self.gone[uid] = Gone(ref_of(pod, PODS), self.now, self.read(ref_of(pod, PODS)))
        self._runs.update({uid: _runs(pod) for uid, pod in now.items() if uid not in self._runs})
        self._pods = now

    def read(self, pod: ObjectRef) -> bool:
        """Whether all that ends with a pod was read while it was there: its logs whole, those before a restart, and its events."""
        if not self.hears:
            return True
        unread = self._runs.get(pod.uid, set()) - self._logs.get(pod.uid, set())
        heard = {(namespace, name) for namespace in (pod.namespace, "") for name in (pod.name, "")}
        return not unread and bool(heard & self._events)

    def _listen(self) -> None:
        asked = self.stage.asked
        for event in asked[self._heard :]:
            if self.stage.plays(event):
                self.players.append(event)
                self._note(event)
        self._heard = len(asked)

    def _note(self, event: Obj) -> None:
        about, code = event.get("objectRef") or {}, at(event, ("responseStatus", "code"), 0)
        if event["stage"] != "ResponseComplete" or not 200 <= code < 300:
            return
        query = _query(event)
        if about.get("resource") == "pods" and about.get("subresource") == "log" and not _PARTS & {name for name, value in query.items() if value}:
            pod = next((p for p in self._pods.values() if key_of(p) == (about.get("namespace", ""), about.get("name", ""))), None)
            if pod is not None:
                counts = _counts(pod)
                container = query.get("container") or next(iter(counts), "")
                before = query.get("previous", "false").lower() not in ("false", "0")
                self._logs.setdefault(pod["metadata"]["uid"], set()).add((container, counts.get(container, 0) - before))
        if about.get("resource") == "events" and event["verb"] in ("list", "watch"):
            self._events |= self._heard_of(about.get("namespace", ""), query, watch=event["verb"] == "watch")

    def _heard_of(self, namespace: str, query: Mapping[str, str], *, watch: bool) -> set[tuple[str, str]]:
        """Whose events such a list holds, all of them: one that selects by something else, or stops early, holds nobody's."""
        limit = query.get("limit") or str(_PAGE)
        late = watch and query.get("resourceVersion", "") not in ("", "0") and query.get("sendInitialEvents") != "true"
        if query.get("labelSelector") or query.get("continue") or late or not limit.isdecimal() or 0 < int(limit) < _PAGE:
            return set()
        fields = dict(part.partition("=")[::2] for part in query.get("fieldSelector", "").replace("==", "=").split(",") if part)
        about = {name: fields.pop(f"involvedObject.{name}", "") for name in ("name", "namespace", "kind", "uid")}
        space = about["namespace"] or namespace
        if fields or (any(about.values()) and not about["name"]) or namespace not in ("", space) or about["kind"] not in ("", "Pod"):
            return set()
        if about["uid"] and about["uid"] not in {uid for uid, pod in self._pods.items() if key_of(pod) == (space, about["name"])}:
            return set()
        return {(space, about["name"])}


def _counts(pod: Obj) -> dict[str, int]:
    """How often each container was restarted."""
    counted = {s.get("name"): s.get("restartCount", 0) for s in at(pod, ("status", "containerStatuses"), ())}
    return {c["name"]: counted.get(c["name"], 0) for c in at(pod, ("spec", "containers"), ())}


def _runs(pod: Obj) -> set[Run]:
    """Of each container this run, and the one before its last restart."""
    return {(name, run) for name, count in _counts(pod).items() for run in (count, count - 1) if run >= 0}


def _query(event: Obj) -> dict[str, str]:
    """The parameters of a request, of each the first, as the API server reads them."""
    return {name: values[0] for name, values in parse_qs(urlsplit(event["requestURI"]).query, keep_blank_values=True).items()}


def name_of(owner: ObjectRef | None) -> str:
    """By which a workload is known though it was made anew; empty: none."""
    return f"{owner.kind} {owner.name}" if owner else ""


def images_of(pod: Obj | None) -> set[str]:
    return {c["image"] for c in at(pod, ("spec", "containers"), ())} if pod else set()


def acting(players: Sequence[Obj]) -> Sequence[Obj]:
    """Of what players asked, what changed something."""
    return [e for e in players if changes(e)]


def changes(event: Obj) -> bool:
    """Whether a request would change something: no rehearsal of a write, and no review, which is a question in the form of one."""
    about = event.get("objectRef") or {}
    return event["verb"] in WRITES and not _query(event).get("dryRun") and "reviews" not in about.get("resource", "")
