"""Whether a cluster may be played on: nothing may say that it is production, and not many may be at work there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from irkit.errors import ForbiddenError, RefusedError
from irkit.model.kube import NAMESPACES, NODES, PODS, Obj, Resource, at, labels_of
from irkit.ports import ClusterReader
from irkit.text import plural, printable

WORDS = frozenset({"prod", "prods", "prd", "live", "production"})
"""What says production, as a word of a name or as the value of a label."""
NODES_AT_MOST, PODS_AT_MOST = 10, 150
"""A cluster with more, outside its own namespaces, is at work for many: `--really` says that it is known."""
_GLUED = re.compile(r"prod(?!u|i)[a-z0-9]*|(?!(?:non|pre|re)prod)[a-z0-9]+prod|[a-z0-9]*(?<!non)(?<!pre)(?<!re)production[a-z0-9]*")
"""The word with others written against it: ``eksprod``, ``prodeu``; not a product, and no ``preprod``."""
_PARTS = re.compile(r"[^a-z0-9]+")
_OWN = ("kube-", "irkit-")


def says_production(name: str) -> bool:
    """Whether one of the words in a name is production's, numbers at its end left out; ``non-prod`` says that it is not."""
    parts = [part.rstrip("0123456789") for part in _PARTS.split(_spaced(name).lower())]
    return any((part in WORDS or _GLUED.fullmatch(part)) and parts[n - 1 : n] != ["non"] for n, part in enumerate(parts))


def _spaced(name: str) -> str:
    """``myProd`` is two words."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name)


def check_names(names: Mapping[str, str]) -> None:
    """By what is known without asking the cluster: ``names`` of the context, of the cluster and so on. Raises RefusedError."""
    _refuse(f"the {what} is called {printable(name, 120)}" for what, name in names.items() if says_production(name))


def check_cluster(cluster: ClusterReader, *, really: bool) -> None:
    """By what is there. ``really``: size, and what may not be looked at, are no reason. Raises RefusedError."""
    unknown: list[str] = []
    namespaces, nodes = (_listed(resource, cluster, unknown) for resource in (NAMESPACES, NODES))
    _refuse((*_signs("namespace", namespaces), *_signs("node", nodes)))
    if really:
        return
    if unknown:
        raise RefusedError(f"you may not list {' and '.join(unknown)}, so whether this is production is not known; nothing was made",
                           next="the same command with --really, where you know that it is not")  # fmt: skip
    size = f"{plural(len(nodes), 'node')}, which is more than {NODES_AT_MOST}" if len(nodes) > NODES_AT_MOST else _busy(cluster)
    if size:
        raise RefusedError(f"this cluster has {size}: that looks like one that many depend on; nothing was made",
                           next="the same command with --really, where you know that nobody does")  # fmt: skip


def _listed(resource: Resource, cluster: ClusterReader, unknown: list[str]) -> Sequence[Obj]:
    try:
        return cluster.list(resource)
    except ForbiddenError:
        unknown.append(resource.plural)
        return ()


def _signs(what: str, objects: Iterable[Obj]) -> Iterator[str]:
    for obj in objects:
        name = str(at(obj, ("metadata", "name"), ""))
        if says_production(name):
            yield f"there is a {what} {printable(name, 120)}"
        for key, value in labels_of(obj).items():
            if _label_says(str(key), str(value)):
                yield f"{what} {printable(name, 120)} has the label {printable(f'{key}={value}', 160)}"


def _label_says(key: str, value: str) -> bool:
    """``environment=production``, ``tier=prod-eu``, ``example.com/production=true``."""
    last = key.rpartition("/")[2].lower()
    if last in WORDS:
        return value.lower() not in ("false", "no", "0")
    if key.endswith("kubernetes.io/metadata.name"):
        return False  # the name itself
    about_it = {"env", "environment", "stage", "tier", "lifecycle", "landscape"} & set(_PARTS.split(last))
    return says_production(value) if about_it else value.lower() in WORDS


def _busy(cluster: ClusterReader) -> str:
    try:
        pods = [p for p in cluster.list(PODS, fields="status.phase=Running") if not str(p["metadata"].get("namespace", "")).startswith(_OWN)]
    except ForbiddenError:
        raise RefusedError("you may not list pods, so how many depend on this cluster is not known; nothing was made",
                           next="the same command with --really, where you know that nobody does") from None  # fmt: skip
    return f"{plural(len(pods), 'pod')} at work, which is more than {PODS_AT_MOST}" if len(pods) > PODS_AT_MOST else ""


def _refuse(signs: Iterable[str]) -> None:
    found = list(signs)
    if found:
        more = f", and {len(found) - 1} more such signs" if len(found) > 1 else ""
        raise RefusedError(f"this looks like production: {found[0]}{more}; nothing was made", next="irkit rehearse, on the built-in cluster")
