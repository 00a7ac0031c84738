"""Files of packages and wheels go into the image's root directory, and nowhere else."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest

from deploy.image import fetch, tree
from deploy.image.lock import Deb


def entry(name: str, content: bytes = b"", link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    found = tarfile.TarInfo(name)
    found.size, found.linkname, found.type = len(content), link, tarfile.SYMTYPE if link else tarfile.REGTYPE
    return found, content


def packed(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for found, content in entries:
            archive.addfile(found, io.BytesIO(content))
    return lzma.compress(raw.getvalue())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fetch.cache().mkdir(parents=True)
    return fetch.cache()


def package(cache: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> Deb:
    """A .deb with these files, in the cache."""
    raw = b"!<arch>\n"
    for name, content in (("control.tar.xz", packed(entry("./control", b"Package: x\n"))), ("data.tar.xz", packed(*entries))):
        raw += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content + b"\n" * (len(content) % 2)
    digest = hashlib.sha256(raw).hexdigest()
    (cache / digest).write_bytes(raw)
    return Deb("x", "1", "amd64", "x", "debian", "x.deb", len(raw), digest)


def ours(folder: Path, name: str = "irkit/__init__.py") -> Path:
    with zipfile.ZipFile(folder / "irkit-1-py3-none-any.whl", "w") as archive:
        archive.writestr(name, "")
    return folder / "irkit-1-py3-none-any.whl"


def make(tmp_path: Path, deb: Deb, wheel: Path) -> None:
    (tmp_path / "root").mkdir()
    tree.make(tmp_path / "root", (deb,), [], wheel)


def test_a_package_is_unpacked(tmp_path: Path, cache: Path) -> None:
    deb = package(cache, entry("./usr/lib/real", b"1"), entry("./usr/lib/link", link="real"), entry("./lib/merged", b"2"))
    make(tmp_path, deb, ours(tmp_path))
    assert [(tmp_path / "root/usr/lib" / name).read_text() for name in ("real", "link", "merged")] == ["1", "1", "2"]


@pytest.mark.parametrize("how", ["up", "through a link", "over a link"])
def test_nothing_is_written_outside_of_the_root(tmp_path: Path, cache: Path, how: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    entries = {
        "up": (entry("./usr/lib/../../../outside/file", b"x"),),
        "through a link": (entry("./usr/lib/way", link=str(outside)), entry("./usr/lib/way/file", b"x")),
        "over a link": (entry("./usr/lib/way", link=str(outside / "file")), entry("./usr/lib/way", b"x")),
    }[how]
    with pytest.raises(SystemExit, match="x has usr/lib/"):
        make(tmp_path, package(cache, *entries), ours(tmp_path))
    assert (outside / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["../../../../../outside", "/outside", "irkit//../../x"])
def test_a_wheel_stays_in_its_place(tmp_path: Path, cache: Path, name: str) -> None:
    with pytest.raises(SystemExit, match="has "):
        make(tmp_path, package(cache, entry("./usr/lib/real", b"1")), ours(tmp_path, name))


def test_what_is_not_what_the_lock_says_is_not_kept(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "wheel").write_bytes(b"something else")
    with pytest.raises(SystemExit, match="the lock says"):
        fetch._keep(tmp_path / "wheel", "0" * 64)
    assert not fetch.have("0" * 64)
