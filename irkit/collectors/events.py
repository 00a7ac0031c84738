"""What the cluster said about the pod, its owners and its node. Events are kept for an hour or so only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from irkit.collectors.base import Asker, Read, kept_list
from irkit.model.evidence import EVENTS_FILE, Artefact, Piece, Scope, event_time
from irkit.model.kube import EVENTS, Obj, ObjectRef, at
from irkit.ports import ClusterReader
from irkit.text import printable

_ALL = Read("list", EVENTS)
_OF_NODES = Read("list", EVENTS, "default")  # objects without a namespace have their events there


class Events:
    name = "events"
    volatility = 30
    reads = (_ALL, _OF_NODES)

    def collect(self, scope: Scope, cluster: ClusterReader, key: bytes) -> Iterator[Piece]:
        """All of the namespace, those of each pod beside it, and the suspect's as a table.

        One list serves all pods: the API server reads every event of a namespace for a field selector, too.
        """
        ask, ref = Asker(cluster, scope), scope.pod
        of_namespace, of_node = f"events of namespace {printable(ref.namespace)}", f"events of Node {printable(scope.node)}"
        every = ask.list(_ALL, of_namespace)
        on_node = ask.list(_OF_NODES, of_node, fields=_about_node(scope.node)) if scope.node else None
        if every is not None:
            about = sorted([*(e for e in every if _concerns(e, (ref, *scope.owners))), *(on_node or ())], key=event_time)
            if scope.suspect:
                yield Artefact((EVENTS_FILE,), lambda: _table(about), f"events of {ref}, as a table", of=ref.uid)
            yield kept_list(("pods", ref.namespace, ref.name, "events.json"), about, f"events of {ref}, its owners and its node", ref.uid)
            yield kept_list(("namespaces", ref.namespace, "events.json"), every, of_namespace)
        if on_node is not None:
            yield kept_list(("cluster", "nodes", scope.node, "events.json"), on_node, of_node)
        yield from ask.missing


def _about_node(name: str) -> str:
    value = name.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
    return f"involvedObject.kind=Node,involvedObject.name={value}"


def _concerns(event: Obj, refs: Sequence[ObjectRef]) -> bool:
    involved = event.get("involvedObject") or {}
    for ref in refs:
        if ref.uid and involved.get("uid"):
            if ref.uid == involved["uid"]:
                return True
        elif (involved.get("kind"), involved.get("name")) == (ref.kind, ref.name):
            return True
    return False


def _table(events: Sequence[Obj]) -> Iterator[bytes]:
    rows = [("TIME", "TYPE", "REASON", "OBJECT", "COUNT", "FROM", "MESSAGE"), *map(_row, events)]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for row in rows:
        yield ("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[6]]) + "\n").encode()
    if not events:
        yield b"(none; a cluster usually keeps events for an hour)\n"


def _row(event: Obj) -> tuple[str, ...]:
    involved = event.get("involvedObject") or {}
    source = at(event, ("source", "component")) or event.get("reportingComponent") or ""
    count = at(event, ("series", "count")) or event.get("count") or 1
    cells = (event_time(event) or "unknown", event.get("type") or "", event.get("reason") or "",
             f"{involved.get('kind', '')}/{involved.get('name', '')}", count, source)  # fmt: skip
    return (*(printable(cell, 120) for cell in cells), printable(event.get("message") or "", 8000))
