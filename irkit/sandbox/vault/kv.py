"""The key/value engines: version 1 keeps a value, version 2 its history (builtin/logical/kv of OpenBao)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from irkit.model.kube import Obj
from irkit.sandbox.patches.merge import merge
from irkit.sandbox.vault.messages import MERGE_PATCH, NOTHING, Asked, Now, Refused, Told, missing, stamp, unsupported_operation

KEPT = 10
"""Versions that are kept where nobody says how many."""


def listing(paths: Iterable[str], folder: str) -> Told:
    """The keys right below a folder, those with more below them ending with ``/``. Raises Refused 404 where there are none."""
    prefix = f"{folder.rstrip('/')}/" if folder.strip("/") else ""
    inside = [path.removeprefix(prefix) for path in paths if path.startswith(prefix)]
    keys = sorted({head + slash for head, slash, _ in (path.partition("/") for path in inside) if head})
    if not keys:
        raise missing()
    return Told({"keys": keys})


class Kv1:
    """One value a path; every write replaces it."""

    type, version = "kv", "1"
    lease_duration: ClassVar[int] = 2_764_800

    def __init__(self) -> None:
        self._entries: dict[str, Obj] = {}

    def exists(self, path: str) -> bool:
        return path in self._entries

    def answer(self, asked: Asked, path: str) -> Told:
        """Raises Refused."""
        match asked.operation:
            case "list":
                return listing(self._entries, path)
            case "read" if path in self._entries:
                return Told(dict(self._entries[path]), lease_duration=self.lease_duration)
            case "read":
                raise missing()
            case "update":
                if not asked.body:
                    raise Refused(400, "missing data fields")
                self._entries[path] = dict(asked.body)
                return NOTHING
            case "delete":
                self._entries.pop(path, None)
                return NOTHING
        raise unsupported_operation()


@dataclass(slots=True)
class _Version:
    created: str
    data: Obj | None = field(repr=False)
    deleted: str = ""
    destroyed: bool = False

    @property
    def readable(self) -> bool:
        return not self.deleted and not self.destroyed

    def told(self) -> Obj:
        return {"created_time": self.created, "deletion_time": self.deleted, "destroyed": self.destroyed}


@dataclass(slots=True)
class _Entry:
    created: str
    updated: str
    versions: dict[int, _Version] = field(default_factory=dict)
    current: int = 0
    oldest: int = 0
    max_versions: int = 0
    cas_required: bool = False
    delete_after: str = "0s"
    custom: dict[str, str] | None = None
    metadata_version: int = 0

    def told(self, number: int) -> Obj:
        """The metadata of one version."""
        return {**self.versions[number].told(), "custom_metadata": self.custom, "version": number}


class Kv2:
    type, version = "kv", "2"

    def __init__(self, clock: Now) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def exists(self, path: str) -> bool:
        return path.partition("/")[2] in self._entries

    def answer(self, asked: Asked, path: str) -> Told:
        """Raises Refused."""
        area, _, name = path.partition("/")
        if area == "metadata" and asked.operation == "list":
            return listing(self._entries, name)
        if area == "config" and asked.operation == "read":
            return Told({"cas_required": False, "delete_version_after": "0s", "max_versions": 0, "metadata_cas_required": False})
        if area not in ("data", "metadata", "delete", "undelete", "destroy"):
            return _unversioned()
        if not name:
            raise missing() if asked.operation == "read" else unsupported_operation()
        if area == "data":
            return self._data(asked, name)
        if area == "metadata":
            return self._metadata(asked, name)
        if asked.operation != "update":
            raise unsupported_operation()
        return self._versions(area, name, asked.body)

    def _now(self) -> str:
        return stamp(self._clock.now())

    # data

    def _data(self, asked: Asked, name: str) -> Told:
        match asked.operation:
            case "read":
                return self._read(name, asked.query.get("version", ""))
            case "update":
                return self._write(name, asked.body)
            case "patch":
                return self._patch(name, asked)
            case "delete":
                entry = self._entries.get(name)
                return self._versions("delete", name, {"versions": [entry.current]}) if entry and entry.current else NOTHING
        raise unsupported_operation()

    def _read(self, name: str, wanted: str) -> Told:
        entry = self._entries.get(name)
        number = (int(wanted) if wanted.isdecimal() else 0) or (entry.current if entry else 0)
        if entry is None or number not in entry.versions:
            raise missing()
        version = entry.versions[number]
        return Told({"data": version.data if version.readable else None, "metadata": entry.told(number)}, code=200 if version.readable else 404)

    def _write(self, name: str, body: Mapping[str, Any]) -> Told:
        data = _fields(body)
        entry = self._entries.get(name)
        _check(entry, body.get("options"))
        now = self._now()
        entry = self._entries.setdefault(name, _Entry(now, now))
        return self._add(entry, data)

    def _patch(self, name: str, asked: Asked) -> Told:
        if asked.content_type != MERGE_PATCH:
            raise Refused(415, f"PATCH requires Content-Type of {MERGE_PATCH}, provided {asked.content_type}")
        data, entry = _fields(asked.body), self._entries.get(name)
        if entry is None or not entry.current:
            return Told(code=404)
        if not entry.versions[entry.current].readable:
            return Told(entry.told(entry.current), code=404)
        _check(entry, asked.body.get("options"))
        return self._add(entry, merge(entry.versions[entry.current].data, data))

    def _add(self, entry: _Entry, data: Obj) -> Told:
        entry.updated = self._now()
        entry.current += 1
        entry.versions[entry.current] = _Version(entry.updated, data)
        while len(entry.versions) > (entry.max_versions or KEPT):
            del entry.versions[min(entry.versions)]
            entry.oldest = min(entry.versions)
        return Told(entry.told(entry.current))

    def _versions(self, area: str, name: str, body: Mapping[str, Any]) -> Told:
        """delete, undelete, destroy."""
        numbers = [int(n) for n in body.get("versions") or ()]
        if not numbers:
            raise Refused(400, f"{'no' if area == 'destroy' else 'No'} version number provided")
        entry = self._entries.get(name)
        for number in numbers:
            version = entry.versions.get(number) if entry else None
            if version is None or version.destroyed:
                continue
            if area == "destroy":
                version.data, version.destroyed = None, True
            else:
                version.deleted = (version.deleted or self._now()) if area == "delete" else ""
        return NOTHING

    # metadata

    def _metadata(self, asked: Asked, name: str) -> Told:
        entry = self._entries.get(name)
        match asked.operation:
            case "read" if entry is not None:
                return Told(_described(entry))
            case "read":
                raise missing()
            case "update":
                now = self._now()
                self._describe(self._entries.setdefault(name, _Entry(now, now)), asked.body, asked.body.get("custom_metadata"))
                return NOTHING
            case "patch" if entry is not None:
                given = asked.body.get("custom_metadata")
                self._describe(entry, asked.body, merge(entry.custom or {}, given) if isinstance(given, dict) else None)
                return NOTHING
            case "patch":
                return Told(code=404)
            case "delete":
                self._entries.pop(name, None)
                return NOTHING
        raise unsupported_operation()

    def _describe(self, entry: _Entry, body: Mapping[str, Any], custom: Any) -> None:
        if custom is not None:
            if not isinstance(custom, dict):
                raise Refused(400, f"error converting input for field \"custom_metadata\": '' expected a map, got '{type(custom).__name__}'")
            entry.custom = {key: str(value) for key, value in custom.items()}
        entry.max_versions = int(body.get("max_versions", entry.max_versions))
        entry.cas_required = bool(body.get("cas_required", entry.cas_required))
        entry.delete_after = str(body.get("delete_version_after", entry.delete_after))
        entry.updated = self._now()
        entry.metadata_version += 1


def _fields(body: Mapping[str, Any]) -> Obj:
    data = body.get("data")
    if data is None:
        raise Refused(400, "no data provided")
    if not isinstance(data, dict):
        kind = {str: "string", list: "[]interface {}", bool: "bool"}.get(type(data), "json.Number")
        raise Refused(
            400, f"error converting input for field \"data\": '' expected type 'map[string]interface {{}}', got unconvertible type '{kind}'"
        )
    return data


def _check(entry: _Entry | None, options: Any) -> None:
    """Check-and-set: the write is for the version that the client saw. Raises Refused 400."""
    wanted = options.get("cas") if isinstance(options, dict) else None
    if wanted is None:
        if entry is not None and entry.cas_required:
            raise Refused(400, "check-and-set parameter required for this call")
        return
    if wanted != (entry.current if entry else 0):
        raise Refused(400, "check-and-set parameter did not match the current version")


def _described(entry: _Entry) -> Obj:
    return {"cas_required": entry.cas_required, "created_time": entry.created, "current_metadata_version": entry.metadata_version,
            "current_version": entry.current, "custom_metadata": entry.custom, "delete_version_after": entry.delete_after,
            "max_versions": entry.max_versions, "metadata_cas_required": False, "oldest_version": entry.oldest, "updated_time": entry.updated,
            "versions": {str(number): version.told() for number, version in entry.versions.items()}}  # fmt: skip


def _unversioned() -> Told:
    """What a client that takes this for version 1 is told."""
    why = ("Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. If using the OpenBao CLI, "
           "use 'bao kv get' for this operation.")  # fmt: skip
    return Told(code=404, warnings=[why])
