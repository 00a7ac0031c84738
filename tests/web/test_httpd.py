"""The server: every wait has a bound, whoever sends what."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irkit.adapters.httpd import Httpd
from irkit.errors import UsageError
from irkit.model.http import Bounds
from tests.web.desk import TOKEN, Server, World, configured, firing, serving, token_settings

BRIEF = Bounds(head=4096, body=10_000, request=0.4, idle=0.6, answer=5.0, connections=12, connections_per_peer=8, held=15_000, farewell=2.0)
AUTHORIZED = f"Authorization: Bearer {TOKEN}\r\n".encode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(World(configured(tmp_path)), BRIEF) as started:
        yield started


def head(length: int | str, more: bytes = b"") -> bytes:
    return b"POST /hooks/am HTTP/1.1\r\nHost: x\r\n" + AUTHORIZED + more + f"Content-Length: {length}\r\n\r\n".encode()


def test_headers_that_come_slowly_end_with_408(server: Server) -> None:
    began = time.monotonic()
    with server.connect() as sock, contextlib.suppress(ConnectionError):
        for byte in b"POST /hooks/am HTTP/1.1\r\nHost: x\r\n" * 3:
            sock.sendall(bytes([byte]))
            time.sleep(0.05)
            if time.monotonic() - began > 1.0:
                break
        found = sock.recv(65536)
    assert found.startswith(b"HTTP/1.1 408 ")
    assert b"did not come whole in time" in found


def test_a_body_that_comes_slowly_ends_with_408(server: Server) -> None:
    answer = server.raw(head(5000), b"{", pause=lambda: time.sleep(0.3))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert server.world.held == []
    assert server.world.lines[-1]["result"] == "refused"


def test_a_connection_that_says_nothing_is_closed(server: Server) -> None:
    assert server.raw() == b""


def test_a_body_that_is_too_large_is_413_before_it_is_read(server: Server) -> None:
    assert server.raw(head(10_001)).startswith(b"HTTP/1.1 413 ")
    assert server.raw(head("9" * 20)).startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_is_counted_as_it_comes(server: Server) -> None:
    begin = b"POST /hooks/am HTTP/1.1\r\nHost: x\r\n" + AUTHORIZED + b"Transfer-Encoding: chunked\r\n\r\n"
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    assert server.raw(begin, chunk, chunk, chunk).startswith(b"HTTP/1.1 413 ")
    small = json.dumps(firing()).encode()
    whole = begin.replace(b"Transfer", b"Connection: close\r\nTransfer") + f"{len(small):x}\r\n".encode() + small + b"\r\n0\r\n\r\n"
    assert server.raw(whole).startswith(b"HTTP/1.1 202 ")


def test_a_body_in_pieces_of_one_byte_is_refused_before_it_costs_seconds(tmp_path: Path) -> None:
    """Each piece costs as much as a large one: a megabyte of them would keep the only thread busy for ten seconds."""
    with serving(World(configured(tmp_path))) as server:
        asked = b"POST /hooks/am HTTP/1.1\r\nHost: x\r\n" + AUTHORIZED + b"Transfer-Encoding: chunked\r\n\r\n"
        answer = server.raw(asked, b"1\r\na\r\n" * 6000)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"too many pieces" in answer
        unknown = server.raw(asked.replace(b"/am", b"/nobody"), b"1\r\na\r\n" * 6000)  # what is read to be thrown away costs the same
        assert b"too many pieces" in unknown


def test_headers_that_are_too_long_are_431(server: Server) -> None:
    assert server.raw(b"POST /hooks/am HTTP/1.1\r\nX: " + b"a" * 9000).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("garbage", [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"\x00" * 100, b"POST / HTTP/1.1\r\n: \r\n\r\n",
    b"POST /hooks/am HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    b"POST /hooks/am HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"POST /hooks/am HTTP/1.1\r\n\r\n",
    b"POST /hooks/am HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
])  # fmt: skip
def test_what_is_not_http_is_refused_in_one_sentence(server: Server, garbage: bytes) -> None:
    answer = server.raw(garbage)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ", b"HTTP/1.1 505 "))
    assert "error" in json.loads(answer.partition(b"\r\n\r\n")[2])
    assert server.world.lines[-1]["result"] == "refused"


def test_two_lengths_are_no_second_request(server: Server) -> None:
    hidden = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    both = b"POST /hooks/am HTTP/1.1\r\nHost: x\r\n" + AUTHORIZED + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"
    answer = server.raw(both + hidden)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"irkit_queue_up" not in answer
    assert server.world.held == []


def test_several_requests_go_over_one_connection(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    with contextlib.closing(connection):
        found = []
        for number in range(3):
            connection.request("POST", "/hooks/am", json.dumps(firing(pod=f"pod-{number}")), {"Authorization": f"Bearer {TOKEN}"})
            answer = connection.getresponse()
            found.append((answer.status, answer.read()))
            sock = connection.sock
        assert [status for status, _ in found] == [202] * 3
        assert sock is not None, "none of them closed it"


def test_requests_that_come_at_once_are_answered_one_after_another(server: Server) -> None:
    body = json.dumps(firing()).encode()
    answer = server.raw((head(len(body)) + body) * 2 + b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"202", b"200", b"200"]


def test_many_requests_at_once_keep_nobody_else_waiting_until_their_end(server: Server) -> None:
    with server.connect() as greedy, server.connect() as other:
        other.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert other.recv(65536)
        greedy.sendall(b"GET /greedy HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        other.sendall(b"GET /other HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        greedy.settimeout(10)
        found = b""
        while found.count(b"HTTP/1.1 ") < 1000:
            piece = greedy.recv(65536)
            assert piece
            found += piece
    paths = [line["path"] for line in server.world.lines if "path" in line]
    assert "/other" in paths[:-100]


def test_who_asks_whether_to_go_on_is_told(server: Server) -> None:
    body = json.dumps(firing()).encode()
    expecting = b"Expect: 100-continue\r\nConnection: close\r\n"
    answer = server.raw(head(len(body), expecting), body)
    assert answer.startswith(b"HTTP/1.1 100 ")
    assert b"HTTP/1.1 202 " in answer
    refused = head(len(body), expecting).replace(TOKEN.encode(), b"wrong")
    assert server.raw(refused).startswith(b"HTTP/1.1 401 ")


def test_a_refused_sender_reads_its_answer_though_it_goes_on_sending(server: Server) -> None:
    answer = server.ask("POST", "/hooks/am", b"x" * 9000, {"Authorization": "Bearer wrong"})
    assert (answer.status, answer.document) == (401, {"error": "no source has this token"})


def test_a_head_request_gets_no_body(server: Server) -> None:
    answer = server.ask("HEAD", "/metrics")
    assert (answer.status, answer.text) == (405, "")


def test_one_address_has_so_many_connections_and_no_more(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(server.connect()) for _ in range(8)]
        for sock in opened:
            sock.sendall(b"POST")
        time.sleep(0.1)
        with server.connect() as ninth, contextlib.suppress(ConnectionError):
            assert ninth.recv(10) == b""
    assert server.world.said("too many connections")


def test_bodies_of_strangers_have_a_bound_together(server: Server) -> None:
    with server.connect() as one, server.connect() as two:
        one.sendall(head(9_999) + b"x" * 9_000)
        time.sleep(0.05)
        two.sendall(head(9_999) + b"x" * 9_000)
        assert two.recv(65536).startswith(b"HTTP/1.1 503 ")
    assert server.ask("GET", "/metrics").status == 200


def test_who_rests_makes_room(tmp_path: Path) -> None:
    few = Bounds(connections=2, idle=30.0, farewell=2.0)
    with serving(World(configured(tmp_path)), few) as server, server.connect() as one, server.connect():
        time.sleep(0.1)
        assert server.ask("GET", "/metrics").status == 200
        assert one.recv(10) == b"", "the one that rested longest"


def test_the_end_waits_for_what_is_under_way(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        with serving(World(configured(tmp_path)), Bounds(farewell=5.0)) as server:
            sock = stack.enter_context(server.connect())
            resting = stack.enter_context(server.connect())
            body = json.dumps(firing()).encode()
            sock.sendall(head(len(body)) + body[:10])
            time.sleep(0.1)
            threading.Timer(0.3, lambda: sock.sendall(body[10:])).start()
        answer = sock.recv(65536)
        assert answer.startswith(b"HTTP/1.1 202 ")
        assert b"Connection: close" in answer
        assert resting.recv(10) == b""


def _unsent(port: int, client: int) -> int:
    """Bytes that the kernel holds for a client which does not read."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if (int(local.rpartition(":")[2], 16), int(remote.rpartition(":")[2], 16)) == (port, client):
            return int(queues.partition(":")[0], 16)
    return -1


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="what a connection has not sent is read from Linux")
def test_who_reads_nothing_is_not_waited_for_after_the_end(tmp_path: Path) -> None:
    """Its connection is nobody's any more and in no count, so it must not stay open for as long as the other side likes."""
    names = {f"source-{number}": token_settings(format="falco") for number in range(20)}  # so the figures are 15 kB
    with serving(World(configured(tmp_path, sources=names)), BRIEF) as server, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", server.port))
        client, before, same = sock.getsockname()[1], -1, 0
        while same < 2:  # until an answer is neither sent nor held by the kernel
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.03)
            same, before = same + 1 if (now := _unsent(server.port, client)) == before else 0, now
        until = time.monotonic() + 6
        while any(_inode(line, server.port, client) != "0" for line in Path("/proc/net/tcp").read_text().splitlines()[1:]):
            assert time.monotonic() < until, "the server still has it open"
            time.sleep(0.1)


