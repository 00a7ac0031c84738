"""The page for the audience: in a real Chromium, live, and closed to everybody else."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec
import pytest

from irkit.errors import UsageError
from irkit.game.board import Board
from irkit.model.picture import Picture, PodSeen, PolicySeen, Role, Said, Stake
from tests.components import devtools
from tests.game.table import left, table

HOSTILE = "</script><img src=x onerror=alert(1)>\u2028${1}"
PICTURE = Picture(
    title=f"A shell {HOSTILE}", seconds=75.0, lasts=1800.0, alert=f"Pod {HOSTILE}",
    pods=(PodSeen(namespace="todo-app", name="backend-" + "x" * 200, part="suspect", state="Running", ready=True),
          PodSeen(namespace="todo-app", name="backend-2", part="sibling", state=HOSTILE, ready=False)),
    policies=(PolicySeen(name=HOSTILE, lets="lets through: 1 in", opens=True),),
    stakes=(Stake(id="cut-off", state="open", why=HOSTILE, within=180.0), Stake(id="evidence", state="reached", why="read", at=12.0),
            Stake(id="app-keys", state="late", why="not yet", within=60.0)),
    said=(Said(at=0.0, kind="alert", text=HOSTILE), Said(at=10.0, kind="inject", text="the product owner: well?")),
    roles=(Role(name="incident commander", who="ana"), Role(name="scribe", who="")),
)  # fmt: skip


class Shown:
    def __init__(self) -> None:
        self.picture = PICTURE

    def __call__(self) -> Picture:
        return self.picture


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def board(shown: Shown) -> Iterator[Board]:
    with Board(shown) as served:
        yield served


def ask(board: Board, path: str | None = None, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    parts = urlsplit(board.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    try:
        connection.request(method, parts.path if path is None else path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def test_it_shows_the_game_live_without_a_word_and_asks_for_nothing_else(board, shown, browser):
    with devtools.page(browser.program) as page:
        for width, scheme in ((360, "light"), (800, "dark"), (1600, "light")):
            page.open(board.url, width=width, scheme=scheme)
            until(page, "document.querySelectorAll('#pods li').length == 2")
            assert page.value("document.documentElement.scrollWidth") <= width
            asked = {p["request"]["url"] for method, p in page.events if method == "Network.requestWillBeSent"}
            assert asked <= {board.url, f"{board.url}picture.json", "data:,"}
            said = [p for method, p in page.events if method in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")]
            assert said == []
            assert not [m for m, _ in page.events if m == "Page.javascriptDialogOpening"]
        assert page.value("document.images.length") == 0
        assert page.value("document.getElementById('title').textContent") == PICTURE.title
        assert page.value("document.getElementById('clock').textContent") == "01:15 of 30:00"
        assert page.value("document.querySelector('#stakes li').children[1].textContent") == "open, 01:45 left"
        assert page.value("document.querySelectorAll('#stakes li')[2].children[1].textContent") == "late by 00:15"
        assert page.value("document.querySelectorAll('#roles li')[1].textContent") == "scribenobody"
        shown.picture = msgspec.structs.replace(PICTURE, seconds=80.0, over="all goals are reached")
        until(page, "document.getElementById('clock').textContent == '01:20 of 30:00'", within=2.0)
        assert page.value("document.getElementById('over').textContent") == "all goals are reached"


def until(page: devtools.Page, expression: str, within: float = 10.0) -> None:
    limit = time.monotonic() + within
    while not page.value(expression):
        assert time.monotonic() < limit, page.value("document.body.innerText")
        time.sleep(0.05)


def test_a_script_that_got_in_would_not_run(board, browser):
    with devtools.page(browser.program) as page:
        page.open(board.url, width=800)
        page.value("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran=1\"><iframe src=/ ></iframe>')")
        page.value("(s => { s.textContent = 'window.ran=1'; document.body.append(s) })(document.createElement('script'))")
        time.sleep(0.3)
        assert page.value("window.ran === undefined")
        page.value("fetch('http://127.0.0.1:1/').catch(() => 0)")
        asked = [p["request"]["url"] for method, p in page.events if method == "Network.requestWillBeSent"]
        assert not [url for url in asked if "127.0.0.1:1/" in url]


def test_only_who_knows_the_path_and_the_name_gets_in(board):
    parts = urlsplit(board.url)
    assert ask(board)[0].status == 200
    assert ask(board, f"{parts.path}picture.json")[0].status == 200
    for path in ("/", "//", "", "/picture.json", "/x/picture.json", parts.path.rstrip("/"), f"{parts.path}../", f"{parts.path}board.js",
                 f"{parts.path}picture.json?x", "/%00/"):  # fmt: skip
        answer, body = ask(board, path or "/")
        assert (answer.status, body) == (404, b""), path
    assert ask(board, Host="evil.example")[0].status == 421
    assert ask(board, Host=f"evil.example:{parts.port}")[0].status == 421
    with pytest.raises(ConnectionRefusedError), socket.socket() as other:
        other.connect(("127.0.0.2", parts.port or 0))
    assert len(parts.path) > 20


def test_it_reads_only_and_repeats_nothing_that_was_sent(board):
    for method in ("POST", "PUT", "DELETE", "PATCH", "<b>"):
        answer, body = ask(board, method=method)
        assert (answer.status, body) == (501, b"")
    answer, _ = ask(board, method="HEAD")
    assert answer.status == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    with socket.create_connection(("127.0.0.1", urlsplit(board.url).port or 0), timeout=5) as raw:
        raw.sendall(b"\x00\xff nonsense\r\n\r\n")
        assert b"nonsense" not in raw.recv(4096)


def test_the_document_is_the_picture(board):
    answer, body = ask(board, f"{urlsplit(board.url).path}picture.json")
    assert answer.headers["Content-Type"] == "application/json"
    assert msgspec.json.decode(body, type=Picture) == PICTURE
    assert json.loads(body)["title"] == PICTURE.title


@pytest.mark.parametrize("port", [-1, 65536, 10**30])
def test_a_port_that_there_is_not_is_one_sentence(shown, port):
    with pytest.raises(UsageError, match="--port is a number from 0 to 65535"):
        Board(shown, port)


def test_a_port_that_is_taken_is_one_sentence_and_nothing_is_left(board, room):
    port = urlsplit(board.url).port
    with table(room, "--free", "--board", "--port", str(port)) as playing:
        playing.ended(2)
        assert f"2: port {port} of 127.0.0.1 is taken" in playing.said("taken")
    assert left(room) == []


def test_a_game_has_its_board_while_it_goes_on(room):
    with table(room, "--free", "--board") as playing:
        playing.exports()
        url = re.findall(r"board +(http://\S+)", playing.said("board"))[0]
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=5)
        connection.request("GET", f"{parts.path}picture.json")
        found = msgspec.json.decode(connection.getresponse().read(), type=Picture)
        connection.close()
        assert found.title == "A shell in the backend"
        assert {p.name for p in found.policies} == {"backend-network-policy", "default-deny-all"}
        assert [p.part for p in found.pods][:3] == ["suspect", "sibling", "sibling"]
        assert {s.state for s in found.stakes} == {"open", "kept"}
