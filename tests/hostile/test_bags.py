"""Bags that a stranger made: refused in words, never followed, never waited for."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.hostile.world import EVIL, World

SECRET = b"canary-outside-the-bag"


def bag(root: Path, **payload: bytes) -> Path:
    """A small valid one by hand."""
    (root / "data").mkdir(parents=True)
    for name, content in (payload or {"a.txt": b"hello"}).items():
        (root / "data" / name).write_bytes(content)
    (root / "bagit.txt").write_text("BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  data/{p.name}\n" for p in sorted((root / "data").iterdir())]
    (root / "manifest-sha256.txt").write_text("".join(lines))
    return root


def traversal(root: Path) -> None:
    (root.parent / "outside").write_bytes(SECRET)
    with (root / "manifest-sha256.txt").open("a") as file:
        file.write(f"{hashlib.sha256(SECRET).hexdigest()}  data/../../outside\n{hashlib.sha256(SECRET).hexdigest()}  /etc/passwd\n")


def link(root: Path) -> None:
    (root.parent / "outside").write_bytes(SECRET)
    (root / "data" / "b.txt").symlink_to(root.parent / "outside")
    with (root / "manifest-sha256.txt").open("a") as file:
        file.write(f"{hashlib.sha256(SECRET).hexdigest()}  data/b.txt\n")


def linked_folder(root: Path) -> None:
    (root / "data" / "deep").symlink_to("/etc")


def linked_tag(root: Path) -> None:
    (root.parent / "outside").write_bytes(SECRET)
    (root / "bag-info.txt").symlink_to(root.parent / "outside")


def pipe(root: Path) -> None:
    os.mkfifo(root / "data" / "pipe")
    os.mkfifo(root / "bag-info.txt")


def device(root: Path) -> None:
    (root / "manifest-sha512.txt").symlink_to("/dev/zero")


def long_manifest(root: Path) -> None:
    (root / "manifest-sha512.txt").write_bytes(b"0" * 128 + b"  data/" + b"x" * 50_000_000 + b"\n")


def many_lines(root: Path) -> None:
    (root / "manifest-sha256.txt").write_text("".join(f"{'0' * 64}  data/{n}\n" for n in range(200_000)))


def line_breaks(root: Path) -> None:
    (root / "data" / "a\r\nvalid\x1b[31m").write_bytes(b"x")
    with (root / "manifest-sha256.txt").open("ab") as file:
        file.write(b"0" * 64 + b"  data/a%0D%0Avalid%1B\x1b[31m\r\n" + EVIL.encode() + b"\n")


def no_payload(root: Path) -> None:
    (root / "data" / "a.txt").unlink()
    (root / "data").rmdir()


def linked_payload(root: Path) -> None:
    (root / "data" / "a.txt").unlink()
    (root / "data").rmdir()
    (root / "data").symlink_to("/etc")


def many_nulls(root: Path) -> None:
    (root / "bagit.txt").write_bytes(b"\x00" * 1000)


def brackets(root: Path) -> None:
    for name in ("contents.json", "missing.json"):
        (root / name).write_bytes(b"[" * 1_000_000)


WAYS = (traversal, link, linked_folder, linked_tag, pipe, device, long_manifest, many_lines, line_breaks, no_payload, linked_payload, many_nulls)


@pytest.mark.parametrize("harm", WAYS, ids=lambda f: f.__name__)
def test_refused_in_words(quiet: World, tmp_path: Path, harm) -> None:
    root = bag(tmp_path / "bag")
    quiet.laptop.quick("bundle", "verify", str(root)).ended(0)
    harm(root)
    told = quiet.laptop.run("bundle", "verify", str(root), timeout=20).ended(6)
    assert SECRET not in told.stdout + told.stderr
    assert quiet.laptop.quick("bundle", "verify", str(root), "-o", "json").ended(6).document["valid"] is False
    shown = quiet.laptop.run("bundle", "show", str(root), timeout=20).clean()
    assert shown.code in (0, 6)
    assert SECRET not in shown.stdout + shown.stderr
    assert b"root:" not in shown.stdout + told.stdout


@pytest.mark.parametrize("name", ["incident-pod.yaml", "incident-events.txt", "incident-logs.txt", "timeline.json"])
def test_a_payload_that_means_harm_is_shown_all_the_same(quiet: World, tmp_path: Path, name: str) -> None:
    for number, content in enumerate((b"[" * 500_000, EVIL.encode(), b"\xff\xfe", b"{}" * 1000, b'{"items": [' + b"{}," * 1000, b"a: &a [*a]")):
        root = bag(tmp_path / str(number), **{name: content})
        brackets(root)
        quiet.laptop.run("bundle", "show", str(root), timeout=20).clean()
        assert quiet.laptop.quick("bundle", "show", str(root), "-o", "json").clean().document


def test_a_pipe_is_no_bag(quiet: World, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("x")
    for name in ("pipe", "file", "nothing"):
        for command in ("verify", "show"):
            quiet.laptop.run("bundle", command, str(tmp_path / name), timeout=15).ended(2)
