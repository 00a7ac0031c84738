"""A login that expires in the middle of a collection: what it kept from being read is read with the next one, before any pod ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from irkit.app.going_on import resume
from irkit.app.respond import respond
from irkit.errors import LoginError
from irkit.ports import Cluster
from tests.engine.harness import bench


class Expiring:
    """A Cluster whose server knows the login no more from the first log on."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self._expired = cluster, False

    def __getattr__(self, name: str) -> Any:
        self._expired = self._expired or name == "logs"
        return self._refuse if self._expired else getattr(self._cluster, name)

    def _refuse(self, *words: Any, **how: Any) -> Any:
        raise LoginError("https://127.0.0.1:6443 does not accept the credentials of kubeconfig user me (401)")


def test_nothing_ends_before_what_an_expired_login_could_not_read_is_read(tmp_path: Path) -> None:
    with bench(tmp_path) as b:
        cluster: Any = Expiring(b.ports.cluster)
        first = respond(msgspec.structs.replace(b.ports, cluster=cluster), b.request())
        assert first.exit_code == 6
        assert "(401)" in " ".join(s.why for s in first.steps)
        assert not [w for w in b.writes() if w["objectRef"].get("subresource") == "scale"]
        second = resume(b.ports, None)
        assert second.exit_code == 0
        assert second.evidence
        assert not second.evidence.missing
        assert [w for w in b.writes() if w["objectRef"].get("subresource") == "scale"]
