"""The official client, only for what the thin transport leaves to it: ``auth-provider`` users (OIDC refresh).

Imported when such a user is met and not before: it takes half a second.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from irkit.adapters.credentials import Credential, bearer
from irkit.errors import KubeconfigError
from irkit.text import printable


class AuthProvider:
    """The token that the official loader gets and refreshes. It writes a refreshed one back to the kubeconfig, as kubectl does."""

    def __init__(self, where: str, files: tuple[Path, ...], context: str) -> None:
        self._where, self._files, self._context = where, files, context
        self._configuration: Any = None
        self._lock = threading.Lock()

    def current(self) -> Credential:
        with self._lock:
            header = self._header()
        if not header:
            raise KubeconfigError(f"{self._where}: the auth-provider gives no token", next="log in with kubectl, then repeat")
        return Credential(bearer(header.removeprefix("Bearer "), self._where))

    def renew(self, refused: Credential) -> bool:
        with self._lock:
            self._configuration = None
        return True

    def _header(self) -> str:
        from kubernetes.client import Configuration
        from kubernetes.config import load_kube_config

        try:
            if self._configuration is None:
                configuration = Configuration()
                load_kube_config(os.pathsep.join(map(str, self._files)), self._context, configuration)  # type: ignore[no-untyped-call]
                self._configuration = configuration
            return self._configuration.get_api_key_with_prefix("BearerToken", "authorization") or ""
        except Exception as error:  # noqa: BLE001 - the loader raises whatever its providers raise; texts may hold tokens
            raise KubeconfigError(
                f"{self._where}: the auth-provider fails ({printable(type(error).__name__)})", next="log in with kubectl, then repeat"
            ) from None
