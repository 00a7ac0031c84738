#!/usr/bin/env python3
"""What the image is made of: Debian packages by `debian.json`, wheels by the project's own `uv.lock`.

lock.py          write `debian.json` anew: the newest version of each of its packages that this machine's apt knows (apt-get update first)
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DEBIAN = HERE / "debian.json"
# Beside what irkit needs: keys for private keys, psycopg-binary because there is no libpq, and every extra that the project has.
BESIDE = ("psycopg-binary",)
PLATFORM = {  # what markers of a requirement are judged by, whatever machine this is
    "python_version": "3.11", "python_full_version": "3.11.2", "implementation_name": "cpython", "implementation_version": "3.11.2",
    "os_name": "posix", "sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64", "platform_release": "",
    "platform_version": "", "platform_python_implementation": "CPython", "extra": "",
}  # fmt: skip
GLIBC = (2, 36)


@dataclass(frozen=True)
class Deb:
    """One Debian package. ``path`` is below ``archive``, which every mirror has."""

    name: str
    version: str
    architecture: str
    source: str
    archive: str
    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Wheel:
    name: str
    version: str
    filename: str
    sha256: str


@dataclass(frozen=True)
class Debian:
    """``snapshot``: a moment when all of the packages were current, as snapshot.debian.org names it. It is the time of every file."""

    snapshot: str
    packages: tuple[Deb, ...]

    @property
    def epoch(self) -> int:
        return int(self._when.timestamp())

    @property
    def created(self) -> str:
        """RFC 3339."""
        return self._when.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def _when(self) -> datetime:
        return datetime.strptime(self.snapshot, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def debian() -> Debian:
    found = json.loads(DEBIAN.read_text())
    return Debian(found["snapshot"], tuple(Deb(**p) for p in found["packages"]))


def wheels() -> list[Wheel]:
    """The wheel of each distribution that irkit needs in the image, with all its extras. Raises SystemExit where there is none for it."""
    packages = {p["name"]: p for p in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    us = packages["irkit"]
    wanted = list(us["dependencies"]) + [d for extra in us.get("optional-dependencies", {}).values() for d in extra]
    wanted += [{"name": name} for name in BESIDE]
    found: dict[str, Wheel] = {}
    while wanted:
        need = wanted.pop()
        if need["name"] in found or not _holds(need.get("marker", "")):
            continue
        package = packages[need["name"]]
        found[need["name"]] = _wheel(package)
        wanted += package.get("dependencies", [])
        for extra in need.get("extra", ()):
            wanted += package.get("optional-dependencies", {}).get(extra, [])
    return [found[name] for name in sorted(found)]


def _holds(marker: str) -> bool:
    if not marker:
        return True
    from pip._vendor.packaging.markers import Marker  # pip is pinned with hatchling: group `build` of pyproject.toml

    return bool(Marker(marker).evaluate(dict(PLATFORM)))


def _wheel(package: dict[str, Any]) -> Wheel:
    ranked = []
    for wheel in package.get("wheels", ()):
        name = unquote(wheel["url"].rpartition("/")[2])
        if (rank := _rank(name)) is not None:
            ranked.append((rank, name, wheel["hash"]))
    if not ranked:
        raise SystemExit(f"uv.lock has no wheel of {package['name']} {package['version']} for CPython 3.11 on amd64 with glibc {GLIBC[0]}.{GLIBC[1]}")
    _, name, digest = max(ranked)
    return Wheel(package["name"], package["version"], name, digest.removeprefix("sha256:"))


def _rank(filename: str) -> tuple[int, tuple[int, int]] | None:
    """How well a wheel fits; None: not at all. The newest glibc that is not newer than Debian's wins."""
    pythons, abi, platforms = filename.removesuffix(".whl").split("-")[-3:]
    if abi == "abi3":
        fits = any(p.startswith("cp3") and int(p[3:]) <= 11 for p in pythons.split("."))
    else:
        fits = abi == "cp311" or (abi == "none" and not {"py3", "py311", "cp311"}.isdisjoint(pythons.split(".")))
    levels = list(_levels(platforms))
    if not fits or not levels:
        return None
    return {"none": 0, "abi3": 1}.get(abi, 2), max(levels)


def _levels(platforms: str) -> Iterator[tuple[int, int]]:
    for platform in platforms.split("."):
        if platform == "any":
            yield (0, 0)
        elif platform.startswith("manylinux") and platform.endswith("_x86_64"):
            middle = platform.removeprefix("manylinux").removesuffix("_x86_64")
            major, minor = {"1": (2, 5), "2010": (2, 12), "2014": (2, 17)}.get(middle) or tuple(int(n) for n in middle.strip("_").split("_"))
            if (major, minor) <= GLIBC:
                yield (major, minor)


def relock() -> Debian:
    """The newest versions that apt knows here."""
    names = [p.name for p in debian().packages]
    said = subprocess.run(["apt-get", "download", "--print-uris", *(f"{n}:amd64" for n in names)], check=True, capture_output=True, text=True).stdout
    urls = {line.split()[1].partition("_")[0]: line.split()[0].strip("'") for line in said.splitlines()}
    shown = subprocess.run(["apt-cache", "show", "--no-all-versions", *(f"{n}:amd64" for n in names)], check=True, capture_output=True, text=True)
    packages = []
    for paragraph in shown.stdout.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and not line.startswith(" "))
        name = fields["Package"]
        archive = next(a for a in ("debian-security", "debian") if f"/{a}/pool/" in urls[name])
        packages.append(
            Deb(name, fields["Version"], fields["Architecture"], fields.get("Source", name).split()[0], archive, fields["Filename"],
                int(fields["Size"]), fields["SHA256"])
        )  # fmt: skip
    return Debian(datetime.now(UTC).strftime("%Y%m%dT000000Z"), tuple(sorted(packages, key=lambda p: p.name)))


def main() -> None:
    new = relock()
    body = {"snapshot": new.snapshot, "packages": [asdict(p) for p in new.packages]}
    DEBIAN.write_text(json.dumps(body, indent=1) + "\n")
    print(f"{DEBIAN.name}: {len(new.packages)} packages of {new.snapshot}", file=sys.stderr)


if __name__ == "__main__":
    main()
