"""A real control plane as a stage: the same goals are asked of it as of the rehearsal cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from irkit.model.kube import Obj, ObjectRef, Resource
from irkit.stage import by_person
from tests.controlplane.running import Running


class PlaneStage:
    """Looks with kubectl. Nothing is done behind anybody's back here, and there is no Vault and no database."""

    def __init__(self, plane: Running, suspect: tuple[str, str], patched: str) -> None:
        self._plane, self._suspect, self._patched = plane, suspect, patched
        self._since, self._version = plane.mark(), 0

    @property
    def suspect(self) -> tuple[str, str]:
        return self._suspect

    def cast(self, namespace: str, name: str) -> None:
        self._suspect = (namespace, name)

    @property
    def images(self) -> Mapping[str, str]:
        return {"patched": self._patched}

    @property
    def environment(self) -> Mapping[str, str]:
        return {"KUBECONFIG": str(self._plane.admin_kubeconfig)}

    @property
    def asked(self) -> Sequence[Obj]:
        return self._plane.audit(self._since)

    def plays(self, event: Obj) -> bool:
        return by_person(event)

    @property
    def version(self) -> int:
        self._version += 1  # it may have changed
        return self._version

    def now(self) -> datetime:
        return datetime.now(UTC)

    def objects(self, resource: Resource, namespace: str | None = None) -> Sequence[Obj]:
        where = ["-n", namespace] if namespace else ["-A"] if resource.namespaced else []
        items: list[Obj] = self._plane.get(_kind(resource), *where)["items"]
        return items

    def find(self, ref: ObjectRef) -> Obj | None:
        where = ["-n", ref.namespace] if ref.namespace else []
        found = self._plane.get(_kind(ref.resource), *where, f"--field-selector=metadata.name={ref.name}")["items"]
        return next((o for o in found if ref.uid in ("", o["metadata"]["uid"])), None)

    def kinds(self) -> dict[str, Resource]:
        return {}

    def entry(self, path: str) -> Mapping[str, object]:
        return {}

    def accepts(self, role: str, password: str) -> bool:
        return False

    def fill(self, path: str, properties: Mapping[str, str]) -> None:
        return None

    def put(self, obj: Obj) -> None:
        self._plane.apply(obj)

    def change(self, ref: ObjectRef, body: Obj) -> bool:
        return False

    def end(self, ref: ObjectRef) -> bool:
        return False

    def say(self, namespace: str, pod: str, text: str) -> bool:
        return False

    def crash(self, namespace: str, pod: str) -> bool:
        return False

    def steal(self, namespace: str, account: str, pod: str = "") -> str:
        return ""

    def use(self, token: str, method: str, path: str, body: Obj | None = None) -> int:
        return 401

    def seal(self, sealed: bool) -> None:
        return None


def _kind(resource: Resource) -> str:
    return f"{resource.plural}.{resource.version}.{resource.group}" if resource.group else resource.plural
