"""What irkit may do to the world: a closed union of frozen values.

A change prints in one line, knows the permission it needs, the pods that it may end, and its inverse. It holds no
secret and no resourceVersion. ``mark`` is the key under which a change without a natural diff (capture, check, notify,
ask) is found done in the journal: write, then mark.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from irkit.model.credential import Credential
from irkit.model.edits import Edit, Present, field_value
from irkit.model.kube import Obj, ObjectRef, Permission, labels_of, permission
from irkit.text import printable


class _Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="change"):
    """What all changes have in common."""

    @property
    def writes(self) -> bool:
        """Whether this changes the cluster. Only such changes are bound by an approval."""
        return False

    @property
    def ends(self) -> tuple[ObjectRef, ...]:
        """The pods that end, as far as can be known when planning."""
        return ()

    @property
    def permissions(self) -> tuple[Permission, ...]:
        return ()

    @property
    def intent(self) -> bytes:
        """Canonical JSON of what an approval binds: all but what may change without changing the wish."""
        return msgspec.json.encode(self, order="deterministic")


class Create(_Change, frozen=True, kw_only=True, tag="create"):
    """Create an object of irkit's own. Its name and labels carry the incident; a foreign one under the name is a conflict."""

    ref: ObjectRef
    object: Obj
    why: str
    forward: bool = False  # goes by itself, as a probe's Job does: `lift` need not remove it
    optional: bool = False  # where the cluster does not take it, or one may not, that is said, and the run goes on

    @property
    def writes(self) -> bool:
        return True

    @property
    def mark(self) -> str:
        """With the run: what the cluster did not take in it."""
        return f"created:{self.ref}"

    @property
    def permissions(self) -> tuple[Permission, ...]:
        return (permission("create", self.ref.resource, self.ref.namespace), permission("get", self.ref.resource, self.ref.namespace))

    def inverse(self, uid: str) -> Delete:
        """Delete the very object that was created; ``uid`` from the answer to the create."""
        ref = msgspec.structs.replace(self.ref, uid=uid)
        return Delete(ref=ref, labels=dict(labels_of(self.object)), why=f"undo: {self.why}")


class Patch(_Change, frozen=True, kw_only=True, tag="patch"):
    """Change recorded fields of one object, each from a known value to another; nothing else.

    Sent as one merge patch with the object's uid and resourceVersion, so that a change by somebody else in between is a
    409 and a new plan, never a silent overwrite.
    """

    ref: ObjectRef
    edits: tuple[Edit, ...]
    action: Literal["patch", "relabel", "scale", "suspend", "restart", "redeploy"] = "patch"
    subresource: str = ""
    why: str
    pods: tuple[ObjectRef, ...] = ()  # what `ends` answers; not part of the intent: replacements need no new approval
    forward: bool = False  # never undone by `lift`: a restart, a new image
    restores: bool = False  # itself the undoing of an earlier change of this incident, which `lift` then need not undo

    @property
    def writes(self) -> bool:
        return True

    @property
    def ends(self) -> tuple[ObjectRef, ...]:
        return self.pods

    @property
    def permissions(self) -> tuple[Permission, ...]:
        return (permission("patch", self.ref.resource, self.ref.namespace, subresource=self.subresource),
                permission("get", self.ref.resource, self.ref.namespace))  # fmt: skip

    @property
    def intent(self) -> bytes:
        meant = msgspec.structs.replace(self, pods=())
        if self.action == "restart":  # that it restarts is what was approved, not the mark by which that is told
            meant = msgspec.structs.replace(meant, edits=())
        return msgspec.json.encode(meant, order="deterministic")

    @property
    def inverse(self) -> Patch:
        edits = tuple(edit.inverse for edit in self.edits)
        return msgspec.structs.replace(self, edits=edits, pods=(), why=f"undo: {self.why}")

    def body(self, current: Obj) -> Obj:
        """The JSON merge patch (RFC 7386) from ``current``, pinned to its uid and resourceVersion."""
        body: Obj = {}
        for edit in self.edits:
            target = body
            for key in edit.path[:-1]:
                target = target.setdefault(key, {})
            target[edit.path[-1]] = edit.after.value if isinstance(edit.after, Present) else None
        meta = current.get("metadata") or {}
        body.setdefault("metadata", {}).update(uid=meta.get("uid"), resourceVersion=meta.get("resourceVersion"))
        return body

    def holds(self, current: Obj) -> bool:
        """Whether every field has its ``after`` value already."""
        return all(field_value(current, e.path) == e.after for e in self.edits)

    def conflicts(self, current: Obj) -> tuple[Edit, ...]:
        """Edits whose field has neither its ``before`` nor its ``after`` value: somebody else changed it."""
        return tuple(e for e in self.edits if field_value(current, e.path) not in (e.before, e.after))


class Delete(_Change, frozen=True, kw_only=True, tag="delete"):
    """Delete one object, by uid. ``labels`` are what it must still carry (irkit's own objects carry the incident)."""

    ref: ObjectRef
    labels: dict[str, str] = {}
    why: str
    pods: tuple[ObjectRef, ...] = ()

    @property
    def writes(self) -> bool:
        return True

    @property
    def ends(self) -> tuple[ObjectRef, ...]:
        return self.pods

    @property
    def permissions(self) -> tuple[Permission, ...]:
        return (permission("delete", self.ref.resource, self.ref.namespace), permission("get", self.ref.resource, self.ref.namespace))


