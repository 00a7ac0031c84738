"""What the tests of the adapters share."""

from __future__ import annotations

import pytest

from tests.adapters import pki as pki_


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> pki_.Pki:
    return pki_.made(tmp_path_factory.mktemp("pki"))
