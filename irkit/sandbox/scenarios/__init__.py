"""What rehearsals are about: each scenario fills an empty cluster with a past, an application, and an attack on one pod."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from irkit.errors import UsageError
from irkit.sandbox.logs import Logs
from irkit.sandbox.store import Store
from irkit.sandbox.vault import Vault
from irkit.text import nearest, printable


@dataclass(frozen=True, slots=True)
class Scenario:
    """``suspect``: namespace and name of the pod under attack. ``leaks``: whether a planted policy keeps a path open.

    ``databases`` are as in irkit's settings. ``images``, by digest: ``patched`` is what the suspect's workload should run, ``broken`` never
    becomes ready, ``missing`` can't be pulled.
    """

    name: str
    title: str
    seed: int
    suspect: tuple[str, str]
    leaks: bool = False
    databases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)


Settle = Callable[[], None]
NAMES = ("todo-app", "empty")


def load(name: str, seed: int, store: Store, logs: Logs, vault: Vault, settle: Settle) -> Scenario:
    """Fill ``store``, ``logs`` and ``vault``. Raises UsageError where there is no such scenario."""
    from irkit.sandbox.scenarios import cluster, todo_app

    vault.mount("secret", "kv", "2")  # as a Vault in development has it
    match name:
        case "todo-app":
            return todo_app.build(seed, store, logs, vault, settle)
        case "empty":
            cluster.build(store, settle)
            return Scenario("empty", "A cluster without an application", seed, ("default", ""))
    near = nearest(name, NAMES)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"no scenario {printable(name)!r}{hint}", next=f"one of: {', '.join(NAMES)}")
