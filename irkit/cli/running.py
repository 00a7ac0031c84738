"""What every command that runs steps has in common: build the ports, run, tell the outcome, return the exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Literal

from irkit import wiring
from irkit.cli import outcome, output
from irkit.cli.render import Progress
from irkit.engine.result import RunResult
from irkit.errors import InterruptedRun
from irkit.ports import Ports
from irkit.settings import Settings

Wait = Callable[[float], None]
_rehearsed: ContextVar[tuple[bool, Wait | None]] = ContextVar("rehearsed", default=(False, None))


@contextmanager
def rehearsed(wait: Wait | None = None) -> Iterator[None]:
    """Commands that this process runs meanwhile are a rehearsal's own: nobody outside is told, and what needs a person answers itself.

    ``wait``: how so many seconds pass there; without it, as everywhere.
    """
    token = _rehearsed.set((True, wait))
    try:
        yield
    finally:
        _rehearsed.reset(token)


def run(
    use_case: Callable[[Ports], RunResult],
    *,
    form: Literal["text", "json"] = "text",
    yes: bool = False,
    values: Mapping[str, Path] | None = None,
    configured: Settings,
) -> int:
    """Run one use case at a terminal; its document or its outcome goes to stdout, what happens on the way to stderr."""
    progress = Progress(output.stderr(), quiet=form == "json")
    rehearsal, wait = _rehearsed.get()
    ports = wiring.ports(configured, progress, yes=yes, values=values, rehearsal=rehearsal, wait=wait)
    result: RunResult | None = None
    try:
        result = use_case(ports)
        return tell(result, form, configured)
    except BrokenPipeError:  # nobody reads it; what holds is the same
        if result is None:
            raise
        sys.stdout = None
        return result.exit_code
    except KeyboardInterrupt:
        if result is None and not progress.over:
            raise
        incident = progress.over or (result.incident if result else "") or ""
        raise InterruptedRun("interrupted; the run was over", next=f"irkit incident show {incident}".rstrip()) from None


def tell(result: RunResult, form: str, configured: Settings) -> int:
    """Print the result; returns the exit code."""
    if form == "json":
        output.document(result)
    else:
        outcome.tell(output.stdout(), result, configured)
    return result.exit_code
