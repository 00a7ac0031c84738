"""The containers in a workload's template, and the change that gives them another image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from irkit.errors import UsageError
from irkit.model.changes import Patch
from irkit.model.edits import Edit, field_value, present
from irkit.model.image import parse, repository
from irkit.model.kube import CRONJOBS, DAEMONSETS, DEPLOYMENTS, STATEFULSETS, Obj, ObjectRef, Resource, at
from irkit.text import printable
from irkit.workloads.base import Workload
from irkit.workloads.shared import endings

_PATHS: Mapping[Resource, tuple[str, ...]] = {
    DEPLOYMENTS: ("spec", "template", "spec"), STATEFULSETS: ("spec", "template", "spec"), DAEMONSETS: ("spec", "template", "spec"),
    CRONJOBS: ("spec", "jobTemplate", "spec", "template", "spec"),
}  # fmt: skip
_LISTS = ("initContainers", "containers")


def changeable(ref: ObjectRef) -> bool:
    """Whether a change of its template brings new pods."""
    return ref.resource in _PATHS


def containers(ref: ObjectRef, obj: Obj) -> list[Obj]:
    """All containers of its template, init containers first. Raises UsageError where irkit can't change a template of this kind."""
    path = _PATHS.get(ref.resource)
    if path is None:
        raise UsageError(f"irkit can't change the image of a {printable(ref.kind)}: it is made anew from what deployed it",
                         next="deploy it from its source with the new image, then: irkit verify")  # fmt: skip
    return [c for name in _LISTS for c in at(obj, (*path, name)) or ()]


def chosen(ref: ObjectRef, obj: Obj, image: str, container: str) -> tuple[str, ...]:
    """Which containers get ``image``: the one that is named, or all that run another image of its repository.

    Raises UsageError where that does not say which.
    """
    found = containers(ref, obj)
    names = [str(c["name"]) for c in found]
    listed = ", ".join(printable(f"{c['name']} ({c.get('image', '')})", 200) for c in found)
    if container:
        if container not in names:
            raise UsageError(f"{ref} has no container {printable(container)!r}; it has {listed}")
        return (container,)
    wanted = parse(image).repository
    fitting = tuple(str(c["name"]) for c in found if repository(str(c.get("image", ""))) == wanted)
    if fitting:
        return fitting
    if len(found) == 1:
        return (names[0],)
    raise UsageError(f"none of the containers of {ref} runs an image of {printable(wanted)}: {listed}", next="name the one: --container NAME")


def redeploy(workload: Workload, image: str, names: Sequence[str]) -> Patch | None:
    """The change after which these containers have ``image``; None where they have it. Its pods end, if it has some."""
    ref, obj = workload.ref, workload.object
    edits = []
    for field in _LISTS:
        path = (*_PATHS[ref.resource], field)
        before = at(obj, path) or ()
        after = [{**c, "image": image} if c["name"] in names else c for c in before]
        if before and after != list(before):
            edits.append(Edit(path=path, before=field_value(obj, path), after=present(after)))
    if not edits:
        return None
    return Patch(ref=ref, edits=tuple(edits), action="redeploy", why=f"run {image}", pods=endings(workload.pods), forward=True)
