"""Who set a field last, by the API server's own bookkeeping (``metadata.managedFields``, KEP-555).

A manager's name is chosen by the client: it names an honest tool, and proves nothing against a dishonest one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from irkit.model.kube import Obj, at


class Manager(NamedTuple):
    name: str
    time: str = ""  # RFC 3339; of its last write to any of its fields
    subresource: str = ""


def managers(obj: Obj) -> tuple[Manager, ...]:
    """Everybody who manages a field of ``obj``."""
    return tuple(_manager(e) for e in _entries(obj))


def managers_of(obj: Obj, path: Sequence[str]) -> tuple[Manager, ...]:
    """Everybody who manages the field at ``path``, as in ``("metadata", "labels", "app")``."""
    keys = [f"f:{key}" for key in path]
    return tuple(_manager(e) for e in _entries(obj) if at(e.get("fieldsV1") or {}, keys) is not None)


def _entries(obj: Obj) -> Sequence[Obj]:
    return at(obj, ("metadata", "managedFields")) or ()


def _manager(entry: Obj) -> Manager:
    return Manager(str(entry.get("manager") or "unknown"), str(entry.get("time") or ""), str(entry.get("subresource") or ""))