def _inode(line: str, port: int, client: int) -> str:
    """Of that connection where this line of /proc/net/tcp is about it: 0 where no process has it open."""
    words = line.split()
    return words[9] if (int(words[1].rpartition(":")[2], 16), int(words[2].rpartition(":")[2], 16)) == (port, client) else "0"


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    door = World(configured(tmp_path)).door
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(UsageError, match=r"can't listen on 127\.0\.0\.1:\d+: Address already in use"),
    ):
        Httpd("127.0.0.1", taken.getsockname()[1], door, Bounds(), None).open()
    with pytest.raises(UsageError, match=r"no\.such\.host\.invalid is no address"):
        Httpd("no.such.host.invalid", 80, door, Bounds(), None).open()


PIECES = (
    b"POST /hooks/am HTTP/1.1\r\n", b"GET /metrics HTTP/1.1\r\n", b"Host: x\r\n", AUTHORIZED, b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Upgrade: h2c\r\n", b"\r\n", b"\n", b"{}", b"0\r\n\r\n", b"ffffffffffffffff\r\n",
    b"\x00\xff", b" ",
)  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.sampled_from(PIECES) | st.binary(max_size=40), max_size=12))
def test_whatever_is_sent_the_server_goes_on(server: Server, pieces: list[bytes]) -> None:
    with server.connect() as sock, contextlib.suppress(ConnectionError):
        sock.sendall(b"".join(pieces))
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass
    assert server.ask("GET", "/metrics").status == 200
    assert not any("not foreseen" in line.get("why", "") for line in server.world.lines)
