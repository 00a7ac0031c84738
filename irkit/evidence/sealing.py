"""What makes a directory a bag: BagIt 1.0 (RFC 8493).

The payload manifests name every file below ``data/``; ``bagit.txt``, ``bag-info.txt``, ``contents.json`` (what each
file is) and ``missing.json`` (what was not got, and why) are tag files; the tag manifests bind all of these.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from irkit import __version__
from irkit.evidence.disk import create, write_all, write_file
from irkit.evidence.index import StoredLine
from irkit.evidence.resuming import hashes
from irkit.model.evidence import Gap, SealedBag
from irkit.text import printable

CONTENTS, MISSING = "contents.json", "missing.json"
_ALGORITHMS = ("sha256", "sha512")
_LARGEST = 1 << 26  # bytes of a tag file that is read as a whole


@dataclass(frozen=True, slots=True)
class Second:
    """A second name at the top of the payload, of one artefact or of several one after the other."""

    path: str
    of: tuple[str, ...]
    size: int
    sha256: str
    sha512: str


def second_names(data: Path, stored: Sequence[StoredLine]) -> tuple[Second, ...]:
    """Make the files that people of the documented procedure look for. Raises OSError."""
    taken = {line.path for line in stored}
    wanted: dict[str, list[StoredLine]] = {}
    for line in stored:
        for name in line.also:
            if name not in taken:
                wanted.setdefault(name, []).append(line)
    return tuple(_second(data, name, lines) for name, lines in sorted(wanted.items()))


def _second(data: Path, name: str, lines: Sequence[StoredLine]) -> Second:
    target = data / name
    target.unlink(missing_ok=True)
    if len(lines) == 1:
        (line,) = lines
        try:
            os.link(data / line.path, target)
        except OSError:  # a file system without links
            _join(data, target, lines)
        return Second(name, (line.path,), line.size, line.sha256, line.sha512)
    _join(data, target, lines)
    return Second(name, tuple(line.path for line in lines), *hashes(target))


def _join(data: Path, target: Path, lines: Sequence[StoredLine]) -> None:
    descriptor = create(target)
    try:
        for line in lines:
            if len(lines) > 1:
                write_all(descriptor, f"==> {line.path}: {printable(line.what)} <==\n".encode())
            ending = b"\n"
            with (data / line.path).open("rb", buffering=0) as stream:
                while block := stream.read(1 << 20):
                    write_all(descriptor, block)
                    ending = block[-1:]
            if len(lines) > 1 and ending != b"\n":
                write_all(descriptor, b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_tag_files(bag: Path, stored: Sequence[StoredLine], names: Sequence[Second], gaps: Sequence[Gap], info: Mapping[str, str]) -> None:
    """Everything of the bag but its payload, each file on disk when this returns. Raises OSError."""
    files: list[StoredLine | Second] = [*stored, *names]
    payload = sorted(files, key=lambda file: file.path)
    oxum = f"{sum(file.size for file in payload)}.{len(payload)}"
    facts = {**info, "Payload-Oxum": oxum, "Bag-Software-Agent": f"irkit {__version__}", "Irkit-Missing": str(len(gaps))}
    tags = {
        "bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        "bag-info.txt": "".join(_info_lines(facts)).encode(),
        CONTENTS: _json({"artefacts": [_described(line) for line in stored], "names": {s.path: list(s.of) for s in names}}),
        MISSING: _json([{"what": g.what, "why": g.why, "transient": g.transient} for g in gaps]),
    }
    for algorithm in _ALGORITHMS:
        tags[f"manifest-{algorithm}.txt"] = "".join(f"{getattr(file, algorithm)}  data/{file.path}\n" for file in payload).encode()
    manifests = {
        f"tagmanifest-{algorithm}.txt": "".join(f"{hashlib.new(algorithm, tags[n]).hexdigest()}  {n}\n" for n in sorted(tags)).encode()
        for algorithm in _ALGORITHMS
    }
    for name, content in {**tags, **manifests}.items():
        write_file(bag / name, content)


def _info_lines(info: Mapping[str, str]) -> Iterator[str]:
    """One line each, whatever a value holds: a line break in it would be a line of its own (RFC 8493 §2.2.2).

    1,500 characters stay below the longest line that `verify` reads, even where each of them is escaped.
    """
    for label, value in info.items():
        yield f"{re.sub(r'[^A-Za-z0-9-]', '-', label)}: {printable(value, 1500).strip() or 'unknown'}\n"


def _described(line: StoredLine) -> dict[str, object]:
    described: dict[str, object] = {"path": line.path, "what": line.what, "size": line.size, "sha256": line.sha256}
    return described if line.complete else {**described, "complete": False}


class Described(msgspec.Struct, frozen=True):
    """What one file of the payload is, in ``contents.json``."""

    path: str
    what: str
    size: int
    sha256: str
    complete: bool = True


class Contents(msgspec.Struct, frozen=True):
    """``contents.json``. ``names``: which artefacts are found under a second name."""

    artefacts: tuple[Described, ...]
    names: dict[str, tuple[str, ...]] = {}


def _json(value: object) -> bytes:
    """All but ASCII escaped: what strangers wrote does nothing to a terminal."""
    import json

    return json.dumps(value, indent=1).encode() + b"\n"


def sealed_bag(bag: Path) -> SealedBag:
    """A sealed bag in numbers, read from its tag files; not verified. Unreadable ones are a gap, not an error."""
    try:
        contents = msgspec.json.decode(limited(bag / CONTENTS), type=Contents)
        gaps = msgspec.json.decode(limited(bag / MISSING), type=tuple[Gap, ...])
        binding = hashlib.sha256(limited(bag / "tagmanifest-sha256.txt")).hexdigest()
    except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
        return SealedBag(path=str(bag), artefacts=0, octets=0, gaps=(Gap(what="tag files of the bag", why=f"can't be read: {printable(error)}"),))
    octets = sum(artefact.size for artefact in contents.artefacts)
    return SealedBag(path=str(bag), artefacts=len(contents.artefacts), octets=octets, gaps=gaps, manifest_sha256=binding)


def limited(path: Path) -> bytes:
    """A whole file of at most 64 MiB; no link is followed. Raises OSError, ValueError."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        content = stream.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError(f"{path.name} is too large")
    return content
