"""What a mail and a webhook have in common: trust in the other side's certificate, and an end however slowly it speaks."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from irkit.errors import UndeliveredError
from irkit.text import printable


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer, verified against ``ca_file`` or else the system's authorities. Raises UndeliveredError."""
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError):
        raise UndeliveredError(f"{printable(ca_file)}: no certificates can be read from it") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@contextmanager
def within(seconds: float, sockets: Callable[[], Iterable[socket.socket | None]]) -> Iterator[threading.Event]:
    """Shut those ``sockets`` down once ``seconds`` are over; the event is set then.

    A socket's own timeout starts anew with every byte, so that it alone would never end with who sends one at a time.
    """
    late = threading.Event()

    def end() -> None:
        late.set()
        for each in sockets():
            if each is not None:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
