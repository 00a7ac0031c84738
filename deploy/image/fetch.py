"""Gets what the locks name, once: it is kept outside the checkout by its digest, and checked each time it is used.

`IRKIT_DEBIAN_MIRROR` is asked first (default https://deb.debian.org), then snapshot.debian.org, which forgets nothing. apt does it where
there is apt, so that its proxies and certificates count. Wheels are fetched by pip, from wherever pip is configured for.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from deploy.image.lock import Deb, Debian, Wheel


class Unfetched(Exception):
    """Something that is locked is not to be had from here."""


HELPER = Path("/usr/lib/apt/apt-helper")


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "irkit" / "image"


def kept(digest: str) -> Path:
    return cache() / digest


def have(digest: str) -> bool:
    """Whether it is there and whole."""
    path = kept(digest)
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _keep(path: Path, digest: str) -> None:
    if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != digest:
        raise SystemExit(f"{path.name} has digest {found}, the lock says {digest}")
    cache().mkdir(parents=True, exist_ok=True)
    beside = cache() / f"{digest}.{os.getpid()}"
    shutil.copyfile(path, beside)
    beside.rename(kept(digest))


def debs(wanted: Debian) -> None:
    """Raises Unfetched where one is nowhere to be had, SystemExit where it is not the one that is locked."""
    mirror = os.environ.get("IRKIT_DEBIAN_MIRROR", "https://deb.debian.org").rstrip("/")
    for deb in wanted.packages:
        if have(deb.sha256):
            continue
        snapshot = f"https://snapshot.debian.org/archive/{deb.archive}/{wanted.snapshot}/{deb.path}"
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / Path(deb.path).name
            if not any(_download(url, target, deb) for url in (f"{mirror}/{deb.archive}/{deb.path}", snapshot)):
                raise Unfetched(f"{deb.name} {deb.version} is neither at {mirror} nor at snapshot.debian.org; deploy/image/lock.py names newer ones")
            _keep(target, deb.sha256)


def _download(url: str, target: Path, deb: Deb) -> bool:
    print(f"fetching {deb.name} {deb.version}", file=sys.stderr)
    if HELPER.exists():
        command = [str(HELPER), "-o", "Acquire::Retries=2", "download-file", url, str(target), f"SHA256:{deb.sha256}"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, target.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except OSError:
        return False
    return True


def wheels(wanted: Sequence[Wheel]) -> None:
    """Raises Unfetched where pip can't; it says why."""
    missing = [w for w in wanted if not have(w.sha256)]
    if not missing:
        return
    print(f"fetching {len(missing)} wheels", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"{w.name}=={w.version} --hash=sha256:{w.sha256}" for w in missing]
        (Path(folder) / "requirements.txt").write_text("\n".join(lines))
        platforms = [f"--platform={p}_x86_64" for p in ("manylinux2014", *(f"manylinux_2_{n}" for n in range(36, 16, -1)))]
        options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version=3.11", "--implementation=cp", *platforms]
        command = [sys.executable, "-m", "pip", "download", "--quiet", *options, "-r", "requirements.txt", "-d", "."]
        if done := subprocess.run(command, cwd=folder, check=False).returncode:
            raise Unfetched(f"pip download ended with {done}")
        for wheel in missing:
            _keep(Path(folder) / wheel.filename, wheel.sha256)
