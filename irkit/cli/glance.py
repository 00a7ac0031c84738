"""A glance at the cluster, for what is good to know and not worth waiting for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import msgspec

from irkit import wiring
from irkit.errors import ForbiddenError, IrkitError, KubeconfigError
from irkit.ports import Cluster
from irkit.ports.orders import Orders
from irkit.settings import Settings

T = TypeVar("T")
_REQUEST, _ALL = 1.0, 2.5  # seconds


def glance(configured: Settings, look: Callable[[Cluster, Orders | None], T]) -> tuple[T | None, str]:
    """What ``look`` finds; or nothing, and why. No kubeconfig is no reason to say anything.

    Whatever hangs, as a program that fetches a token, is left behind: the process ends without it.
    """
    hurried = msgspec.structs.replace(configured, request_timeout=_REQUEST, retry_budget=_REQUEST)
    found: list[T] = []
    why = [f"no answer in {_ALL} s"]

    def run() -> None:
        try:
            with wiring.cluster(hurried) as connected:
                found.append(look(connected, _orders(hurried, connected)))
        except KubeconfigError as error:
            why[0] = error.message if configured.context else ""
        except IrkitError as error:
            why[0] = error.message

    thread = threading.Thread(target=run, name="irkit-glance", daemon=True)
    thread.start()
    thread.join(_ALL)
    return (found[0], "") if found else (None, why[0])


def _orders(configured: Settings, connected: Cluster) -> Orders | None:
    """None where this user may not look whether the cluster has a queue."""
    try:
        return wiring.orders(configured, connected)
    except ForbiddenError:
        return None
