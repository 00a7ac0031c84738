"""Strategic merge patch: merge patch, but lists of keyed items merge by key.

As `strategicpatch.StrategicMergePatch` (apimachinery): the directives ``$patch: delete | replace | merge``,
``$retainKeys``, ``$deleteFromPrimitiveList/FIELD`` and ``$setElementOrder/FIELD``.
"""

from __future__ import annotations

from typing import Any

from irkit.model.kube import Obj
from irkit.sandbox.patches.schema import Path, is_set, keys_of

_DELETE, _ORDER = "$deleteFromPrimitiveList/", "$setElementOrder/"


def strategic_merge(target: Obj, patch: Obj) -> Obj:
    """``target`` with ``patch`` merged in; neither is changed."""
    return _object(target, patch, ())


def _object(target: Any, patch: Obj, path: Path) -> Obj:
    directive = patch.get("$patch")
    plain = {key: value for key, value in patch.items() if not key.startswith("$")}
    if directive == "delete":
        return {}
    result: Obj = dict(target) if isinstance(target, dict) and directive != "replace" else {}
    if "$retainKeys" in patch:
        result = {key: value for key, value in result.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key.startswith(_DELETE):
            field = key.removeprefix(_DELETE)
            result[field] = [item for item in result.get(field) or [] if item not in value]
    for key, value in plain.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _value(result.get(key), value, (*path, key))
    for key, order in patch.items():
        field = key.removeprefix(_ORDER)
        if key.startswith(_ORDER) and isinstance(result.get(field), list):
            result[field] = _ordered(result[field], order, (*path, field))
    return result


def _value(target: Any, patch: Any, path: Path) -> Any:
    if isinstance(patch, dict):
        return _object(target, patch, path)
    if isinstance(patch, list):
        existing = target if isinstance(target, list) else []
        if is_set(path):
            return [*existing, *(item for item in patch if item not in existing)]
        if keys := keys_of(path):
            return _keyed(existing, patch, keys[0], path)
    return patch


def _keyed(existing: list[Obj], patch: list[Obj], key: str, path: Path) -> list[Obj]:
    if any(item.get("$patch") == "replace" and key not in item for item in patch):
        return [item for item in patch if "$patch" not in item]
    result = list(existing)
    for item in patch:
        at = next((i for i, old in enumerate(result) if old.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            result = [old for old in result if old.get(key) != item.get(key)]
        elif at is None:
            result.append(_object({}, item, path))
        else:
            result[at] = _object(result[at], item, path)
    return result


def _ordered(items: list[Any], order: list[Any], path: Path) -> list[Any]:
    """``items`` in the patch's order; those it does not name keep their places behind the item before them."""
    keys = keys_of(path)
    wanted = [item.get(keys[0]) if keys and isinstance(item, dict) else item for item in order]
    named = [item.get(keys[0]) if keys and isinstance(item, dict) else item for item in items]
    ranks: list[tuple[int, int]] = []
    last = -1
    for place, name in enumerate(named):
        last = wanted.index(name) if name in wanted else last
        ranks.append((last, place))
    return [items[place] for _, place in sorted(ranks)]
