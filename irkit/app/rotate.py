"""Rotating on command: the playbook that the flags of `irkit rotate` mean, run like any other, resumable like any other."""

from __future__ import annotations

import json
from typing import Literal

import msgspec

from irkit import API_VERSION
from irkit.app.respond import Request, respond
from irkit.engine import loader
from irkit.engine.result import RunResult
from irkit.errors import UsageError
from irkit.model.playbook import Playbook
from irkit.ports import Ports

Scope = Literal["pod", "workload", "namespace"]
_TARGETS = {"pod": ("pod", "${pod}"), "workload": ("pod", "${pod.siblings}"), "namespace": ("namespace", "")}
_OF_OWNER = ("workload", "${workload.pods}")  # the workload itself was named, and not one pod of it


class Wish(msgspec.Struct, frozen=True):
    """What to rotate, and how. ``scope``: what the pod could reach, what any pod of its workload could, or all of the namespace."""

    scope: Scope = "pod"
    revoke_first: bool = False
    include: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()  # only these, by name
    timeout: str = "10m"


def rotate(ports: Ports, wish: Wish, request: Request) -> RunResult:
    """Rotate all credentials in scope. Raises UsageError where scope and target do not go together."""
    named = bool(request.target or request.selector)
    if named == (wish.scope == "namespace"):
        raise UsageError("--scope namespace takes no TARGET: it rotates all Secrets of the namespace" if named
                         else f"--scope {wish.scope} needs a TARGET: the pod whose credentials are to be rotated",
                         next="irkit rotate POD -n NAMESPACE, or: irkit rotate --scope namespace -n NAMESPACE")  # fmt: skip
    if wish.secrets and named:
        raise UsageError("--secret goes with --scope namespace: of a TARGET, all that it could reach is rotated",
                         next="irkit rotate --scope namespace --secret NAME -n NAMESPACE")  # fmt: skip
    by_owner = wish.scope == "workload" and of_owner(request.target)
    return respond(ports, msgspec.structs.replace(request, command="rotate", given=playbook(wish, by_owner=by_owner)))


def of_owner(target: str | None) -> bool:
    """Whether a TARGET names a workload, as in ``deployment/web``, and so all of its pods."""
    kind, slash, _ = (target or "").partition("/")
    return bool(slash) and kind.lower() not in ("po", "pod", "pods")


def playbook(wish: Wish, *, by_owner: bool = False) -> Playbook:
    """The playbook with one step that these flags mean. ``by_owner``: the target is the workload, not a pod of it."""
    kind, pods = _OF_OWNER if by_owner else _TARGETS[wish.scope]
    arguments = {"pods": pods, "secrets": list(wish.secrets), "include": list(wish.include), "revoke-first": wish.revoke_first}
    written = json.dumps({k: v for k, v in arguments.items() if v}, ensure_ascii=True)
    source = "\n".join([
        f"apiVersion: {API_VERSION}", "kind: Playbook",
        f"metadata: {{name: rotate, title: Rotate credentials of a {wish.scope}, severity: high, runbook: rotate.md}}",
        f"parameters: {{{kind}: {{type: {kind}, required: true}}}}",
        "phases:", "  eradication:", f"    - {{id: rotate, step: rotate, timeout: {wish.timeout}, with: {written}}}", "",
    ])  # fmt: skip
    return loader.loads(source.encode(), "rotate.yaml", runbooks=None)
