"""A run that ends right after the bag has its final name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from irkit.app.going_on import resume
from irkit.app.respond import Request, respond
from irkit.engine.home import Home
from irkit.evidence import writer
from irkit.model.evidence import SealedBag
from tests.engine.harness import bench


class Ends:
    """A store whose bag is renamed, and then the process is gone: nothing is tidied, nothing recorded."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def open(self, number: int) -> Any:
        inner = self._store.open(number)

        class Writer:
            def __getattr__(self, name: str) -> Any:
                return getattr(inner, name)

            def seal(self, info: Any) -> SealedBag:
                memory, _ = writer.beside(inner._final)
                inner.seal(info)
                memory.write_bytes(b"")
                raise KeyboardInterrupt

        return Writer()


def test_what_a_seal_had_no_time_to_clear_away_is_cleared_by_the_next_run(tmp_path):
    with bench(tmp_path) as b:
        namespace, name = b.box.suspect
        ports = msgspec.structs.replace(b.ports, evidence=lambda incident: Ends(b.ports.evidence(incident)))
        request = Request(command="collect", playbook="collect-only", target=name, namespace=namespace, read_only=True)
        with pytest.raises(Exception, match="interrupted"):
            respond(ports, request)
        result = resume(b.ports, None)
        assert result.exit_code == 0
        bags = Home(b.home).directory(str(result.incident)) / "bags"
        assert sorted(p.name for p in bags.iterdir()) == ["1"]
