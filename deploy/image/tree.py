"""The image's root directory: files of Debian packages and of wheels, laid out as an installation would, without running anything of them."""

from __future__ import annotations

import io
import lzma
import shutil
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from deploy.image import fetch
from deploy.image.lock import Deb, Wheel
from deploy.image.pack import SITE, USER

MERGED = ("bin", "lib", "lib64", "sbin")  # each a link into /usr, as in an installed Debian
LEFT_OUT = (
    "usr/share/doc/*/*", "usr/share/man/*", "usr/share/lintian/*", "usr/share/locale/*", "usr/share/bug/*", "usr/share/menu/*",
    "usr/share/doc-base/*", "usr/share/gcc/*", "usr/share/binfmts/*", "usr/share/pixmaps/*", "usr/share/applications/*",
    "usr/share/base-files/*", "etc/update-motd.d/*", "etc/cron*/*", "etc/dpkg/*", "usr/bin/*", "usr/sbin/*", "etc/default/*",
    "etc/ld.so.conf.d/*", "usr/lib/x86_64-linux-gnu/gconv/*", "usr/lib/x86_64-linux-gnu/audit/*", "var/*", "etc/python3*/*",
    # parts of Python's library whose own libraries are left out, or that nothing here is for
    "usr/lib/python3.11/lib-dynload/_crypt.*", "usr/lib/python3.11/lib-dynload/_curses*", "usr/lib/python3.11/lib-dynload/_dbm.*",
    "usr/lib/python3.11/lib-dynload/_sqlite3.*", "usr/lib/python3.11/lib-dynload/nis.*", "usr/lib/python3.11/lib-dynload/readline.*",
    "usr/lib/python3.11/lib-dynload/_*test*", "usr/lib/python3.11/lib-dynload/_xx*", "usr/lib/python3.11/lib-dynload/xx*",
    "usr/lib/python3.11/pydoc_data/*", "usr/lib/python3.11/sqlite3/*", "usr/lib/python3.11/curses/*", "usr/lib/python3.11/dbm/*",
    "usr/lib/python3.11/lib2to3/*", "usr/lib/python3.11/distutils/*", "usr/lib/python3.11/ensurepip/*", "usr/lib/python3.11/venv/*",
    "usr/lib/python3.11/turtle.py", "usr/lib/python3.11/test/*", "usr/lib/python3.11/wsgiref/*", "usr/lib/python3.11/xmlrpc/*",
)  # fmt: skip
KEPT = ("usr/share/doc/*/copyright", "usr/bin/python3.11")
LAUNCHER = """#!/usr/bin/python3.11 -I
from irkit.__main__ import main

main()
"""
FILES = {
    "etc/passwd": f"root:x:0:0:root:/nonexistent:/nonexistent\nirkit:x:{USER}:{USER}:irkit:/home/irkit:/nonexistent\n",
    "etc/group": f"root:x:0:\nirkit:x:{USER}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "usr/bin/irkit": LAUNCHER,
}


def make(root: Path, packages: tuple[Deb, ...], wheels: list[Wheel], ours: Path) -> None:
    """Fill ``root``, an empty directory. ``ours``: irkit's wheel."""
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for deb in packages:
        _unpack(root, deb)
    for wheel in wheels:
        install(root / SITE, fetch.kept(wheel.sha256))
    install(root / SITE, ours)
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
    (root / "usr/bin/irkit").chmod(0o755)
    for name in ("tmp", "home/irkit", "var/lib/irkit", "proc", "sys", "dev", "run", "root"):
        (root / name).mkdir(parents=True, exist_ok=True)
    _certificates(root)


def members(deb: Deb) -> dict[str, bytes]:
    """The parts of a .deb, which is an ar archive (deb(5)): ``control.tar.xz``, ``data.tar.xz``."""
    raw, at, found = fetch.kept(deb.sha256).read_bytes(), 8, {}
    while at < len(raw):
        name, size = raw[at : at + 16].decode().strip().rstrip("/"), int(raw[at + 48 : at + 58])
        found[name] = raw[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    return found


def control(deb: Deb) -> str:
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(members(deb)["control.tar.xz"]))) as archive:
        file = archive.extractfile("./control")
        assert file is not None
        return file.read().decode()


def wanted(path: str) -> bool:
    whole = PurePosixPath(path)
    within = (whole, *whole.parents)
    return any(whole.match(k) for k in KEPT) or not any(w.match(pattern) for w in within for pattern in LEFT_OUT if len(w.parts) > 1)


def _unpack(root: Path, deb: Deb) -> None:
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(members(deb)["data.tar.xz"]))) as archive:
        for entry in archive:
            path = entry.name.removeprefix("./").strip("/")
            if path.split("/")[0] in MERGED:
                path = f"usr/{path}"
            if entry.isdir() or not wanted(path):
                continue
            target = root / path
            if ".." in path.split("/") or not target.parent.resolve().is_relative_to(root.resolve()) or (target.is_symlink() and not entry.issym()):
                raise SystemExit(f"{deb.name} has {path}, which is not in the image alone")
            target.parent.mkdir(parents=True, exist_ok=True)
            if entry.issym():
                target.unlink(missing_ok=True)
                target.symlink_to(entry.linkname)
                continue
            if not entry.isreg():
                raise SystemExit(f"{deb.name} has {path}, which is no plain file")
            file = archive.extractfile(entry)
            assert file is not None
            target.write_bytes(file.read())
            target.chmod(0o755 if entry.mode & 0o100 else 0o644)
    status = root / "var/lib/dpkg/status.d" / deb.name  # where scanners of images look for what is installed
    status.parent.mkdir(parents=True, exist_ok=True)
    status.write_text(control(deb))


def install(site: Path, wheel: Path) -> None:
    """Unpack a wheel (PEP 427). What it has for other places than the library is left out: scripts, headers, manual pages."""
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            name = info.filename
            if ".data/" in name:
                head, _, rest = name.partition(".data/")
                kind, _, name = rest.partition("/")
                if "/" in head or kind not in ("purelib", "platlib"):
                    continue
            if name.endswith("/"):
                continue
            if {"", ".."} & set(name.split("/")):
                raise SystemExit(f"{wheel.name} has {name}, which is not in the image alone")
            target = site / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
            target.chmod(0o644)


def _certificates(root: Path) -> None:
    """What update-ca-certificates would make of the package's certificates."""
    found = sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_bytes(b"".join(f.read_bytes() for f in found))
