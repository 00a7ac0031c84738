"""What a kind of evidence is. A collector yields pieces lazily; nothing is read before its piece is asked for.

Each collector declares its reads once, as `Read` values, and can ask the cluster only with one of them: what it does,
what preflight asks for and what `playbook rbac` prints can't differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from irkit.errors import ApiError, ForbiddenError, IrkitError, LoginError, NotFoundError, passing
from irkit.model.evidence import Artefact, Missing, Piece, Scope
from irkit.model.kube import PODS, Obj, ObjectRef, Permission, Resource, at, permission
from irkit.ports import ClusterReader

if TYPE_CHECKING:
    import yaml


@dataclass(frozen=True, slots=True)
class Read:
    """One kind of read, and where: in the pod's namespace, everywhere, or in namespace ``default`` (events of nodes)."""

    verb: Literal["get", "list"]
    resource: Resource
    where: Literal["namespace", "everywhere", "default"] = "namespace"
    subresource: str = ""

    def permission(self, namespace: str) -> Permission:
        """The right that it needs, for a pod in ``namespace``."""
        place = {"namespace": namespace, "everywhere": "", "default": "default"}[self.where]
        return permission(self.verb, self.resource, place, subresource=self.subresource)


GET_POD, LIST_PODS = Read("get", PODS), Read("list", PODS)


class Collector(Protocol):
    @property
    def name(self) -> str:
        """As in ``take: [...]``."""

    @property
    def volatility(self) -> int:
        """Order of volatility (RFC 3227): the lowest is taken first."""

    @property
    def reads(self) -> tuple[Read, ...]:
        """Everything that it may ask the cluster."""

    def collect(self, scope: Scope, cluster: ClusterReader, key: bytes) -> Iterator[Piece]:
        """Artefacts and gaps of one pod. ``key``: for the HMACs of Secret values. Raises IrkitError only for the whole."""


class Asker:
    """Asks the cluster for one pod's evidence, and remembers as ``missing`` what it was not told."""

    def __init__(self, cluster: ClusterReader, scope: Scope) -> None:
        self._cluster, self._scope = cluster, scope
        self.missing: list[Missing] = []

    def list(self, read: Read, what: str, *, fields: str = "", instead: Read | None = None) -> Sequence[Obj] | None:
        """All objects; none where the cluster does not serve the resource; None where it did not answer.

        ``instead``: what is asked where all namespaces may not be read; that of the others is then a gap.
        """
        namespace = {"namespace": self._scope.pod.namespace, "everywhere": None, "default": "default"}[read.where]
        try:
            return self._cluster.list(read.resource, namespace, fields=fields)
        except NotFoundError:
            return ()
        except LoginError as error:  # no matter of which namespaces
            self.missing.append(missing(what, error))
            return None
        except ForbiddenError as error:
            self.missing.append(missing(f"{what}, from other namespaces" if instead else what, error))
        except IrkitError as error:
            self.missing.append(missing(what, error))
            return None
        return self.list(instead, what, fields=fields) if instead else None

    def get(self, read: Read, name: str, what: str, *, optional: bool = False) -> Obj | None:
        """One object of the pod's namespace, or of the cluster; None where it was not got."""
        namespace = self._scope.pod.namespace if read.resource.namespaced else ""
        return self.object(ObjectRef(resource=read.resource, name=name, namespace=namespace), what, optional=optional)

    def object(self, ref: ObjectRef, what: str, *, optional: bool = False) -> Obj | None:
        """That very object: one that took its name is none."""
        try:
            found = self._cluster.get(ref)
        except NotFoundError as error:
            if not optional:
                self.missing.append(missing(what, error))
            return None
        except IrkitError as error:
            self.missing.append(missing(what, error))
            return None
        return found if self._same(ref, found, what) else None

    def pod(self) -> Obj | None:
        """The pod as it is now: the suspect by itself, siblings out of one list."""
        ref, what = self._scope.pod, f"{self._scope.pod}"
        if self._scope.suspect and not ref.uid:  # whatever has its name now is another one
            self.missing.append(Missing(what, "it was gone before this incident began"))
            return None
        if self._scope.suspect:
            return self.object(ref, what)
        pods = self.list(LIST_PODS, what)
        if pods is None:
            return None
        found = next((p for p in pods if at(p, ("metadata", "name")) == ref.name), None)
        if found is None:
            self.missing.append(Missing(what, "it is gone"))
            return None
        return found if self._same(ref, found, what) else None

    def _same(self, ref: ObjectRef, found: Obj, what: str) -> bool:
        uid = at(found, ("metadata", "uid"))
        if ref.uid and uid and uid != ref.uid:
            self.missing.append(Missing(what, f"it is gone; another of the same name took its place (uid {uid})"))
            return False
        return True


