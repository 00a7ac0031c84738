"""The files of a kubeconfig, merged as client-go merges them.

Kubernetes docs, "Organizing Cluster Access Using kubeconfig Files": the first file that has an entry of a name wins with
the whole entry; the first ``current-context`` wins; relative paths belong to the file that names them; of several files
those that do not exist are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from irkit import yamls
from irkit.errors import KubeconfigError
from irkit.text import nearest, printable

SECTIONS = {"clusters": "cluster", "users": "user", "contexts": "context"}


class Entry(msgspec.Struct, frozen=True):
    """One named cluster, user or context, and the file that it is from."""

    kind: str  # cluster | user | context
    name: str
    body: dict[str, Any]
    file: Path

    def __str__(self) -> str:
        return f"{self.kind} {printable(self.name)} in {printable(self.file)}"

    __repr__ = __str__  # the body may hold keys

    def text(self, key: str) -> str:
        """A field that must be a string; empty where it is absent. Raises KubeconfigError."""
        value = self.body.get(key)
        if value is None or isinstance(value, str):
            return value or ""
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)  # YAML takes a name of digits for a number
        raise KubeconfigError(f"{self}: {key} must be a string")

    def flag(self, key: str) -> bool:
        value = self.body.get(key) or False
        if not isinstance(value, bool):
            raise KubeconfigError(f"{self}: {key} must be true or false")
        return value

    def path(self, key: str) -> Path | None:
        """A field that names a file, relative to the kubeconfig; as client-go, without expanding ``~`` or variables."""
        text = self.text(key)
        return self.file.parent / text if text else None

    def content(self, key: str) -> bytes:
        """The bytes of ``key-data`` (base64), or of the file that ``key`` names; the data wins. Empty: neither."""
        if data := self.text(f"{key}-data"):
            import base64
            import binascii

            try:
                return base64.b64decode("".join(data.split()), validate=True)
            except (binascii.Error, ValueError):
                raise KubeconfigError(f"{self}: {key}-data is not base64") from None
        path = self.path(key)
        try:
            return path.read_bytes() if path else b""
        except OSError as error:
            raise KubeconfigError(f"{self}: {key} {printable(path)}: {error.strerror}") from None


class Merged(msgspec.Struct, frozen=True):
    """All files as one."""

    files: tuple[Path, ...]
    current: str
    entries: Mapping[tuple[str, str], Entry]

    def names(self, kind: str) -> list[str]:
        return [name for of, name in self.entries if of == kind]

    def find(self, kind: str, name: str, by: str) -> Entry:
        """Raises KubeconfigError with the names that are near, or all there are."""
        if found := self.entries.get((kind, name)):
            return found
        known = self.names(kind)
        near = nearest(name, known, 3) or known[:10]
        hint = f"; there is {', '.join(printable(n) for n in near)}" if near else f"; there is no {kind} at all"
        raise KubeconfigError(f"{by}: no {kind} '{printable(name)}' in {self.where}{hint}", next="kubectl config get-contexts")

    @property
    def where(self) -> str:
        return ", ".join(printable(f) for f in self.files)


def paths(joined: str) -> tuple[Path, ...]:
    """The paths of a KUBECONFIG value, each once, in order."""
    return tuple(dict.fromkeys(Path(p) for p in joined.split(os.pathsep) if p))


def merge(files: Iterable[Path]) -> Merged:
    """Raises KubeconfigError where none of ``files`` exists, or one can't be read or is no kubeconfig."""
    asked = tuple(files)
    read = [(file, document) for file in asked if (document := _read(file)) is not None]
    if not read:
        names = ", ".join(printable(f) for f in asked)
        raise KubeconfigError(f"kubeconfig {names}: no such file", next="give --kubeconfig FILE, or set KUBECONFIG")
    entries: dict[tuple[str, str], Entry] = {}
    current = ""
    for file, document in read:
        for entry in _entries(file, document):
            entries.setdefault((entry.kind, entry.name), entry)
        current = current or str(document.get("current-context") or "")
    return Merged(tuple(file for file, _ in read), current, entries)


def _entries(file: Path, document: Mapping[str, Any]) -> Iterable[Entry]:
    for section, kind in SECTIONS.items():
        items = document.get(section) or []
        if not isinstance(items, list) or not all(isinstance(i, dict) and isinstance(i.get(kind) or {}, dict) for i in items):
            raise KubeconfigError(f"{printable(file)}: {section} must be a list of named entries")
        for item in items:
            yield Entry(kind, str(item.get("name", "")), item.get(kind) or {}, file)


def _read(file: Path) -> dict[str, Any] | None:
    """The document; None where there is no such file. Nothing of its text goes into a message: it holds keys."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KubeconfigError(f"kubeconfig {printable(file)}: {error.strerror}") from None
    document = _json(data) if data.lstrip()[:1] == b"{" else None
    if document is None:
        document = _yaml(file, data)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise KubeconfigError(f"{printable(file)}:1:1: a kubeconfig must be a mapping")
    return document


def _json(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None  # flow-style YAML begins with a brace, too


def _yaml(file: Path, data: bytes) -> Any:
    import yaml

    try:
        return yamls.load(data)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise KubeconfigError(f"kubeconfig {printable(file)}{at}: not valid YAML") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise KubeconfigError(f"kubeconfig {printable(file)}: not valid YAML") from None
