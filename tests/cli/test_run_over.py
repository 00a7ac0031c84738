"""A signal after the run's end is on record: nobody may be told that nothing was changed."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from irkit.cli.running import run
from irkit.engine.events import Over
from irkit.errors import InterruptedRun
from irkit.ports import Ports
from irkit.sandbox import Sandbox
from irkit.settings import load

INCIDENT = "20261122T031502Z-web-a1b2"


def interrupted(ports: Ports) -> NoReturn:
    raise KeyboardInterrupt


def interrupted_at_the_end(ports: Ports) -> NoReturn:
    ports.listen(Over(INCIDENT))
    raise KeyboardInterrupt


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_signal_after_the_last_record_says_that_the_run_was_over(tmp_path: Path, form: str) -> None:
    with Sandbox("empty", home=tmp_path) as box:
        configured = load({"KUBECONFIG": str(box.kubeconfig), "HOME": str(tmp_path)})
        with pytest.raises(InterruptedRun, match="the run was over") as caught:
            run(interrupted_at_the_end, form=form, configured=configured)  # type: ignore[arg-type]
        assert caught.value.next == f"irkit incident show {INCIDENT}"
        with pytest.raises(KeyboardInterrupt):
            run(interrupted, form=form, configured=configured)  # type: ignore[arg-type]
