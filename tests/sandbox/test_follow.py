"""A followed log ends when its container does, and who goes away is not kept waiting for. Simulated containers of kwok never end."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest

from irkit.model import kube
from irkit.sandbox import Sandbox
from irkit.sandbox.logs import Line, Logs, Query, answer, fixed
from tests.contracts.client import Api, until


def following(box: Sandbox, api: Api, query: str = "") -> tuple[str, list[bytes], threading.Thread]:
    """A thread that follows the suspect's log into a list, once it has the first line."""
    namespace, name = box.suspect
    got: list[bytes] = []

    def read() -> None:
        for line in api.stream(f"{kube.PODS.path(namespace, name, 'log')}?follow=true{query}"):
            got.append(line)  # noqa: PERF402 - each as it comes

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    until(lambda: got, "the first line is there")
    pod = box.store.find(kube.PODS, name, namespace)
    assert pod is not None
    return pod["metadata"]["uid"], got, thread


def ends(thread: threading.Thread) -> bool:
    thread.join(5)
    return not thread.is_alive()


def test_it_ends_with_the_pod(box: Sandbox, api: Api) -> None:
    uid, got, thread = following(box, api)
    box.logs.append(uid, "backend", Line(1, b"last words"))
    until(lambda: got[-1] == b"last words", "they come")
    api.send("DELETE", kube.PODS.path(*box.suspect))
    assert ends(thread)


def test_it_ends_with_the_run_and_loses_nothing(box: Sandbox, api: Api) -> None:
    uid, got, thread = following(box, api, "&tailLines=1")
    box.logs.append(uid, "backend", Line(1, b"last words"))
    box.restart(*box.suspect, "backend")
    assert ends(thread)
    assert got[1:] == [b"last words"]


def test_what_is_rewritten_goes_on_where_it_was(box: Sandbox, api: Api) -> None:
    uid, got, thread = following(box, api)
    namespace, name = box.suspect
    lines = list(box.logs.find(uid, "backend")())  # type: ignore[misc]
    until(lambda: len(got) == len(lines), "all is there")
    box.write_log(namespace, name, "backend", fixed([*lines, Line(1, b"more")]))
    until(lambda: got[len(lines) :] == [b"more"], "only what is new comes")
    box.logs.append(uid, "backend", Line(2, b"and more"))
    until(lambda: got[len(lines) :] == [b"more", b"and more"], "and what comes later")
    box.restart(namespace, name, "backend")
    assert ends(thread)


def test_the_run_before_does_not_go_on(box: Sandbox, api: Api) -> None:
    path = kube.PODS.path(*box.suspect, "log")
    before = list(api.stream(f"{path}?follow=true&previous=true"))
    assert before == api.send("GET", f"{path}?previous=true").data.split(b"\n")[:-1]


def test_nobody_is_left_behind_by_clients_that_went(box: Sandbox, api: Api) -> None:
    path = kube.PODS.path(*box.suspect, "log")
    serving = threading.active_count()
    for _ in range(5):
        lines = api.stream(f"{path}?follow=true")
        assert next(lines)
        lines.close()
    assert until(lambda: threading.active_count() <= serving + 1, "their threads end")  # one connection may be kept


def test_many_follow_and_all_see_all(tmp_path: Path) -> None:
    logs, over = Logs(), threading.Event()
    logs.begin("u", "c", fixed([Line(0, b"0")]))
    kept = logs.find("u", "c")
    assert kept is not None
    results: list[bytes] = []
    threads = [threading.Thread(target=lambda: results.append(b"".join(logs.follow("u", "c", kept, Query(), over.is_set)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for n in range(1, 500):
        logs.append("u", "c", Line(n, b"%d" % n))
    over.set()
    assert all(ends(thread) for thread in threads)
    assert set(results) == {b"".join(b"%d\n" % n for n in range(500))}


@pytest.mark.parametrize("tail", [None, 3])
def test_following_begins_as_reading_does(tail: int | None) -> None:
    logs, query = Logs(), Query(timestamps=True, tail=tail, since=3)
    logs.begin("u", "c", lambda: (Line(n, b"x") for n in range(10)))
    kept = logs.find("u", "c")
    assert kept is not None
    expected = list(answer(kept, query))
    followed = logs.follow("u", "c", kept, query, lambda: False)
    assert list(itertools.islice(followed, len(expected))) == expected
    logs.append("u", "c", Line(10, b"y"))
    assert next(part for part in followed if part).endswith(b" y\n")
