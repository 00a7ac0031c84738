"""Whether a bag is complete and unchanged: BagIt 1.0 (RFC 8493 §3), and a little stricter.

Stricter than the RFC where evidence asks for it: links and special files are refused, and a file that no manifest covers
is a problem outside of ``data/``, too. Nothing in the bag is believed: it may have been made to harm its reader.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from irkit.errors import UsageError
from irkit.evidence.manifests import Unusable, lines_of, open_regular, read_info, read_manifest
from irkit.text import plural, printable

_ALGORITHMS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}  # hex digits
_STRONG = {"sha256", "sha384", "sha512"}
_MOST_PROBLEMS = 200


@dataclass(frozen=True, slots=True)
class BagReport:
    """``problems`` are sentences that begin with the file they are about; none: the bag is valid. Safe for a terminal."""

    path: Path
    problems: tuple[str, ...]
    files: int  # of the payload
    octets: int
    algorithms: tuple[str, ...]  # of the payload manifests

    @property
    def valid(self) -> bool:
        return not self.problems


def verify(path: Path) -> BagReport:
    """Check everything, hashing each file once. Raises UsageError where there is no directory."""
    if not os.path.isdir(path):  # noqa: PTH112 - a name too long is no error to it
        raise UsageError(f"{printable(path, 1000)} is not a directory")
    return _Verifier(path).report()


class _Verifier:
    def __init__(self, bag: Path) -> None:
        self._bag = bag
        self._problems: list[str] = []
        self._more = 0
        self._files: dict[str, int] = {}  # everything in the bag that is a regular file, and its size

    def report(self) -> BagReport:
        self._files = dict(self._walk())
        self._declaration()
        payload = self._manifests("manifest")
        tags = self._manifests("tagmanifest")
        data = {name for name in self._files if name.startswith("data/")}
        self._payload(payload, data)
        self._tags(tags, set(self._files) - data)
        self._oxum(data)
        self._hash({**payload, **{f"tag:{algorithm}": entries for algorithm, entries in tags.items()}})
        if self._more:
            self._problems.append(f"and {plural(self._more, 'more problem')}")
        return BagReport(self._bag, tuple(self._problems), len(data), sum(self._files[name] for name in data), tuple(sorted(payload)))

    def _say(self, name: str, problem: str) -> None:
        if len(self._problems) < _MOST_PROBLEMS:
            self._problems.append(f"{printable(name, 400)}: {problem}")
        else:
            self._more += 1

    def _walk(self) -> Iterator[tuple[str, int]]:
        pending = [""]
        while pending:
            prefix = pending.pop()
            try:
                with os.scandir(self._bag / prefix) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                self._say(prefix or ".", f"can't be listed: {error.strerror}")
                continue
            for entry in found:
                name, status = prefix + entry.name, entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    pending.append(f"{name}/")
                elif stat.S_ISREG(status.st_mode):
                    yield name, status.st_size
                else:
                    self._say(name, "is a link" if stat.S_ISLNK(status.st_mode) else "is neither a file nor a directory")

    def _declaration(self) -> None:
        """``bagit.txt`` has exactly two lines (RFC 8493 §2.1.1)."""
        try:
            version, encoding, *rest = [*lines_of(self._bag / "bagit.txt"), "", ""]
        except OSError:
            self._say("bagit.txt", "is missing, so this is no bag")
            return
        except Unusable as error:
            self._say("bagit.txt", f"{error}")
            return
        if not re.fullmatch(r"BagIt-Version: \d+\.\d+", version):
            self._say("bagit.txt", "does not begin with BagIt-Version")
        if not re.fullmatch("Tag-File-Character-Encoding: UTF-8", encoding, re.IGNORECASE):
            self._say("bagit.txt", "does not say that tag files are UTF-8; others are not read")
        if any(rest):
            self._say("bagit.txt", "has more than its two lines")

    def _manifests(self, kind: str) -> dict[str, dict[str, str]]:
        """By algorithm. One that can't be used is a problem, and its files then are covered by no manifest."""
        found: dict[str, dict[str, str]] = {}
        for name in self._files:
            if not (match := re.fullmatch(rf"{kind}-([A-Za-z0-9-]+)\.txt", name)):
                continue
            algorithm = match.group(1).lower()
            if algorithm not in _ALGORITHMS:
                self._say(name, "its algorithm is not known, so it was not checked")
                continue
            try:
                found[algorithm] = read_manifest(self._bag / name, _ALGORITHMS[algorithm])
            except (OSError, Unusable) as error:
                self._say(name, f"can't be used: {error}")
        return found

    def _payload(self, manifests: Mapping[str, Mapping[str, str]], data: Collection[str]) -> None:
        if not (self._bag / "data").is_dir():
            self._say("data", "is missing, so there is no payload")
        if not manifests:
            self._say("manifest-sha256.txt", "is missing: no payload manifest could be used")
        elif not _STRONG & manifests.keys():
            self._say(f"manifest-{min(manifests)}.txt", "is too weak: no payload manifest with SHA-256 or better")
        for algorithm, entries in sorted(manifests.items()):
            for name in sorted(entries.keys() - data):
                self._say(name, "is not below data/" if not name.startswith("data/") else f"is missing, and manifest-{algorithm}.txt names it")
            for name in sorted(data - entries.keys()):
                self._say(name, f"is in no line of manifest-{algorithm}.txt")

    def _tags(self, manifests: Mapping[str, Mapping[str, str]], tags: Collection[str]) -> None:
        """Tag manifests name every tag file but each other; a bag without any is valid, and says less."""
        for algorithm, entries in sorted(manifests.items()):
            for name in sorted(entries.keys() - tags):
                self._say(name, "is missing" if not name.startswith("data/") else "is payload, and in a tag manifest")
            for name in sorted(tags - entries.keys()):
                if not re.fullmatch(r"tagmanifest-[^/]+\.txt", name):
                    self._say(name, f"is in no line of tagmanifest-{algorithm}.txt")

    def _oxum(self, data: Collection[str]) -> None:
        """Payload-Oxum, where it is given: octets and files of the payload (RFC 8493 §2.2.2)."""
        if "bag-info.txt" not in self._files:
            return
        try:
            values = [value for label, value in read_info(self._bag / "bag-info.txt") if label.lower() == "payload-oxum"]
        except (OSError, Unusable) as error:
            self._say("bag-info.txt", f"can't be used: {error}")
            return
        oxum = f"{sum(self._files[name] for name in data)}.{len(data)}"
        if len(values) > 1 or any(value != oxum for value in values):
            self._say("bag-info.txt", f"Payload-Oxum is {printable(', '.join(values), 80)}, and the payload is {oxum}")

    def _hash(self, manifests: Mapping[str, Mapping[str, str]]) -> None:
        wanted: dict[str, dict[str, str]] = {}
        for kind, entries in manifests.items():
            for name, checksum in entries.items():
                if name in self._files:
                    wanted.setdefault(name, {})[kind.removeprefix("tag:")] = checksum
        for name, checksums in sorted(wanted.items()):
            try:
                got = _checksums(self._bag / name, checksums)
            except (OSError, Unusable) as error:
                self._say(name, f"can't be read: {error}")
                continue
            wrong = sorted(algorithm for algorithm, checksum in checksums.items() if got[algorithm] != checksum)
            if wrong:
                self._say(name, f"was changed: its {' and '.join(wrong)} differ from the manifest")


def _checksums(path: Path, algorithms: Iterable[str]) -> dict[str, str]:
    sums = {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in algorithms}
    with open_regular(path) as stream:
        while block := stream.read(1 << 20):
            for each in sums.values():
                each.update(block)
    return {algorithm: each.hexdigest() for algorithm, each in sums.items()}