class Capture(_Change, frozen=True, kw_only=True, tag="capture"):
    """Put the evidence of one pod into the bag of this invocation. Reads the cluster only."""

    pod: ObjectRef
    take: tuple[str, ...]
    suspect: bool = False

    @property
    def mark(self) -> str:
        return f"captured:{self.pod.uid}:{','.join(self.take)}"


class Await(_Change, frozen=True, kw_only=True, tag="await"):
    """Wait until a condition holds: the pod is let go of by its controller or is gone, the workload has no pods or is
    ready, it owns the pod again and has deleted what was too many, a Job is over; or look once more after a while whether
    the workload is still stopped (`held`)."""

    condition: Literal["detached", "no-pods", "ready", "gone", "adopted", "finished", "held"]
    ref: ObjectRef
    owner: ObjectRef | None = None  # for `detached`: the controller that lets go; for `adopted`: the workload

    @property
    def permissions(self) -> tuple[Permission, ...]:
        return (permission("get", self.ref.resource, self.ref.namespace),)


class Rotate(_Change, frozen=True, kw_only=True, tag="rotate"):
    """One credential: `renew` puts a new value into its source and into the cluster; `retire` makes the old one useless.

    What the value was and is, nobody but a rotator ever holds. Both are idempotent: the before-image in the journal
    (keyed HMACs, versions) tells a rotator what an interrupted run did already.
    """

    credential: Credential
    rotator: str
    stage: Literal["renew", "retire"]
    step: str
    rights: tuple[Permission, ...] = ()
    tokens: dict[str, str] = {}  # of `retire`: by workload's uid, what its pods carry that started after the change; not part of the intent

    @property
    def intent(self) -> bytes:
        return msgspec.json.encode(msgspec.structs.replace(self, tokens={}), order="deterministic")

    @property
    def writes(self) -> bool:
        return True

    @property
    def permissions(self) -> tuple[Permission, ...]:
        return self.rights

    @property
    def mark(self) -> str:
        return f"{self.stage}:{self.step}:{self.credential.id}"

    @property
    def ref(self) -> ObjectRef:
        return self.credential.ref


class Check(_Change, frozen=True, kw_only=True, tag="check"):
    """Judge whether something holds (``checks/``), and record what was found. Done once by each step of a run.

    ``given`` is what the check is told besides the object; ``about`` says it in a word where a step has several of a kind.
    ``stops``: what comes after it is not done unless it holds; where that is not known, a human is asked.
    """

    check: str
    ref: ObjectRef
    step: str
    run: str
    about: str = ""
    given: dict[str, Any] = {}
    stops: bool = False

    @property
    def name(self) -> str:
        return printable(f"{self.check} {self.about}".strip(), 200)

    @property
    def mark(self) -> str:
        return f"checked:{self.step}:{self.check}:{self.run}" + (f":{self.about}" if self.about else "")


class Notify(_Change, frozen=True, kw_only=True, tag="notify"):
    """Tell people."""

    to: tuple[str, ...]
    message: str
    step: str

    @property
    def mark(self) -> str:
        return f"notified:{self.step}:{','.join(self.to)}"


class Ask(_Change, frozen=True, kw_only=True, tag="ask"):
    """Have a human do something and say that it is done; the answer is recorded."""

    instruction: str
    step: str

    @property
    def mark(self) -> str:
        return f"answered:{self.step}"


Change: TypeAlias = Create | Patch | Delete | Rotate | Capture | Await | Check | Notify | Ask


def mark_of(change: Change) -> str | None:
    """The journal key of a change that leaves no other trace in the world."""
    return change.mark if isinstance(change, Rotate | Capture | Check | Notify | Ask) else None


def digest(changes: Sequence[Change]) -> str:
    """SHA-256 over the intents of the changes that write, in order: what an approval names."""
    return hashlib.sha256(b"\n".join(c.intent for c in changes if c.writes)).hexdigest()


def digests(changes: Sequence[Change]) -> tuple[str, ...]:
    """Of each change that writes, the SHA-256 of its intent: what an approval covers."""
    return tuple(hashlib.sha256(c.intent).hexdigest() for c in changes if c.writes)


def images(patch: Patch) -> list[tuple[str, str, str]]:
    """Of a new image: container, image before, image after."""
    found = []
    for edit in patch.edits:
        before, after = ((v.value if isinstance(v, Present) else ()) for v in (edit.before, edit.after))
        old = {c.get("name"): c.get("image", "") for c in before}
        found += [(c["name"], old.get(c["name"], ""), c["image"]) for c in after if c.get("image") != old.get(c["name"])]
    return found


def redeployed(begun: Sequence[Change], ref: ObjectRef | None) -> bool:
    """Whether this workload was given another image in this incident: its pods are no replacements any more, and it is not to be stopped."""
    return ref is not None and any(isinstance(c, Patch) and c.action == "redeploy" and c.ref.same(ref) for c in begun)
