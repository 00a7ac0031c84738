"""What rehearsals are about: each scenario fills an empty cluster with a past, an application, and an attack on one pod."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from irkit.errors import UsageError
from irkit.sandbox.logs import Logs
from irkit.sandbox.store import Store
from irkit.text import nearest, printable


@dataclass(frozen=True, slots=True)
class Scenario:
    """``suspect``: namespace and name of the pod under attack. ``leaks``: whether a planted policy keeps a path open."""

    name: str
    title: str
    seed: int
    suspect: tuple[str, str]
    leaks: bool = False


Settle = Callable[[], None]
NAMES = ("todo-app", "empty")


def load(name: str, seed: int, store: Store, logs: Logs, settle: Settle) -> Scenario:
    """Fill ``store`` and ``logs``. Raises UsageError where there is no such scenario."""
    from irkit.sandbox.scenarios import cluster, todo_app

    match name:
        case "todo-app":
            return todo_app.build(seed, store, logs, settle)
        case "empty":
            cluster.build(store, settle)
            return Scenario("empty", "A cluster without an application", seed, ("default", ""))
    near = nearest(name, NAMES)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"no scenario {printable(name)!r}{hint}", next=f"one of: {', '.join(NAMES)}")
