"""An HTTP or HTTPS sink: keeps every request, and answers by the scenes of tests/adapters/scripted.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.adapters.scripted import Scene, Scripted, answer
from tests.components.serving import certificate


@dataclass
class Webhook(Scripted):
    """``requests`` has what came; ``ca`` is what a client of ``url`` is to trust, where that is https."""

    ca: Path | None = None


@contextlib.contextmanager
def running(*scenes: Scene, tls: bool = False) -> Iterator[Webhook]:
    """A sink for the time of a block. Without scenes it answers 200 each time."""
    with contextlib.ExitStack() as stack:
        context, ca = stack.enter_context(certificate()) if tls else (None, None)
        yield stack.enter_context(Webhook(scenes or (answer(),), context, ca=ca))
