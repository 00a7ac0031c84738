"""What every command that runs steps has in common: build the ports, run, tell the outcome, return the exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from irkit import wiring
from irkit.cli import outcome, output
from irkit.cli.render import Progress
from irkit.engine.result import RunResult
from irkit.errors import InterruptedRun
from irkit.ports import Ports
from irkit.settings import Settings


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
    ports = wiring.ports(configured, progress, yes=yes, values=values)
    result = use_case(ports)
    try:
        return tell(result, form, configured)
    except BrokenPipeError:  # nobody reads it; what holds is the same
        sys.stdout = None
        return result.exit_code
    except KeyboardInterrupt:
        raise InterruptedRun("interrupted; the run was over", next=f"irkit incident show {result.incident or ''}".rstrip()) from None


def tell(result: RunResult, form: str, configured: Settings) -> int:
    """Print the result; returns the exit code."""
    if form == "json":
        output.document(result)
    else:
        outcome.tell(output.stdout(), result, configured)
    return result.exit_code
