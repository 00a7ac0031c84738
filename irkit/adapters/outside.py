"""Everything outside the cluster that makes or keeps credentials. Each is imported and connected to when it is first used."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property
from typing import TypeVar

from irkit.errors import UsageError
from irkit.ports import Database, SecretStore
from irkit.settings import Settings
from irkit.text import nearest, printable

T = TypeVar("T")


class Outside:
    """Implements `Vaults` from the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._databases: dict[str, Database] = {}

    def vault(self) -> SecretStore:
        with self._lock:
            return self._vault

    @cached_property
    def _vault(self) -> SecretStore:
        from irkit.adapters.vault import connect

        return connect(self._settings.vault, self._settings.request_timeout, self._settings.concurrency)

    def database(self, name: str) -> Database:
        from irkit.adapters.postgres import Postgres

        with self._lock:
            if name not in self._databases:
                self._databases[name] = Postgres(name, _named(name, "database", self._settings.databases), self._settings.request_timeout)
            return self._databases[name]

    def call(self, command: str, request: bytes, timeout: float) -> bytes:
        from irkit.adapters.command import call

        return call(command, _named(command, "command", self._settings.commands), request, timeout)


def _named(name: str, what: str, known: Mapping[str, T]) -> T:
    if name not in known:
        near = nearest(name, known)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"the settings have no {what} {printable(name)!r}{hint}", next=f"add it under {what}s: in the settings")
    return known[name]
