"""From the store into the cluster: External Secrets Operator writes the Secret, irkit has it do so at once and looks whether it did.

A sync is done when the ExternalSecret says so for the request that irkit made *and* the Secret's data are the new ones: its
status alone says "synced" also where the target is immutable. What would never sync is found before anything is written.

Sources: external-secrets.io docs, "ExternalSecret" and "Lifecycle"; its controller, externalsecret_controller.go.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping

import msgspec

from irkit.errors import ConflictError, EndStateError, ForbiddenError, NotFoundError, RefusedError, UnreachableError
from irkit.model.credential import Credential
from irkit.model.kube import EVENTS, SECRETS, Obj, ObjectRef, at, ref_of
from irkit.model.secret import mentions
from irkit.rotators.base import Tools
from irkit.rotators.holders import Kept, Prints, prints
from irkit.rotators.secret import decoded
from irkit.rotators.watcher import Watcher
from irkit.text import printable

FORCE = "force-sync"
_GRACE = 3.0  # seconds of being in error after which it is one: it may be of before, and the operator tries again after one
_FEW = 8  # Secrets of one namespace that are read one by one; more are listed
_ERROR = "it is in error"
_DONE = "the new value is in the store; the Secret still holds the old one, which works on"


def check(credential: Credential, kept: Kept, tools: Tools) -> None:
    """Before the first write: whether a sync would come, and whether this is the store that the Secret is filled from.

    Raises EndStateError where no sync would come, RefusedError where entry and Secret disagree.
    """
    ready(credential, tools)
    if credential.source.external_secret is None:
        return
    held = _held(credential, tools)
    wrong = sorted(k for k, v in kept.values.items() if held.get(k) != tools.print(v))
    if wrong:
        raise RefusedError(
            f"{credential.ref} and its entry in {printable(tools.ports.vaults.vault().where)} disagree about {', '.join(map(printable, wrong))}:"
            " this is not the Vault that it is filled from, or the entry was changed since the last sync; nothing was written",
            next="check VAULT_ADDR and VAULT_NAMESPACE")  # fmt: skip


def ready(credential: Credential, tools: Tools) -> None:
    """Raises EndStateError where no sync would come."""
    external = credential.source.external_secret
    if external is None:
        return
    told = _external(external, tools)
    if reason := next(_obstacles(told, credential), ""):
        reason = f"{reason}: {_why(external, told, credential, tools)}" if reason == _ERROR else reason
        raise EndStateError(f"{external} would not deliver a new value: {reason}; nothing was written", next="change that, then irkit resume")


def deliver(credential: Credential, wanted: Callable[[Mapping[str, bytes]], bool], tools: Tools, *, asked_before: bool = False) -> str:
    """Have the Secret written, and wait until its data are as ``wanted``. Returns what was done, for people; empty: nothing to do.

    ``asked_before``: an earlier run may have had it done already. Raises EndStateError where the sync fails, UnreachableError
    where none comes in time.
    """
    external = credential.source.external_secret
    if external is None or (asked_before and wanted(_target(credential, tools))):
        return ""
    watcher: Watcher = tools.shared.once(
        f"watch {external.resource.path(external.namespace)}", lambda: Watcher(tools.ports.cluster, external.resource, external.namespace)
    )
    _sync(external, credential, wanted, watcher, tools)
    return f"{external} synced it"


def changed(old: Mapping[str, str], tools: Tools) -> Callable[[Mapping[str, bytes]], bool]:
    """Whether a Secret's data are no more those of a before-image, key by key."""
    return lambda data: all(k in data and tools.print(data[k]) != p for k, p in old.items())


def same(values: Mapping[str, bytes]) -> Callable[[Mapping[str, bytes]], bool]:
    """Whether a Secret's data are these."""
    return lambda data: all(data.get(k) == v for k, v in values.items())


def _sync(external: ObjectRef, credential: Credential, wanted: Callable[[Mapping[str, bytes]], bool], watcher: Watcher, tools: Tools) -> None:
    clock = tools.ports.clock
    with watcher.following(external) as following:
        asked = _forced(external, tools)
        began = clock.monotonic()
        until = min(tools.until, began + tools.ports.settings.rotation.sync_timeout)
        now: Obj | None = None
        while (left := until - clock.monotonic()) > 0:
            now = following.next(left, glance=now is not None and _broken(now))
            if now is None:
                continue
            if _synced(now) != _synced(asked) and (data := _data(credential, tools)) is not None and wanted(data):
                return
            if _broken(now) and clock.monotonic() - began > _GRACE:
                raise EndStateError(f"{external} could not be synced: {_why(external, now, credential, tools)}; {_DONE}", next="irkit resume")
    raise UnreachableError(f"{external} was not synced in time, and says no reason: does its store answer? {_DONE}", next="irkit resume")


