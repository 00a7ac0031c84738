"""A client certificate, which TLS has verified; here it is judged whether it is one that this source knows."""

from __future__ import annotations

from irkit.listeners.web.auth.errors import Unauthenticated
from irkit.model.http import Head
from irkit.ports import Clock
from irkit.settings.serve import MtlsSettings
from irkit.text import printable


class Mtls:
    def __init__(self, settings: MtlsSettings, clock: Clock) -> None:
        self._clock = clock
        self._allowed = frozenset(settings.names)

    def head(self, head: Head) -> str:
        if not head.names:
            raise Unauthenticated("this source takes a client certificate, and none was shown")
        if self._clock.now().timestamp() > head.until:  # a connection, and a session that is resumed, may outlive it
            raise Unauthenticated("the client certificate has expired")
        found = next((name for name in head.names if name in self._allowed), "")
        if not found:
            shown = ", ".join(printable(name, 80) for name in head.names[:5])
            raise Unauthenticated(f"the client certificate is not one of this source: {shown}")
        return found

    def body(self, head: Head, body: bytes) -> str:
        return self.head(head)

    def forget(self, head: Head) -> None:
        """Certificates are not used up."""
