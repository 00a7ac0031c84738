"""``auth-provider`` users, by the official client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from irkit.adapters import kubeconfig
from irkit.errors import KubeconfigError
from tests.adapters.test_answers import jwt


def written(directory: Path, provider: dict[str, Any]) -> Path:
    file = directory / "config"
    file.write_text(json.dumps({
        "current-context": "here", "contexts": [{"name": "here", "context": {"cluster": "c", "user": "me"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://h"}}], "users": [{"name": "me", "user": {"auth-provider": provider}}],
    }))  # fmt: skip
    return file


def test_a_token_of_an_auth_provider(tmp_path: Path) -> None:
    token = jwt(time.time() + 3600)
    other = tmp_path / "other"
    other.write_text("{}")
    file = written(tmp_path, {"name": "oidc", "config": {"id-token": token, "idp-issuer-url": "https://issuer.invalid", "client-id": "x"}})
    source = kubeconfig.load(f"{other}{os.pathsep}{file}", "", {}).credentials
    assert source.current().authorization == f"Bearer {token}"
    assert source.renew(source.current())
    assert source.current().authorization == f"Bearer {token}"


def test_a_provider_that_fails_is_named_without_its_tokens(tmp_path: Path) -> None:
    for provider in ({"name": "oidc", "config": {"id-token": "hunter2", "refresh-token": "hunter2"}}, {"name": "nobody", "config": {}}):
        with pytest.raises(KubeconfigError, match=r"^user me in .*config: the auth-provider (fails|gives no token)") as caught:
            kubeconfig.load(str(written(tmp_path, provider)), "", {}).credentials.current()
        assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


def test_the_official_client_is_imported_only_for_its_token(tmp_path: Path) -> None:
    file = written(tmp_path, {"name": "oidc", "config": {}})
    code = f"""
import sys
from irkit.adapters import kubeconfig
kubeconfig.load({str(file)!r}, "", {{}})
print("kubernetes" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("False", "")
