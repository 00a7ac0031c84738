"""One connection of the fault proxy: take a request, ask the API server, stream its answer back, or do harm."""

from __future__ import annotations

import http.client
import socket
import struct
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from tests.faults.harm import Answer, Cut, Delay, Kill, Timed

if TYPE_CHECKING:
    from tests.faults.proxy import Proxy, Upstream

HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "te", "transfer-encoding", "upgrade"}


class Forwarder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536
    request: socket.socket

    def __init__(self, proxy: Proxy, *arguments: Any) -> None:
        self.proxy = proxy
        self._servers: dict[Upstream, http.client.HTTPConnection] = {}
        super().__init__(*arguments)

    def setup(self) -> None:
        super().setup()
        self.proxy.open.add(self.connection)

    def finish(self) -> None:
        self.proxy.open.discard(self.connection)
        for server in self._servers.values():
            server.close()
        super().finish()

    def log_message(self, *arguments: object) -> None:
        """Said by nobody: `Proxy.requests` has it all."""

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request, timed = self.proxy.record(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        if timed and timed.when == "before" and self._done(timed):
            return
        answer = self._ask(body)
        request.status = answer.status
        if not timed or timed.when == "before":
            self._relay(answer)
        elif isinstance(timed.harm, Cut) and timed.harm.after_bytes is not None:
            self._relay(answer, at_most=timed.harm.after_bytes)
            self._reset()
        else:
            streams = "watch" in request.query or "follow" in request.query  # its end is that of the wait: its head is its answer
            said = b"" if streams else answer.read()  # so the API server has done it
            if self._done(timed):
                self.close_connection |= streams
            elif streams:
                self._relay(answer)
            else:
                self._send(answer.status, answer.getheaders(), said)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = forward

    def _ask(self, body: bytes) -> http.client.HTTPResponse:
        upstream = self.proxy.behind(self.path)
        dropped = HOP_BY_HOP if upstream.token else {*HOP_BY_HOP, "authorization"}
        headers = {k: v for k, v in self.headers.items() if k.lower() not in dropped}
        if upstream not in self._servers:
            self._servers[upstream] = upstream.connect()
        self._servers[upstream].request(self.command, self.path, body=body or None, headers=headers)
        return self._servers[upstream].getresponse()

    def _done(self, timed: Timed) -> bool:
        """Do the harm; whether nothing more is to be said to the client."""
        match timed.harm:
            case Delay(seconds):
                time.sleep(seconds)
                return False
            case Answer(status, body, headers):
                self._send(status, headers.items(), body)
                return True
            case Kill(number, silence):
                self.proxy.kill(number)
                self.proxy.closing.wait(silence)
            case Cut():
                pass
        self._reset()
        return True

    def _reset(self) -> None:
        """End the connection so that the client sees a reset."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _head(self, status: int, headers: Iterable[tuple[str, str]], *framing: tuple[str, str]) -> None:
        self.send_response_only(status)
        for key, value in (*((k, v) for k, v in headers if k.lower() not in HOP_BY_HOP), *framing):
            self.send_header(key, value)
        self.end_headers()

    def _send(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        self._head(status, headers, ("Content-Length", str(len(body))))
        self.wfile.write(body)
        self.wfile.flush()

    def _relay(self, answer: http.client.HTTPResponse, at_most: int | None = None) -> None:
        """Stream the answer as it comes, framed as the API server framed it; of its body ``at_most`` so many bytes."""
        length = answer.getheader("Content-Length")
        chunked = length is None and self.command != "HEAD" and answer.status not in (204, 304)
        framing = [("Transfer-Encoding", "chunked")] if chunked else [("Content-Length", length)] if length is not None else []
        self._head(answer.status, answer.getheaders(), *framing)
        self.wfile.flush()
        left = at_most
        while left != 0 and (data := answer.read1(65536 if left is None else min(left, 65536))):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
            self.wfile.flush()
            left = None if left is None else left - len(data)
        answer.close()  # or http.client takes no further request
        if chunked and at_most is None:
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()
