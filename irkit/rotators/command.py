"""An executable of the user's rotates it: for stores and issuers that irkit does not know.

It speaks JSON on stdin and stdout (docs/reference/rotation.md). What it makes reaches the cluster as everything else does:
irkit writes the values that it answers into the Secret, or has External Secrets sync, and looks whether the data changed.
What it answers is not trusted: it is of one shape and size, is escaped, and holds no value where none belongs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar

import msgspec

from irkit import API_VERSION
from irkit.errors import ApiError, EndStateError
from irkit.model.credential import Credential, OldValue
from irkit.model.kube import Permission
from irkit.model.outcome import Outcome, Skipped
from irkit.model.secret import mentions
from irkit.ports import Observed
from irkit.rotators import delivery, stored, values
from irkit.rotators.base import Before, Tools, retired, rotated
from irkit.rotators.holders import prints
from irkit.rotators.secret import KubeSecret
from irkit.text import printable

_LARGEST_STATE = 16 << 10  # bytes of JSON, as it stands in the journal


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    error: str = ""  # one sentence, for people: it could not be done


class _Begun(_Answer, frozen=True):
    state: dict[str, Any] = {}  # for the next stages: versions, ids; no value


class _Renewed(_Answer, frozen=True, rename="camel"):
    outcome: Literal["rotated", "manual"] = "rotated"
    detail: str = ""
    values: dict[str, str] = {}  # by key: what irkit is to write into the Secret

    def __repr__(self) -> str:
        return f"_Renewed({self.outcome}, {', '.join(sorted(self.values))})"


class _Retired(_Answer, frozen=True, rename="camel"):
    old_value: OldValue = "untested"
    how: str = ""


A = TypeVar("A", bound=_Answer)


class Command:
    name = "command"
    asks = False

    def takes(self, credential: Credential, seen: Observed) -> bool:
        return bool(credential.source.command)

    def permissions(self, credential: Credential) -> tuple[Permission, ...]:
        return stored.permissions(credential)

    def notes(self, credential: Credential, seen: Observed) -> Iterator[str]:
        yield printable(f"{credential.name} is rotated by the command {credential.source.command} of your settings", 400)

    def before(self, credential: Credential, tools: Tools) -> Before:
        delivery.ready(credential, tools)
        data = _data(credential, tools)
        begun = _call("before", credential, {}, tools, _Begun)
        text = msgspec.json.encode(begun.state)
        if len(text) > _LARGEST_STATE:
            raise ApiError(f"{_who(credential)} answered a state of more than {_LARGEST_STATE} bytes; nothing was written", status=0)
        if mentions(text.decode(), data.values()):
            raise ApiError(f"{_who(credential)} answered a state that holds a value of the Secret; nothing was written", status=0)
        return {"values": prints(data, tools), "state": begun.state}

    def renew(self, credential: Credential, before: Before, tools: Tools) -> Outcome:
        new = delivery.changed(before["values"], tools)
        data = _data(credential, tools)
        if data and new(data):
            return rotated(f"{credential.ref} holds a new value already")
        proposed = _proposed(credential, data, tools) if credential.cls == "generated" and data else {}
        done = _call("renew", credential, before["state"], tools, _Renewed, proposed=proposed)
        told = _shown(done.detail, [*data.values(), *(v.encode("utf-8", "surrogatepass") for v in done.values.values())], proposed)
        if done.outcome == "manual":
            return Skipped(f"{_who(credential)} leaves it to a human" + (f": {told}" if told else ""))
        said = [f"{_who(credential)} made a new value" + (f": {told}" if told else "")]
        said.append(self._distributed(credential, before["values"], done, tools))
        return rotated("; ".join(s for s in said if s))

    def retire(self, credential: Credential, before: Before, tools: Tools) -> Outcome:
        data = _data(credential, tools)
        if any(tools.print(v) in before["values"].values() for v in data.values()):
            return retired("alive", f"{credential.ref} still holds it, or holds it again")
        done = _call("retire", credential, before["state"], tools, _Retired)
        return retired(done.old_value, _shown(done.how, data.values(), {}) or f"{_who(credential)} says so, and not how it knows")

    def _distributed(self, credential: Credential, old: Mapping[str, str], done: _Renewed, tools: Tools) -> str:
        """Into the cluster, and seen there."""
        if credential.ref.kind != "Secret":
            return ""
        if credential.source.external_secret is not None:
            return delivery.deliver(credential, delivery.changed(old, tools), tools)
        if not done.values:
            met = delivery.changed(old, tools)
            tools.wait(lambda: met(_data(credential, tools)), f"{_who(credential)} answered no values, and {credential.ref} did not change")
            return ""
        if missing := [k for k in credential.keys if not done.values.get(k)]:
            raise ApiError(f"{_who(credential)} answered no value for {', '.join(map(printable, missing))}", status=0)
        holder = KubeSecret(credential, tools)
        kept = holder.read()
        fresh = {k: done.values[k].encode("utf-8", "surrogatepass") for k in kept.values}
        if same := sorted(k for k, v in fresh.items() if tools.print(v) == old.get(k)):
            raise EndStateError(f"{_who(credential)} answered the old value again for {', '.join(map(printable, same))}", next="irkit resume")
        holder.write(kept, fresh)
        return f"{holder.where} holds it"


def _data(credential: Credential, tools: Tools) -> dict[str, bytes]:
    """What the Secret holds of it now; nothing where it is no Secret. Raises EndStateError."""
    return dict(KubeSecret(credential, tools).read().values) if credential.ref.kind == "Secret" else {}


def _proposed(credential: Credential, data: Mapping[str, bytes], tools: Tools) -> dict[str, str]:
    """New values that the command may take, so that it needs no random source of its own; text only."""
    made = values.fresh(data, credential.ref, tools.ports.settings.rotation.formats)
    try:
        return {k: v.decode() for k, v in made.items()}
    except UnicodeDecodeError:
        return {}


def _call(
    stage: str, credential: Credential, state: Mapping[str, Any], tools: Tools, kind: type[A], *, proposed: Mapping[str, str] | None = None
) -> A:
    """Raises ApiError for what is no answer, EndStateError for what it says went wrong, and as ``Vaults.call``."""
    source = credential.source
    about = {"kind": source.kind, "provider": source.provider, "store": source.store.name if source.store else "", "path": source.path,
             "properties": source.properties, "whole": source.whole}  # fmt: skip
    request = {
        "apiVersion": API_VERSION, "kind": "RotationRequest", "stage": stage, "incident": tools.incident.id, "state": state,
        "credential": {"kind": credential.ref.kind, "namespace": credential.ref.namespace, "name": credential.ref.name,
                       "keys": credential.keys, "class": credential.cls, "source": about},
        **({"proposed": proposed} if proposed else {}),
    }  # fmt: skip
    left = max(tools.until - tools.ports.clock.monotonic(), 0.1)
    text = tools.ports.vaults.call(source.command, msgspec.json.encode(request), left)
    try:
        answer = msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):  # their texts may quote it
        raise ApiError(f"{_who(credential)} answered something that is no answer to {stage!r} (docs/reference/rotation.md)", status=0) from None
    if answer.error:
        raise EndStateError(f"{_who(credential)} says: {_shown(answer.error, (), proposed or {}) or 'it failed'}", next="irkit resume")
    return answer


def _who(credential: Credential) -> str:
    return f"command {printable(credential.source.command, 60)}"


def _shown(text: str, secret: Any, proposed: Mapping[str, str]) -> str:
    """What it says, unless a value is in it."""
    known = [*secret, *(v.encode() for v in proposed.values())]
    return "(what it says holds a value, and is not shown)" if mentions(text, known) else printable(text.strip(), 300)
