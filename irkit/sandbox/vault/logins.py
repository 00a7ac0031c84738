"""The logins of a database server that is not there: which role has which password now."""

from __future__ import annotations

import hmac
import threading


class Logins:
    """As much of PostgreSQL as a credential's rotation can see."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._passwords: dict[str, str] = {}

    def create(self, role: str, password: str) -> None:
        with self._guard:
            self._passwords[role] = password

    def change(self, role: str, password: str) -> None:
        """``ALTER ROLE … PASSWORD``. Raises KeyError where there is no such role."""
        with self._guard:
            if role not in self._passwords:
                raise KeyError(role)
            self._passwords[role] = password

    def drop(self, role: str) -> None:
        with self._guard:
            self._passwords.pop(role, None)

    def accepts(self, role: str, password: str) -> bool:
        """Whether this login would be let in now."""
        with self._guard:
            known = self._passwords.get(role)
        return known is not None and hmac.compare_digest(known.encode(), password.encode())

    def all(self) -> dict[str, str]:
        """Passwords by role."""
        with self._guard:
            return dict(self._passwords)

    def roles(self) -> list[str]:
        with self._guard:
            return sorted(self._passwords)
