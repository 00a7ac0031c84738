"""A small HTTP/1.1 server: asyncio and h11, nothing that waits without a bound. The only file that imports h11.

Each connection has a task. A request must be there whole within a time that begins with its first byte, so that who sends
slowly keeps a connection for seconds and no memory. Bodies are read only where the head did not already get its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections import Counter
from typing import Any

import h11

from irkit.errors import UsageError
from irkit.model.http import Answer, Bounds, Door, Head, network
from irkit.text import printable

_PIECE = 65_536
_BACKLOG = 512
_LINGER = 1.0  # seconds in which what a refused sender still sends is thrown away, so that it reads its answer; for the end, too
_PIECES, _BYTES = 64, 256  # a body comes in at most so many pieces, and one more for so many bytes that it may have


class _Refused(Exception):
    """What is not read on."""

    def __init__(self, status: int, why: str) -> None:
        self.status, self.why = status, why


class Httpd:
    """Listens from `open` to the end of `serve`."""

    def __init__(self, host: str, port: int, door: Door, bounds: Bounds, tls: ssl.SSLContext | None) -> None:
        self._host, self._port, self.door, self.bounds, self._tls = host, port, door, bounds, tls
        self._peers: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self.resting: dict[asyncio.Task[None], None] = {}  # those between two requests, or at their end, the longest first
        self.held = 0  # bytes of bodies that are being read
        self.ending = False
        self._socket: socket.socket | None = None

    def open(self) -> tuple[str, int]:
        """Take the port; the address that it is. Raises UsageError where that can't be."""
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            made = socket.socket(family, kind, protocol)
        except OSError as error:
            raise UsageError(f"{printable(self._host, 100)} is no address to listen on: {error.strerror}", next="--listen ADDRESS:PORT") from None
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(_BACKLOG)
        except OSError as error:
            made.close()
            raise UsageError(f"can't listen on {printable(self._host, 100)}:{self._port}: {error.strerror}", next="--listen ADDRESS:PORT") from None
        made.setblocking(False)
        self._socket = made
        name = made.getsockname()
        return str(name[0]), int(name[1])

    async def serve(self, over: asyncio.Event) -> None:
        """Answer until ``over`` is set; then end what rests, and give what is under way `Bounds.farewell` seconds."""
        assert self._socket is not None, "open() comes first"
        accepting = asyncio.ensure_future(self._accept(self._socket))
        await asyncio.wait([accepting, waiting := asyncio.ensure_future(over.wait())], return_when=asyncio.FIRST_COMPLETED)
        self.ending = True
        waiting.cancel()
        accepting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await accepting
        self._socket.close()
        for task in list(self.resting):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.bounds.farewell)
        for task in list(self._tasks):
            task.cancel()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError as error:  # too many files are open, or who knocked went away
                self.door.refused("", f"a connection can't be taken: {error.strerror}", 0)
                await asyncio.sleep(0.05)
                continue
            peer = str(address[0])
            if len(self._tasks) >= self.bounds.connections and self.resting:
                (longest := next(iter(self.resting))).cancel()
                await asyncio.wait([longest], timeout=1.0)
            if len(self._tasks) >= self.bounds.connections or self._peers[network(peer)] >= self.bounds.connections_per_peer:
                self.door.refused(peer, "too many connections", 0)
                connection.close()
                continue
            self._peers[network(peer)] += 1
            task = asyncio.ensure_future(self._connected(connection, peer))
            self._tasks.add(task)
            task.add_done_callback(lambda done, peer=peer: self._gone(done, peer))  # type: ignore[misc]

    def _gone(self, task: asyncio.Task[None], peer: str) -> None:
        self._tasks.discard(task)
        self._peers[network(peer)] -= 1
        self._peers += Counter()  # forgets those without any

    async def _connected(self, connection: socket.socket, peer: str) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_PIECE)
        protocol = asyncio.StreamReaderProtocol(reader)
        begin = self.bounds.request if self._tls else None
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=self._tls, ssl_handshake_timeout=begin)
        except (OSError, ConnectionError) as error:
            connection.close()
            why = getattr(error, "verify_message", "") or getattr(error, "reason", "") or error
            self.door.refused(peer, f"no TLS with it: {printable(why, 120)}", 0)
            return
        except asyncio.CancelledError:
            connection.close()
            raise
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        talk = _Talk(self, reader, writer, peer, transport.get_extra_info("peercert") or {})
        try:
            await talk.run()
        except (OSError, TimeoutError):
            talk.broken = True  # it went away, or does not read
        except asyncio.CancelledError:
            talk.broken = not self.ending  # the end of its rest, to make room, or of the server
        except Exception as error:  # noqa: BLE001 -- one connection ends, never the server
            talk.broken = True
            self.door.refused(peer, f"not foreseen: {type(error).__name__}: {printable(error, 200)}", 500)
        finally:
            await self._close(writer, farewell=not talk.broken)

    async def _close(self, writer: asyncio.StreamWriter, *, farewell: bool) -> None:
        """To its end, while it counts: who never reads its answer, or never answers TLS's farewell, would keep it open as long as it likes."""
        task = asyncio.current_task()
        assert task is not None
        try:
            if farewell:
                self.resting[task] = None  # it makes room, too
                writer.close()
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(_LINGER):
                        await writer.wait_closed()
        finally:
            self.resting.pop(task, None)
            writer.transport.abort()


