#!/usr/bin/env python3
"""The container image of irkit, without a registry, a daemon or root: DIR/irkit-VERSION.oci.tar, and DIR/irkit-VERSION.spdx.json beside it.

build.py DIR             prints the image's digest
build.py --root DIR      only the files, for the Dockerfile

Needs Linux on amd64 and the .venv of `make wheel`. Two builds of the same sources are the same to the last byte: all that is in it is pinned
(debian.json, uv.lock), all times are that of debian.json, and the image's own Python compiles and packs. docs/reference/deploy.md has more.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

if not __package__:  # called by its path
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from deploy.image import fetch, lock, sbom, tree

HERE = Path(__file__).resolve().parent


def version() -> str:
    from irkit import __version__

    return __version__


def our_wheel(folder: Path, epoch: int) -> Path:
    """irkit's own wheel, which hatchling makes the same each time for the same epoch."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=lock.ROOT, env=environment, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def fill(root: Path) -> tuple[lock.Debian, list[lock.Wheel]]:
    debian, wheels = lock.debian(), lock.wheels()
    fetch.debs(debian)
    fetch.wheels(wheels)
    with tempfile.TemporaryDirectory() as folder:
        tree.make(root, debian.packages, wheels, our_wheel(Path(folder), debian.epoch))
    return debian, wheels


def inside(root: Path, *arguments: str) -> str:
    """Run pack.py by the image's own Python: no other one would compile and compress to the same bytes."""
    libraries = root / "usr/lib/x86_64-linux-gnu"
    python = [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries), str(root / "usr/bin/python3.11"), "-S", "-s", "-P", "-B"]
    environment = {"PYTHONHOME": str(root / "usr"), "PYTHONHASHSEED": "0", "PATH": "/nonexistent", "LANG": "C.UTF-8"}
    command = [*python, str(HERE / "pack.py"), str(root), *arguments]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def build(folder: Path) -> str:
    """Both files, in ``folder``; returns the digest."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise SystemExit("the image is made on Linux on amd64 alone: its own Python takes part in it")
    folder.mkdir(parents=True, exist_ok=True)
    name = f"irkit-{version()}"
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "root"
        root.mkdir()
        debian, wheels = fill(root)
        digest = inside(root, str(folder / f"{name}.oci.tar"), version(), str(debian.epoch), debian.created)
        (folder / f"{name}.spdx.json").write_text(sbom.document(root, debian, wheels, version(), digest))
    return digest


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "--root":
        Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
        fill(Path(sys.argv[2]))
        inside(Path(sys.argv[2]))
    elif len(sys.argv) == 2 and not sys.argv[1].startswith("-"):
        print(build(Path(sys.argv[1])))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main()
    except fetch.Unfetched as missing:
        print(missing, file=sys.stderr)
        sys.exit(3)
