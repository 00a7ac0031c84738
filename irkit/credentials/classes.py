"""Of which class a key is: as an annotation says, as the settings say, or as follows from what owns the Secret. Never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple, cast

import msgspec

from irkit.credentials.reach import TOKEN_TYPE
from irkit.model.credential import CLASS_ANNOTATION, CLASSES, DATABASE_ANNOTATION, Class, Source
from irkit.model.kube import Obj, ObjectRef, annotations_of
from irkit.settings.rotation import ClassRule
from irkit.text import nearest, printable

# Types whose maker follows from the API (core/v1 SecretType).
_TYPES: dict[str, tuple[Class, str]] = {
    TOKEN_TYPE: ("token", "the cluster's own token, by its type"),
    "kubernetes.io/dockerconfigjson": ("issuer-made", "a registry's login, by its type"),
    "kubernetes.io/dockercfg": ("issuer-made", "a registry's login, by its type"),
}


class Verdict(NamedTuple):
    """``why`` says where the class was read, or why it is not known; ``said``: somebody says it."""

    cls: Class
    why: str
    database: str = ""
    command: str = ""
    said: bool = True


def rule_of(ref: ObjectRef, key: str, rules: Sequence[ClassRule]) -> ClassRule | None:
    """The first rule of the settings that fits."""
    return next((r for r in rules if all(fnmatchcase(have, want) for have, want in (
        (ref.namespace, r.namespace), (ref.name, r.name), (key, r.key)))), None)  # fmt: skip


def classify(ref: ObjectRef, key: str, type_: str, marked: Sequence[Obj], source: Source, rules: Sequence[ClassRule]) -> Verdict:
    """The class of one key. ``marked``: the objects whose annotations count, the Secret before its ExternalSecret.

    Whoever may write an annotation may be the attacker: one that says ``generated`` does not have random characters written over
    what the settings, or the Secret's type, say somebody else makes. The other way round it is believed: a human is asked.
    """
    rule = rule_of(ref, key, rules)
    found = next((v for obj in marked if (v := _annotated(obj, key))), None)
    known = rule.cls if rule else _TYPES[type_][0] if type_ in _TYPES else "generated"
    if found is not None and found.cls == "generated" and known != "generated":
        found = Verdict("manual", f"{found.why} says generated, and {'the settings say' if rule else 'its type says'} {known}: one of them is wrong")
    if found is None and rule is not None:
        found = Verdict(rule.cls, "settings: rotation.classes")
    if found is None:
        found = _owned(type_, source)
    name = next((n for obj in marked if isinstance(n := annotations_of(obj).get(DATABASE_ANNOTATION), str)), "")
    database = (name or (rule.database if rule else "")) if found.cls == "database" else ""
    return found._replace(database=database, command=rule.command if rule else "")


def _annotated(obj: Obj, key: str) -> Verdict | None:
    """What ``irkit.dev/rotation`` says of a key; None where it says nothing. One that is not understood is manual, with the reason."""
    text = annotations_of(obj).get(CLASS_ANNOTATION)
    if text is None:
        return None
    where = f"annotation {CLASS_ANNOTATION} of the {obj.get('kind', 'Secret')}"
    if text in CLASSES:
        return Verdict(cast("Class", text), where)
    if not text.lstrip().startswith("{"):
        return _wrong(where, text)
    classes = _map(text)
    if classes is None:
        return Verdict("manual", f"{where} is no JSON map from key to class")
    if key not in classes:
        return None
    return Verdict(cast("Class", classes[key]), where) if classes[key] in CLASSES else _wrong(where, classes[key])


@lru_cache(maxsize=4)
def _map(text: str) -> dict[str, str] | None:
    """From key to class. Kept for a moment: it is asked for every key of a Secret, and an attacker may have both large."""
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return None


@lru_cache(maxsize=64)
def _wrong(where: str, text: str) -> Verdict:
    near = nearest(text, CLASSES)
    hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(CLASSES)}"
    return Verdict("manual", f"{where} says '{printable(text, 60)}', which is no class; {hint}")


def _owned(type_: str, source: Source) -> Verdict:
    if source.kind == "certificate":
        return Verdict("certificate", f"made by {source.certificate}")
    if source.kind == "service-account":
        return Verdict("token", "the cluster's own token")
    if type_ in _TYPES:
        return Verdict(*_TYPES[type_])
    if type_ == "helm.sh/release.v1":
        return Verdict("manual", "Helm's record of a release, with the values that it was given: change what these hold")
    return Verdict(
        "manual", f"nothing says who makes it: annotation {CLASS_ANNOTATION} of the Secret, or rotation.classes in the settings", said=False
    )
