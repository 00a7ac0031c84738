"""An entry of Vault's KV engine, version 2 or 1.

Version 2: each write carries the version that was read (``cas``), so that nobody's change is lost; siblings are written
back as they were read. A pending value is one more property of the same entry: with the promotion, in one write, it is
gone. The entry's custom metadata names the incident. In the end every version that still holds an old value is destroyed.
Version 1 keeps no versions and has no check-and-set: the entry is read again right before it is written.

Sources: OpenBao docs, "KV secrets engine - version 2 (API)"; `kv` plugin, path_data.go, path_destroy.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from irkit.errors import ConflictError, EndStateError, ForbiddenError, InvalidError, NotFoundError
from irkit.model.credential import Credential, OldValue
from irkit.model.kube import Obj, at
from irkit.ports import SecretStore
from irkit.rotators.base import Tools
from irkit.rotators.holders import Kept, Printer, Prints, Values, taken
from irkit.text import hidden, plural, printable

PENDING = "irkit-pending-"
"""What the name of a property begins with while its new value is pending."""

MARK = "irkit-incident"
_MARK_VERSION = "irkit-version"
_TRIES = 5  # when others write to the siblings at the same time


@dataclass(frozen=True, slots=True)
class _State:
    data: Obj = field(repr=False)
    version: int
    custom: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KvEntry:
    """Some properties of one entry. ``properties``: key of the Secret → property; empty: all of them."""

    store: SecretStore
    mount: str
    path: str
    properties: Mapping[str, str]
    incident: str
    versioned: bool = True

    @classmethod
    def of(cls, credential: Credential, tools: Tools) -> KvEntry:
        source, store = credential.source, tools.ports.vaults.vault()
        mount, path = source.mount.strip("/"), source.path.strip("/")
        for part in (mount, path):
            _safe(part)
        version = source.version or tools.shared.once(f"mount {mount}", lambda: _version(store, mount))
        properties = source.properties or {key: key for key in credential.keys}
        return cls(store, mount, path, {k: p for k, p in properties.items() if not credential.keys or k in credential.keys},
                   tools.incident.id, version != "v1")  # fmt: skip

    @property
    def where(self) -> str:
        return printable(f"Vault entry {self.mount}/{self.path}")

    def read(self) -> Kept:
        try:
            answer = self.store.read(self._at("data")).get("data") or {}
        except NotFoundError:
            raise EndStateError(f"{self.where} is not there, or its current version is deleted", next="irkit blast-radius") from None
        state = _State(answer, 0, {})
        if self.versioned:
            state = _State(_object(answer, "data"), _number(at(answer, ("metadata", "version"))), _object(answer, "metadata", "custom_metadata"))
        return self._kept(state)

    def propose(self, kept: Kept, values: Values) -> Kept:
        return self._put(kept, lambda data: {**data, **{PENDING + self._property(k): _text(v) for k, v in values.items()}})

    def write(self, kept: Kept, values: Values) -> Kept:
        done = {PENDING + self._property(k) for k in values}
        new = {self._property(k): _text(v) for k, v in values.items()}
        return self._put(kept, lambda data: {**{p: v for p, v in data.items() if p not in done}, **new})

    def drop(self, kept: Kept) -> Kept:
        if not kept.pending:
            return kept
        gone = {PENDING + self._property(k) for k in kept.pending}
        return self._put(kept, lambda data: {p: v for p, v in data.items() if p not in gone})

    def mark(self, kept: Kept) -> str:
        """The whole of custom metadata is replaced by a write: what others put there is written back."""
        state: _State = kept.state
        if not self.versioned:
            return f"{self.where} is of KV version 1, which takes no mark"
        if state.custom.get(MARK) == self.incident and state.custom.get(_MARK_VERSION) == str(state.version):
            return ""
        custom = {**state.custom, MARK: self.incident, _MARK_VERSION: str(state.version)}
        try:
            self.store.write(self._at("metadata"), {"custom_metadata": custom})
        except (ForbiddenError, InvalidError) as error:
            return f"{self.where} bears no mark of the incident: {error.message}"
        return ""

    def retire(self, old: Prints, printer: Printer, version: str) -> tuple[OldValue, str]:
        now = self.read()
        if held := _held(now.values, old, printer):
            return "alive", f"{self.where} still holds it, or holds it again ({', '.join(map(printable, held))})"
        if not self.versioned:
            return "dead", f"{self.where} holds another value; KV version 1 keeps no old ones"
        doomed = self._doomed(now.state.version, old, printer, int(version or 0))
        if doomed:
            self.store.write(self._at("destroy"), {"versions": doomed})
        if readable := [n for n in doomed if self._version(n) is not None]:
            return "alive", f"{_versions(readable)} of {self.where} can still be read"
        if not doomed:
            return "dead", f"no version of {self.where} holds it"
        return "dead", f"{_versions(doomed)} of {self.where} {'is' if len(doomed) == 1 else 'are'} destroyed: reading answers 404"

    def _doomed(self, current: int, old: Prints, printer: Printer, held: int) -> list[int]:
        """The versions that hold an old value. That of the before-image does, so long as it can be read."""
        if held == 1:
            known = list(range(1, current))
        else:
            try:
                listed = _object(self.store.read(self._at("metadata")), "data", "versions")
                known = sorted(n for n in (_number(k) for k in listed) if 0 < n < current and not at(listed, (str(n), "destroyed")))
            except ForbiddenError:  # the right to list versions is one of its own
                known = list(range(max(held, 1), current))
        return [n for n in known if n == held or _held(self._version(n) or {}, old, printer)]

    def _version(self, number: int) -> Values | None:
        """What a version holds of ours, pending or in force; None where it can't be read any more."""
        try:
            answer = self.store.read(self._at("data"), params={"version": str(number)})
        except NotFoundError:
            return None
        kept = self._found(_object(answer, "data", "data"))
        return {**{f"pending {k}": v for k, v in kept[1].items()}, **kept[0]}

    def _put(self, kept: Kept, edit: Callable[[Obj], Obj]) -> Kept:
        """Raises RefusedError where our own properties are not as in ``kept`` any more; others' changes are kept."""
        for _ in range(_TRIES):
            state: _State = kept.state
            wished = self._kept(replace(state, data=edit(state.data)))
            if not self.versioned:
                return self._overwrite(kept, wished)
            try:
                answer = self.store.write(self._at("data"), {"data": wished.state.data, "options": {"cas": state.version}})
                number = _number(at(answer, ("data", "version"))) or state.version + 1
                return self._kept(replace(wished.state, version=number))
            except ConflictError:
                now = self.read()
            if _same(now, wished):  # ours, of which no answer came
                return now
            if not _same(now, kept):
                raise taken(self.where)
            kept = now
        raise taken(self.where)

    def _overwrite(self, kept: Kept, wished: Kept) -> Kept:
        if self.read().state.data != kept.state.data:
            raise taken(self.where)
        self.store.write(self._at(""), wished.state.data)
        if not _same(self.read(), wished):
            raise taken(self.where)
        return wished

    def _at(self, area: str) -> str:
        return f"{self.mount}/{area}/{self.path}" if self.versioned else f"{self.mount}/{self.path}"

    def _property(self, key: str) -> str:
        return self.properties.get(key, key)

    def _kept(self, state: _State) -> Kept:
        values, pending = self._found(state.data)
        if missing := [k for k in self.properties if k not in values]:
            names = ", ".join(printable(self._property(k)) for k in missing)
            raise EndStateError(f"{self.where} has no text under {names}; irkit rotates text only", next="rotate it by hand")
        if not values:
            raise EndStateError(f"{self.where} holds no text", next="rotate it by hand")
        return Kept(values, pending, str(state.version) if self.versioned else "", state)

    def _found(self, data: Obj) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """What is in force and what is pending, by key."""
        ours = self.properties or {p: p for p in data if not p.startswith(PENDING)}

        def texts(prefix: str) -> dict[str, bytes]:
            found = {k: data.get(prefix + p) for k, p in ours.items()}
            return {k: v.encode("utf-8", "surrogatepass") for k, v in found.items() if isinstance(v, str)}

        return texts(""), texts(PENDING)


