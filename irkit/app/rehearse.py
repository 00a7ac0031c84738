"""Rehearsing: the playbook of a compromised pod on the built-in cluster, then the proof and the post-mortem's draft."""

from __future__ import annotations

import msgspec

from irkit.app import report
from irkit.app.respond import Request, respond
from irkit.engine.result import RunResult
from irkit.model.incident import Reported
from irkit.ports import Ports

PLAYBOOK = "compromised-pod"


class Played(msgspec.Struct, frozen=True):
    """How it ended, and where the post-mortem's draft is; empty: there is none of a single phase."""

    result: RunResult
    report: str = ""


def request(suspect: tuple[str, str], patched: str, phase: str, *, keep_workload: bool) -> Request:
    """What a responder would type. ``patched``: the image without the hole, by digest."""
    namespace, pod = suspect
    return Request(command="respond", playbook=PLAYBOOK, phase=phase, target=pod, namespace=namespace, keep_workload=keep_workload,
                   parameters={"image": patched} if patched and not phase else {},
                   reported=Reported(by="monitoring@example.com", summary="a shell, and connections to an address nobody knows"))  # fmt: skip


def words(wanted: Request) -> str:
    """The same, to be read."""
    image = "".join(f" -p {name}={value}" for name, value in wanted.parameters.items())
    return f"irkit respond {wanted.playbook} {wanted.target} -n {wanted.namespace}" + (f" --phase {wanted.phase}" if wanted.phase else image)


def play(ports: Ports, wanted: Request) -> Played:
    result = respond(ports, wanted)
    if result.evidence is not None and result.evidence.bundle:
        result.next = f"irkit bundle verify {result.evidence.bundle}"
    if wanted.phase:
        return Played(result)
    return Played(result, report.write(ports.settings, ports.clock, result.incident)["html"])
