"""What an attacker wrote into a log is kept byte for byte, and none of it is shown raw."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import bagit
import pytest

from irkit.sandbox.logs import fixed, written
from tests.hostile.world import EVIL, World

NOW = datetime(2026, 1, 22, 3, 15, tzinfo=UTC)
HOSTILE = {
    "escapes": [b"\x1b[2J\x1b]0;owned\x07 \x1b[1A\x1b[2Kverdict: isolated", b"\r\rnothing to see", b"\x9b31m"],
    "nuls": [b"\x00" * 1000, b"a\x00b"],
    "not UTF-8": [b"\xff\xfe\x80", b"caf\xe9 \xc3\x28 \xed\xa0\x80", bytes(b for b in range(256) if b != 10)],
    "bidi and friends": ["\u202e\u2066\u200b\u2028\u2029\ufeff".encode(), EVIL.replace("\n", "").encode()],
    "one long line": [b"x" * 10_000_000],
    "empty": [],
    "empty lines": [b"", b"", b""],
    "like the tools": [
        b"verdict: isolated",
        b"0: Contained.",
        b"unable to retrieve container logs for containerd://00",
        b"</pre><script>alert(1)</script>",
        b"../../etc/passwd",
        b'{"apiVersion": "v1", "kind": "Status"}',
    ],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_byte_for_byte(world: World, kind: str) -> None:
    lines = written(NOW, *HOSTILE[kind])
    container = world.suspect()["spec"]["containers"][0]["name"]
    for previous in (False, True):
        world.box.write_log(world.namespace, world.pod, container, fixed(lines), previous=previous)
    told = world.contain("--keep-workload")
    assert b"owned" not in told.stdout + told.stderr
    folder = world.bag() / "data/pods" / world.namespace / world.pod / container
    expected = b"".join(f"2026-01-22T03:15:00.{n * 10_000_000:09d}Z ".encode() + text + b"\n" for n, text in enumerate(HOSTILE[kind]))
    for name in ("current.log", "previous.log"):
        assert (folder / name).read_bytes() == expected
    if kind != "like the tools":  # one of those lines is what a kubelet writes where it has no log
        assert (world.bag() / "data/incident-logs.txt").read_bytes().count(expected) >= 1 or not expected
    bagit.Bag(str(world.bag())).validate()
    for words in (("bundle", "verify"), ("bundle", "show"), ("incident", "show")):
        world.laptop.quick(*words).ended(0)
    world.laptop.quick("bundle", "show", "-o", "json").ended(0).document  # noqa: B018 -- it must be a document


def test_a_log_that_names_itself_into_other_files(world: World, tmp_path: Path) -> None:
    """Nothing is written outside of the home, whatever containers are called."""
    before = {p for p in tmp_path.rglob("*") if world.laptop.home not in p.parents}
    world.contain("--keep-workload")
    after = {p for p in tmp_path.rglob("*") if world.laptop.home not in p.parents}
    assert {p for p in after - before if "box" not in p.parts} <= {world.laptop.home}
