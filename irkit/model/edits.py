"""Fields of objects, before and after a change: a field that is not there is a value of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from irkit.model.kube import Obj, at


class Absent(msgspec.Struct, frozen=True, tag="absent"):
    """The field is not there; other than null or empty."""


class Present(msgspec.Struct, frozen=True, tag="present"):
    value: Any


FieldValue: TypeAlias = Absent | Present
ABSENT = Absent()


def present(value: Any) -> FieldValue:
    return Present(value)


def field_value(obj: Obj, path: Sequence[str]) -> FieldValue:
    """The field as it is now. Null counts as absent, as in a merge patch (RFC 7386)."""
    found = at(obj, path)
    return ABSENT if found is None else Present(found)


class Edit(msgspec.Struct, frozen=True):
    """One field, before and after."""

    path: tuple[str, ...]
    before: FieldValue
    after: FieldValue

    @property
    def inverse(self) -> Edit:
        return Edit(self.path, self.after, self.before)