def missing(what: str, error: IrkitError) -> Missing:
    """A gap with its reason."""
    return Missing(what, error.message, transient=passing(error))


def place(ref: ObjectRef) -> tuple[str, ...]:
    """Where an object is kept: ``namespaces/NS/<plural>/<name>.json`` or ``cluster/<plural>/<name>.json``."""
    group = ref.resource.group
    kind = f"{ref.resource.plural}.{group}" if "." in group and not group.endswith(".k8s.io") else ref.resource.plural
    return (*(("namespaces", ref.namespace) if ref.namespace else ("cluster",)), kind, f"{ref.name}.json")


def pod_file(ref: ObjectRef, pod: Obj) -> Artefact:
    """The whole object, status and all. Yielded by whoever needs it: the same path is kept once."""
    return Artefact(("pods", ref.namespace, ref.name, "pod.json"), lambda: iter((indented(pod),)), str(ref), of=ref.uid)


def kept(obj: Obj, resource: Resource, what: str = "") -> Artefact:
    """One object as it was read, indented."""
    name, namespace = at(obj, ("metadata", "name"), ""), at(obj, ("metadata", "namespace"), "")
    ref = ObjectRef(resource=resource, name=name, namespace=namespace)
    return Artefact(place(ref), lambda: iter((indented(obj),)), what or str(ref), of=at(obj, ("metadata", "uid"), ""))


def kept_list(path: tuple[str, ...], objects: Sequence[Obj], what: str, of: str = "") -> Artefact:
    """A ``List``, one object a line, that kubectl reads, too."""
    return Artefact(path, lambda: _list(objects), what, of=of)


def _list(objects: Sequence[Obj]) -> Iterator[bytes]:
    yield b'{"apiVersion":"v1","kind":"List","items":['
    for number, obj in enumerate(objects):
        yield (b",\n" if number else b"\n") + compact(obj)
    yield b"\n]}\n"


def compact(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate, which JSON may hold and UTF-8 may not
        import json

        return json.dumps(value, separators=(",", ":")).encode()


def indented(value: object) -> bytes:
    try:
        return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
    except UnicodeEncodeError:  # as above; msgspec can't read such an escape back either
        import json

        return json.dumps(value, indent=1).encode() + b"\n"


def yaml_of(obj: Obj) -> bytes:
    """YAML in which every string that is not plainly a word is quoted, control characters escaped: safe to read and show."""
    import yaml

    try:
        return yaml.dump(obj, Dumper=_dumper(), sort_keys=False, width=1 << 20, default_flow_style=False, encoding="utf-8")
    except UnicodeEncodeError:
        return indented(obj)  # JSON is YAML; a lone surrogate fits in no YAML file but as an escape of JSON


@cache
def _dumper() -> type[yaml.SafeDumper]:
    import re

    import yaml

    class Quoting(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def ignore_aliases(self, data: object) -> bool:
            return True

    word = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*\Z")
    special = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
        plain = word.match(value) and value.lower() not in special
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')

    represent: Callable[..., None] = Quoting.add_representer
    represent(str, text)
    return Quoting


def refused(message: str) -> ApiError:
    """What a source said in place of evidence."""
    return ApiError(message, status=400)