class _Talk:
    """One connection, request after request."""

    def __init__(self, server: Httpd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str, certificate: dict[str, Any]) -> None:
        self._server, self._reader, self._writer, self._peer, self._certificate = server, reader, writer, peer, certificate
        self._door, self._bounds = server.door, server.bounds
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=self._bounds.head)
        self._large = _Refused(413, f"the body is larger than {self._bounds.body} bytes")
        self._bodiless = False
        self.broken = False

    async def run(self) -> None:
        while await self._rest() and await self._exchange() and not self._server.ending:
            self._http.start_next_cycle()
            await asyncio.sleep(0)  # others first, however many requests came at once

    async def _rest(self) -> bool:
        """Wait for the first byte of a request; whether one came."""
        if self._http.trailing_data[0]:
            return True
        resting, task = self._server.resting, asyncio.current_task()
        assert task is not None
        resting[task] = None
        try:
            async with asyncio.timeout(self._bounds.idle):
                data = await self._reader.read(_PIECE)
        except TimeoutError:
            return False
        finally:
            resting.pop(task, None)
        self._http.receive_data(data)
        return bool(data)

    async def _exchange(self) -> bool:
        """One request and its answer; whether the connection may go on."""
        try:
            async with asyncio.timeout(self._bounds.request):
                read = await self._request()
        except TimeoutError:
            return await self._turn_away(408, "the request did not come whole in time")
        except _Refused as refused:
            return await self._turn_away(refused.status, refused.why)
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint if error.error_status_hint in (400, 413, 431, 501) else 400
            why = "request line and headers are too long" if status == 431 else f"that is not HTTP/1.1: {printable(error, 120)}"
            return await self._turn_away(status, why)
        if read is None:
            return False
        head, body, answer = read
        if answer is None:
            try:
                async with asyncio.timeout(self._bounds.answer):
                    answer = await self._door.body(head, body)
            except TimeoutError:
                answer = self._door.late(head)
            except Exception as error:  # noqa: BLE001 -- one request fails, never the server
                self._door.refused(self._peer, f"not foreseen: {type(error).__name__}: {printable(error, 200)}", 500)
                answer = Answer(500, {"error": "this was not foreseen; irkit's log says more"})
        await self._send(answer, close=self._server.ending)
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _request(self) -> tuple[Head, bytes, Answer | None] | None:
        """The request whole; the body empty where the head has its answer; None where the other side has gone."""
        event = await self._event()
        if not isinstance(event, h11.Request):
            return None
        head = _head(event, self._peer, self._certificate)
        if {"transfer-encoding", "content-length"} <= set(head.headers):  # what is in front may have read the other one (RFC 9112, 6.3)
            raise _Refused(400, "the body has two lengths")
        answer = self._door.head(head)
        self._bodiless = head.method == "HEAD"
        if answer is None and int(head.headers.get("content-length", "0")[:20]) > self._bounds.body:  # h11 takes digits only
            raise self._large
        if self._http.they_are_waiting_for_100_continue:
            if answer is not None:  # it has not sent the body, and need not
                return head, b"", answer
            self._writer.write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        return (head, await self._body(keep=answer is None), answer)

    async def _body(self, *, keep: bool) -> bytes:
        """To its end. All that are read at once have a bound together, since many come from who is not verified yet."""
        pieces, size, count = [], 0, 0
        try:
            while isinstance(event := await self._event(), h11.Data):
                size, count = size + len(event.data), count + 1
                self._server.held += len(event.data)
                if size > self._bounds.body:
                    raise self._large
                if count > _PIECES + self._bounds.body // _BYTES:  # each costs as much as a large one
                    raise _Refused(400, "the body comes in too many pieces")
                if keep and self._server.held > self._bounds.held:
                    raise _Refused(503, "too much is sent at once")
                if keep:
                    pieces.append(bytes(event.data))
            return b"".join(pieces)
        finally:
            self._server.held -= size

    async def _event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(_PIECE))
        return event

    async def _turn_away(self, status: int, why: str) -> bool:
        self._door.refused(self._peer, why, status)
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self._send(Answer(status, {"error": why}), close=True)
        return False

    async def _send(self, answer: Answer, *, close: bool) -> None:
        body = answer.text.encode() if answer.document is None else json.dumps(answer.document).encode() + b"\n"
        headers = [("Content-Length", str(len(body))), ("Cache-Control", "no-store"), *answer.headers]
        if answer.document is not None:
            headers.append(("Content-Type", "application/json"))
        if answer.retry_after:
            headers.append(("Retry-After", str(answer.retry_after)))
        unread = self._http.their_state is not h11.DONE
        if close or unread:
            headers.append(("Connection", "close"))
        sent = self._http.send(h11.Response(status_code=answer.status, headers=headers)) or b""
        if not self._bodiless:
            sent += self._http.send(h11.Data(data=body)) or b""
        sent += self._http.send(h11.EndOfMessage()) or b""
        async with asyncio.timeout(self._bounds.request):
            self._writer.write(sent)
            await self._writer.drain()
        if unread:
            await self._linger()

    async def _linger(self) -> None:
        """Throw away what still comes for a moment: a reset would take the answer away from who has not read it yet."""
        with contextlib.suppress(TimeoutError, OSError):
            if self._writer.can_write_eof():
                self._writer.write_eof()
            async with asyncio.timeout(_LINGER):
                while await self._reader.read(_PIECE):
                    pass
        self.broken = True


def _head(event: h11.Request, peer: str, certificate: dict[str, Any]) -> Head:
    headers: dict[str, str] = {}
    for name, value in event.headers:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    path = event.target.decode("latin-1").partition("?")[0]
    until = ssl.cert_time_to_seconds(certificate["notAfter"]) if certificate else float("inf")
    return Head(method=event.method.decode("latin-1"), path=path, headers=headers, peer=peer, names=_names(certificate), until=until)


def _names(certificate: dict[str, Any]) -> tuple[str, ...]:
    """Whom a verified certificate names; nobody where there is none."""
    subject = [f"CN={value}" for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    kinds = {"DNS": "DNS", "URI": "URI", "IP Address": "IP", "email": "email"}
    return (*subject, *(f"{kinds[kind]}={value}" for kind, value in certificate.get("subjectAltName", ()) if kind in kinds))
