"""The pod as it is: container states, restarts, addresses. What changes first is taken first."""

from __future__ import annotations

from collections.abc import Iterator

from irkit.collectors.base import GET_POD, LIST_PODS, Asker, pod_file, yaml_of
from irkit.model.evidence import POD_FILE, Artefact, Piece, Scope
from irkit.ports import ClusterReader


class State:
    name = "state"
    volatility = 10
    reads = (GET_POD, LIST_PODS)

    def collect(self, scope: Scope, cluster: ClusterReader, key: bytes) -> Iterator[Piece]:
        """``pods/NS/POD/pod.json`` as received; the suspect's also as YAML, under the name that people look for."""
        ask = Asker(cluster, scope)
        if pod := ask.pod():
            ref = scope.pod
            yield pod_file(ref, pod)
            if scope.suspect:
                yield Artefact((POD_FILE,), lambda: iter((yaml_of(pod),)), f"{ref}, as YAML", of=ref.uid)
        yield from ask.missing