def _forced(external: ObjectRef, tools: Tools) -> Obj:
    """Have it synced now. The annotation wants a new value each time."""
    body = {"metadata": {"uid": external.uid, "annotations": {FORCE: f"irkit-{secrets.token_hex(6)}"}}}
    try:
        return tools.ports.cluster.patch(external, body)
    except (NotFoundError, ConflictError):
        raise EndStateError(f"{external} is gone, or another one has its name; {_DONE}", next="irkit blast-radius") from None


def _external(ref: ObjectRef, tools: Tools) -> Obj:
    """The ExternalSecret, out of one list for all of its namespace. Raises EndStateError."""

    def listed() -> dict[str, Obj]:
        found = tools.ports.cluster.list(ref.resource, ref.namespace)
        return {ref_of(o, ref.resource).uid: o for o in found}

    try:
        found: Obj | None = tools.shared.once(f"list {ref.resource.path(ref.namespace)}", listed).get(ref.uid)
    except ForbiddenError:
        found = tools.ports.cluster.get(ref)
    except NotFoundError:
        found = None
    if found is None:
        raise EndStateError(f"{ref} is gone, or another one has its name; nothing was written", next="irkit blast-radius")
    return found


def _target(credential: Credential, tools: Tools) -> dict[str, bytes]:
    if (data := _data(credential, tools)) is None:
        raise EndStateError(f"{credential.ref} is gone; {credential.source.external_secret} should write it", next="irkit blast-radius")
    return data


def _held(credential: Credential, tools: Tools) -> Prints:
    """The HMACs of what the Secret holds now; where a batch asks for many of its namespace, out of one list of all, where one may."""
    ref, shared = credential.ref, tools.shared

    def listed() -> dict[str, dict[str, str]]:
        try:
            found = tools.ports.cluster.list(SECRETS, ref.namespace, fields="type!=helm.sh/release.v1")  # those are large
        except ForbiddenError:
            return {}
        return {o["metadata"]["name"]: prints(decoded(o), tools) for o in found}

    if shared.asked(f"Secrets of {ref.namespace}") > _FEW:
        found: Prints | None = shared.once(f"list Secrets of {ref.namespace}", listed).get(ref.name)
        if found is not None:
            return found
    return prints(_target(credential, tools), tools)


def _data(credential: Credential, tools: Tools) -> dict[str, bytes] | None:
    """What the Secret of that name holds, whoever made it anew; None where there is none."""
    try:
        return decoded(tools.ports.cluster.get(msgspec.structs.replace(credential.ref, uid="")))
    except NotFoundError:
        return None


def _obstacles(external: Obj, credential: Credential) -> Iterator[str]:
    """Why a new value in the store would not reach the Secret."""
    spec = at(external, ("spec",), {})
    if at(external, ("metadata", "deletionTimestamp")):
        yield "it is being deleted"
    if spec.get("refreshPolicy") == "CreatedOnce":
        yield "refreshPolicy CreatedOnce: it is read once, and not again"
    elif spec.get("refreshPolicy") != "OnChange" and re.fullmatch(r"(0[a-z]*)+", str(spec.get("refreshInterval", ""))):
        yield "refreshInterval 0: it is read once, and not again"
    if at(spec, ("target", "immutable")) is True or credential.immutable:
        yield "its target is immutable"
    remotes = [at(i, ("remoteRef",), {}) for i in at(spec, ("data",), ()) if i.get("secretKey") in credential.keys]
    for remote in (*remotes, *(at(i, ("extract",), {}) for i in at(spec, ("dataFrom",), ()))):
        if remote.get("version"):
            yield f"version {printable(remote['version'], 20)} of the entry is pinned"
        if remote.get("decodingStrategy", "None") != "None":
            yield f"decodingStrategy {printable(remote['decodingStrategy'], 20)}: what it writes is not what the entry holds"
    if _broken(external):
        yield _ERROR


def _ready(external: Obj) -> Obj:
    conditions = at(external, ("status", "conditions"), ())
    return next((c for c in conditions if c.get("type") == "Ready"), {})


def _broken(external: Obj) -> bool:
    return _ready(external).get("status") == "False"


def _synced(external: Obj) -> tuple[object, object]:
    """Differs after each sync: a hash over generation, labels and annotations, where ESO gives one."""
    return at(external, ("status", "syncedResourceVersion")), at(external, ("status", "refreshTime"))


def _why(external: ObjectRef, now: Obj, credential: Credential, tools: Tools) -> str:
    """What its last Event says, else its condition; never with a value in it."""
    text = str(_ready(now).get("message") or _ready(now).get("reason") or "no reason given")
    try:
        events = tools.ports.cluster.list(EVENTS, external.namespace, fields=f"involvedObject.uid={external.uid}")
        warnings = [e for e in events if e.get("type") == "Warning" and e.get("message")]
        if warnings:
            text = str(max(warnings, key=lambda e: str(e.get("lastTimestamp") or e.get("eventTime") or ""))["message"])
    except (ForbiddenError, NotFoundError):
        pass
    return "what it says holds a value, and is not shown" if mentions(text, (_data(credential, tools) or {}).values()) else printable(text, 200)
