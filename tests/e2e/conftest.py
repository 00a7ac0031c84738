"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.controlplane.running import Running
from tests.e2e.running import Irkit

if TYPE_CHECKING:  # their clients take half a second
    from tests.components.openbao import OpenBao
    from tests.components.postgres import Postgres
    from tests.e2e.todo import Todo


@pytest.fixture
def irkit(control_plane: Running, tmp_path: Path) -> Irkit:
    """The administrator at a laptop that never ran irkit before."""
    return Irkit(control_plane.admin_kubeconfig, tmp_path / "home")


@pytest.fixture
def app(
    control_plane: Running, namespace: str, external_secrets: Path, openbao: OpenBao, postgres: Postgres, request: pytest.FixtureRequest
) -> Iterator[Todo]:
    """The documented app; its password is kept in OpenBao, or, parametrized indirectly with ``secret``, in the cluster alone."""
    from tests.e2e import todo

    with todo.deployed(control_plane, namespace, openbao, postgres, kept=getattr(request, "param", "vault")) as made:
        yield made


@pytest.fixture
def oncall(irkit: Irkit, app: Todo, tmp_path: Path) -> Irkit:
    """Whoever is on call for it: administrator of the cluster, with a token for the app's secrets and the settings of its database."""
    return app.known_to(irkit, tmp_path)


@pytest.fixture
def vendors(tmp_path: Path) -> tuple[str, str]:
    """A new key of the vendor: its value, and the word that gives it to irkit."""
    from tests.e2e import todo

    return todo.vendors_key(tmp_path)
