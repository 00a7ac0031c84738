"""One value, several readers: which other ExternalSecrets read what a Secret in scope is filled from.

Whoever has one copy of a value has them all, and a new one reaches every copy at its next refresh. So the others of the
same namespaces are in scope as well, with the class of those that say one; those of other namespaces are told of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from irkit.credentials import external
from irkit.credentials.classes import Verdict
from irkit.credentials.look import EXTERNALSECRETS, Look
from irkit.credentials.sources import Sources
from irkit.model.credential import Source
from irkit.model.kube import Obj, at, ref_of
from irkit.text import printable

Place: TypeAlias = tuple[str, ...]
"""An entry: the Vault's address and namespace, mount and path; of another provider, its store and path."""

Value: TypeAlias = tuple[Place, str]
"""A property of an entry; empty: the whole entry as one text."""


class Copy(NamedTuple):
    """One key of a Secret that holds a value of an entry."""

    namespace: str
    name: str
    key: str
    why: str  # it is one: for people


def value_of(source: Source, key: str) -> Value | None:
    """What fills this key; None where that is not known, or nothing that others could read, too."""
    if source.kind != "external-secret" or not source.path:
        return None
    place: Place = (source.server, source.namespace, source.mount, source.path)
    if source.provider != "vault":
        store = source.store
        place = (store.kind, store.namespace, store.name, source.path) if store else ("", source.path)
    return place, source.properties.get(key, key if source.whole else "")


def same(one: Value, other: Value) -> bool:
    """Whether who has the one has the other: the same property, or the whole entry."""
    return one[0] == other[0] and (one[1] == other[1] or not (one[1] and other[1]))


class Sharing:
    """The values that some keys are filled from, and who else reads them."""

    def __init__(self, look: Look, sources: Sources, secrets: Mapping[tuple[str, str], Obj]) -> None:
        self._look, self._sources, self._secrets = look, sources, secrets
        self._wanted: dict[Place, dict[str, str]] = {}  # property → the Secret by which it is in scope
        self._said: dict[Value, dict[tuple[str, str, str], tuple[str, Verdict]]] = {}
        self._foreign: list[tuple[str, list[Value]]] | None = None

    def want(self, secret: Obj, keys: Iterable[str]) -> None:
        """These keys are in scope."""
        for key in keys:
            if value := value_of(self._sources.of(secret, key), key):
                self._wanted.setdefault(value[0], {}).setdefault(value[1], _name(secret))

    def copies(self) -> Iterator[Copy]:
        """Every key in the namespaces that were read which holds one of those values, those in scope among them."""
        if not self._wanted:
            return
        for (namespace, name), secret in self._secrets.items():
            writer = self._sources.writer(secret)
            if writer is None or not self._near(writer):
                continue
            for key in at(secret, ("data",), {}):
                value = value_of(self._sources.of(secret, key), key)
                if value and (first := self._first(value)):
                    yield Copy(namespace, name, key, printable(f"filled from the same entry as Secret {first}: {'/'.join(value[0][-2:])}", 600))

    def note(self, source: Source, key: str, whose: str, verdict: Verdict) -> None:
        """What is said of the class of one copy."""
        if verdict.said and (value := value_of(source, key)):
            self._said.setdefault(value, {}).setdefault((verdict.cls, verdict.database, verdict.command), (whose, verdict))

    def agreed(self, source: Source, key: str, verdict: Verdict) -> Verdict:
        """The class of a value by all of its copies: where they contradict each other it is a human's."""
        value = value_of(source, key)
        said = list(self._said.get(value, {}).values()) if value else []
        if len(said) > 1:
            (one, first), (other, second) = said[:2]
            return Verdict("manual", f"{one} says {_class(first)} and {other} says {_class(second)}, of one value: one of them is wrong")
        if said and not verdict.said:
            whose, found = said[0]
            return found._replace(why=f"as {whose}, which has the same value: {found.why}")
        return verdict

    def readers(self, source: Source, keys: Iterable[str]) -> tuple[str, ...]:
        """The ExternalSecrets of namespaces that were not read which fetch one of these keys' values; none in a narrow look."""
        values = [v for key in keys if (v := value_of(source, key))]
        if not values or self._look.narrow:
            return ()
        if self._foreign is None:
            self._foreign = list(self._elsewhere())
        return tuple(who for who, theirs in self._foreign if any(same(v, t) for v in values for t in theirs))

    def _elsewhere(self) -> Iterator[tuple[str, list[Value]]]:
        found = [e for e in self._look.everywhere(*EXTERNALSECRETS)
                 if at(e, ("metadata", "namespace"), "") not in self._sources.here and self._near(e)]  # fmt: skip
        stores = external.Stores(self._look, frozenset(at(e, ("metadata", "namespace"), "") for e in found)) if found else None
        for one in found:
            assert stores is not None
            keys = {*external.names_of(one), *(prop for props in self._wanted.values() for prop in props if prop)}
            values = [v for key in keys if (v := value_of(external.source_of(one, key, stores, self._look), key))]
            yield printable(ref_of(one, EXTERNALSECRETS[0])), values

    def _near(self, writer: Obj) -> bool:
        """Whether it reads anything by one of those names: the rest need not be looked at closely."""
        last = {place[-1].rpartition("/")[2] for place in self._wanted}
        return any(entry.strip("/").rpartition("/")[2] in last for entry in external.entries_of(writer))

    def _first(self, value: Value) -> str:
        props = self._wanted.get(value[0], {})
        return next((name for prop, name in props.items() if same(value, (value[0], prop))), "")


def _name(secret: Obj) -> str:
    return f"{at(secret, ('metadata', 'namespace'), '')}/{at(secret, ('metadata', 'name'), '')}"


def _class(verdict: Verdict) -> str:
    return f"{verdict.cls} {verdict.database}".strip()
