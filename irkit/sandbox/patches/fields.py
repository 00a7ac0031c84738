"""Which manager owns which fields: `metadata.managedFields` and server-side apply.

A field set is a set of paths in the notation of FieldsV1 (structured-merge-diff): ``f:NAME`` for a field,
``k:{"key":value}`` for an item of a keyed list, ``v:VALUE`` for a member of a set, ``.`` for the thing itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from irkit.model.kube import Obj
from irkit.sandbox.patches.schema import Path, is_atomic_map, is_set, keys_of

Fields = frozenset[Path]
_UNOWNED = {"apiVersion", "kind"}
_UNOWNED_META = {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
                 "deletionGracePeriodSeconds", "managedFields", "selfLink"}  # fmt: skip


class ApplyConflict(Exception):
    """Others own fields that the applied configuration would change: (the entry of managedFields, field) each."""

    def __init__(self, conflicts: list[tuple[Obj, str]]) -> None:
        super().__init__(str(conflicts))
        self.conflicts = conflicts


def values_of(obj: Obj) -> dict[Path, Any]:
    """All fields of an object that can be owned, each with its value; a mapping or keyed list as its mere presence."""
    body = {key: value for key, value in obj.items() if key not in _UNOWNED}
    body["metadata"] = {key: value for key, value in (obj.get("metadata") or {}).items() if key not in _UNOWNED_META}
    return dict(_walk(body, (), ()))


def _walk(value: Any, names: Path, path: Path) -> Iterator[tuple[Path, Any]]:
    if not value and (is_atomic_map(names) or path == ("f:metadata",)):
        return
    if isinstance(value, dict) and is_atomic_map(names):
        yield path, value
    elif isinstance(value, dict) and (value or not path):
        if path and path != ("f:metadata",) and path not in (("f:spec",), ("f:status",)):
            yield (*path, "."), None
        for key, item in value.items():
            if item is not None:
                yield from _walk(item, (*names, key), (*path, f"f:{key}"))
    elif isinstance(value, list) and names and (keys := keys_of(names)) and all(isinstance(item, dict) for item in value):
        yield (*path, "."), None
        for item in value:
            yield from _walk(item, names, (*path, f"k:{_compact({k: item[k] for k in keys if k in item})}"))
    elif isinstance(value, list) and names and is_set(names):
        yield (*path, "."), None
        for item in value:
            yield (*path, f"v:{_compact(item)}"), item
    else:
        yield path, value


def _compact(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def tree_of(fields: Fields) -> Obj:
    """FieldsV1 as it is sent."""
    root: Obj = {}
    for path in sorted(fields):
        node = root
        for part in path:
            node = node.setdefault(part, {})
    return root


def set_of(tree: Obj) -> Fields:
    """The inverse of `tree_of`."""

    def leaves(node: Obj, path: Path) -> Iterator[Path]:
        if not node and path:
            yield path
        for part, below in node.items():
            yield from leaves(below, (*path, part))

    return frozenset(leaves(tree, ()))


def dotted(path: Path) -> str:
    """``.spec.containers[name="c"].image``, as messages name a field."""
    text = ""
    for part in path:
        mark, _, rest = part.partition(":")
        if mark == "f":
            text += f".{rest}"
        elif mark == "k":
            text += "[" + ",".join(f"{k}={_compact(v)}" for k, v in msgspec.json.decode(rest).items()) + "]"
        elif mark == "v":
            text += f"[={rest}]"
    return text


def record(old: Obj | None, new: Obj, *, manager: str, time: str, subresource: str = "", operation: str = "Update",
           unowned: Path = ()) -> list[Obj]:  # fmt: skip
    """The managedFields of ``new`` after ``manager`` made it from ``old`` by an update.

    What changed belongs to the manager alone, what vanished (and ``unowned``) to nobody, the rest to whom it belonged.
    """
    before, after = values_of(old) if old else {}, values_of(new)
    after.pop(unowned, None)
    changed = frozenset(path for path, value in after.items() if path not in before or before[path] != value)
    entries = list((old or {}).get("metadata", {}).get("managedFields") or [])
    result: list[Obj] = []
    mine: Fields = frozenset()
    for entry in entries:
        owned = set_of(entry.get("fieldsV1") or {})
        if _is(entry, manager, operation, subresource):
            mine = owned
            continue
        kept = frozenset(path for path in owned if path in after and (path not in changed or path[-1] == "."))
        if kept:
            result.append(entry if kept == owned else {**entry, "fieldsV1": tree_of(kept)})
    owned = frozenset(path for path in mine | changed if path in after)
    if owned:
        result.append(_entry(manager, operation, subresource, new["apiVersion"], time, owned))
    return result


def _is(entry: Obj, manager: str, operation: str, subresource: str) -> bool:
    return bool(entry["manager"] == manager and entry["operation"] == operation and entry.get("subresource", "") == subresource)


def _entry(manager: str, operation: str, subresource: str, api_version: str, time: str, fields: Fields) -> Obj:
    entry = {"manager": manager, "operation": operation, "apiVersion": api_version, "time": time, "fieldsType": "FieldsV1",
             "fieldsV1": tree_of(fields)}  # fmt: skip
    return {**entry, "subresource": subresource} if subresource else entry


def apply(live: Obj, applied: Obj, *, manager: str, time: str, force: bool) -> Obj:
    """Server-side apply (KEP-555): ``live`` with the applied configuration, its managedFields set.

    Raises ApplyConflict where another manager owns a field with another value and ``force`` is not set.
    """
    wanted, present = values_of(applied), values_of(live)
    entries = live["metadata"].get("managedFields") or []
    others = [(entry, set_of(entry.get("fieldsV1") or {})) for entry in entries if not _is(entry, manager, "Apply", "")]
    taken = {path for path, value in wanted.items() if path[-1] != "." and path in present and present[path] != value}
    conflicts = [(entry, dotted(path)) for entry, owned in others for path in sorted(owned & taken)]
    if conflicts and not force:
        raise ApplyConflict(conflicts)
    mine = next((set_of(e.get("fieldsV1") or {}) for e in entries if _is(e, manager, "Apply", "")), frozenset())
    elsewhere = frozenset[Path]().union(*(owned for _, owned in others))
    result: Obj = _without(live, mine - frozenset(wanted) - elsewhere)
    result = _overlay(result, {key: value for key, value in applied.items() if key != "metadata"}, ())
    given = {key: value for key, value in (applied.get("metadata") or {}).items() if key not in _UNOWNED_META}
    result["metadata"] = _overlay(result["metadata"], given, ("metadata",))
    kept = [(entry, owned - taken) for entry, owned in others]
    result["metadata"]["managedFields"] = [
        *(entry if owned == set_of(entry["fieldsV1"]) else {**entry, "fieldsV1": tree_of(owned)} for entry, owned in kept if owned),
        _entry(manager, "Apply", "", live["apiVersion"], time, frozenset(wanted)),
    ]
    return live if _timeless(result) == _timeless(live) else result


def _timeless(obj: Obj) -> Obj:
    """``obj`` without the times of its managers: applying the same again is no write."""
    entries = [{key: value for key, value in e.items() if key != "time"} for e in obj["metadata"].get("managedFields") or ()]
    order = sorted(entries, key=lambda e: (e["manager"], e["operation"], e.get("subresource", "")))
    return {**obj, "metadata": {**obj["metadata"], "managedFields": order}}


def _overlay(live: Any, applied: Any, names: Path) -> Any:
    if isinstance(applied, dict) and not is_atomic_map(names):
        result = dict(live) if isinstance(live, dict) else {}
        for key, value in applied.items():
            result[key] = _overlay(result.get(key), value, (*names, key))
        return result
    if isinstance(applied, list) and isinstance(live, list) and names:
        if keys := keys_of(names):
            return _overlay_items(live, applied, keys, names)
        if is_set(names):
            return [*live, *(item for item in applied if item not in live)]
    return applied


def _overlay_items(live: list[Obj], applied: list[Obj], keys: tuple[str, ...], names: Path) -> list[Obj]:
    result = list(live)
    for item in applied:
        identity = [item.get(key) for key in keys]
        at = next((i for i, old in enumerate(result) if [old.get(key) for key in keys] == identity), None)
        if at is None:
            result.append(item)
        else:
            result[at] = _overlay(result[at], item, names)
    return result


def _without(obj: Obj, fields: Fields) -> Obj:
    """``obj`` less the given leaves; an item of a keyed list goes with its keys, a mapping when nothing is left in it."""

    def prune(value: Any, path: Path, names: Path) -> Any:
        if isinstance(value, dict):
            kept = {}
            for key, item in value.items():
                below = (*path, f"f:{key}")
                if below in fields:
                    continue
                pruned = prune(item, below, (*names, key))
                if pruned not in ({}, []) or pruned == item:
                    kept[key] = pruned
            return kept
        if isinstance(value, list) and names and (keys := keys_of(names)):
            items = [(item, (*path, f"k:{_compact({k: item[k] for k in keys if k in item})}")) for item in value]
            return [prune(item, below, names) for item, below in items if (*below, ".") not in fields]
        if isinstance(value, list) and names and is_set(names):
            return [item for item in value if (*path, f"v:{_compact(item)}") not in fields]
        return value

    pruned: Obj = prune(obj, (), ())
    return {**pruned, "metadata": {**pruned.get("metadata", {}), **{k: v for k, v in obj["metadata"].items() if k in _UNOWNED_META}}}