def _object(answer: Obj, *path: str) -> Obj:
    """The JSON object at ``path``; empty where a Vault, or what poses as one, has something else there."""
    found = at(answer, path)
    return found if isinstance(found, dict) else {}


def _number(value: object) -> int:
    """A version's number; 0 where it is none."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _version(store: SecretStore, mount: str) -> str:
    """As the server says. Raises EndStateError where that is no KV engine."""
    try:
        told: dict[str, Any] = store.read(f"sys/internal/ui/mounts/{mount}").get("data") or {}
    except (ForbiddenError, NotFoundError):
        raise EndStateError(f"there is no engine at {printable(mount)} in {printable(store.where)}, or you may not see it") from None
    if told.get("type") not in ("kv", "generic"):
        raise EndStateError(f"{printable(mount)} in {printable(store.where)} is no KV engine", next="rotate it by hand")
    return "v2" if at(told, ("options", "version")) == "2" else "v1"


def _safe(path: str) -> None:
    """Raises EndStateError for a path that could mean another one in a URL: who writes an ExternalSecret chooses it."""
    if any(part in ("", ".", "..") for part in path.split("/")) or any(map(hidden, path)):
        raise EndStateError(f"{printable(path)!r} is no path of a Vault entry that irkit follows", next="rotate it by hand")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogatepass")


def _same(one: Kept, other: Kept) -> bool:
    return one.values == other.values and one.pending == other.pending


def _held(values: Values, old: Prints, printer: Printer) -> list[str]:
    """The keys that hold one of the old values."""
    return sorted(k for k, v in values.items() if printer(v) in old.values())


def _versions(numbers: list[int]) -> str:
    return f"version {numbers[0]}" if len(numbers) == 1 else f"{plural(len(numbers), 'version')} ({', '.join(map(str, numbers))})"
