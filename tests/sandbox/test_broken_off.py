"""A log that its reader dropped in the middle is told in the audit log from one that was read to its end."""

from __future__ import annotations

import itertools

import pytest

from irkit.model import kube
from irkit.sandbox import Sandbox
from irkit.sandbox.logs import Line
from tests.contracts.client import Api, until


def stages(box: Sandbox) -> list[str]:
    return [e["stage"] for e in box.audit if (e.get("objectRef") or {}).get("subresource") == "log"]


@pytest.mark.parametrize(("lines", "query", "end"), [
    (200_000, "", "Panic"),  # more than what fits into the buffers of two sockets
    (200_000, "?follow=true", "Panic"),
    (3, "?follow=true", "ResponseComplete"),  # it had all of it, and waited for more
])  # fmt: skip
def test_who_goes_away_in_the_middle_of_a_log_has_not_read_it(box: Sandbox, api: Api, lines: int, query: str, end: str) -> None:
    namespace, name = box.suspect
    box.write_log(namespace, name, "backend", lambda: itertools.repeat(Line(1, b"x" * 100), lines))
    stream = api.stream(f"{kube.PODS.path(namespace, name, 'log')}{query}")
    assert next(stream)
    if end == "ResponseComplete":
        assert len(list(itertools.islice(stream, lines - 1))) == lines - 1
    stream.close()
    until(lambda: len(stages(box)) == 2, "the server has seen it")
    assert stages(box) == ["ResponseStarted", end]


def test_who_reads_to_the_end_has(box: Sandbox, api: Api) -> None:
    namespace, name = box.suspect
    box.write_log(namespace, name, "backend", lambda: itertools.repeat(Line(1, b"x" * 100), 100_000))
    assert len(list(api.stream(kube.PODS.path(namespace, name, "log")))) == 100_000
    until(lambda: len(stages(box)) == 2, "it is written down")
    assert stages(box) == ["ResponseStarted", "ResponseComplete"]
