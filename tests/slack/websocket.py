"""The server's half of a WebSocket (RFC 6455), as far as Socket Mode needs it: text, ping, pong, close. Stricter than most clients need."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
from typing import Any

from tests.components.tlsfront import exactly

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def accept(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode() + _MAGIC).digest()).decode()


class WebSocket:
    """One connection. Reading is one thread's; writing may be several's."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._lock = connection, threading.Lock()
        self.open = True

    def send(self, document: dict[str, Any]) -> None:
        """Raises OSError where the other end is gone."""
        self._frame(TEXT, json.dumps(document).encode())

    def receive(self) -> dict[str, Any] | None:
        """The next document; None at the end."""
        while True:
            try:
                opcode, payload = self._read()
            except OSError:
                self.open = False
                return None
            if opcode == PING:
                self._frame(PONG, payload)
            elif opcode == CLOSE:
                self.open = False
                return None
            elif opcode == TEXT:
                found = json.loads(payload)
                assert isinstance(found, dict)
                return found

    def close(self) -> None:
        """As a server that goes away: no close frame."""
        self.open = False
        for end in (lambda: self._socket.shutdown(socket.SHUT_RDWR), self._socket.close):
            try:
                end()
            except OSError:
                continue

    def _frame(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        head = bytes([0x80 | opcode])
        head += bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size) if size < 65536 else b"\x7f" + struct.pack(">Q", size)
        with self._lock:
            self._socket.sendall(head + payload)

    def _read(self) -> tuple[int, bytes]:
        first, second = exactly(self._socket, 2)
        size = second & 0x7F
        if not second & 0x80:
            raise ConnectionAbortedError("a client masks its frames (RFC 6455 §5.1)")
        if size == 126:
            (size,) = struct.unpack(">H", exactly(self._socket, 2))
        elif size == 127:
            (size,) = struct.unpack(">Q", exactly(self._socket, 8))
        mask = exactly(self._socket, 4)
        body = exactly(self._socket, size)
        return first & 0x0F, bytes(b ^ mask[n % 4] for n, b in enumerate(body))
