"""Lists over all their pages (Kubernetes docs, "API Concepts: Retrieving large results sets in chunks")."""

from __future__ import annotations

from irkit.adapters.client import Client, Query
from irkit.errors import GoneError
from irkit.model.kube import Obj, Resource

PAGE = 500
_RESTARTS = 3  # of a list whose continuation has expired; then it is asked for in one piece


def listed(client: Client, resource: Resource, namespace: str | None, query: Query, page: int = PAGE) -> tuple[list[Obj], str]:
    """All objects, each with apiVersion and kind, and the resourceVersion that a watch can go on from."""
    for _ in range(_RESTARTS):
        try:
            return _pages(client, resource, namespace, {**query, "limit": page})
        except GoneError:  # what was read so far is of an older state: begin anew
            continue
    return _pages(client, resource, namespace, query)


def _pages(client: Client, resource: Resource, namespace: str | None, query: Query) -> tuple[list[Obj], str]:
    objects: list[Obj] = []
    onwards: dict[str, str] = {}
    named = {"apiVersion": resource.api_version, "kind": resource.kind}
    while True:
        page = client.get(resource.path(namespace), {**query, **onwards})
        objects.extend({**named, **item} for item in page.get("items") or ())
        meta = page.get("metadata") or {}
        if not meta.get("continue"):
            return objects, str(meta.get("resourceVersion", ""))
        onwards = {"continue": meta["continue"]}
