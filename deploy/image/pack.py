"""From the image's root directory to an OCI archive, to the last byte the same wherever it is made.

The image's own Python runs this (build.py starts it), because its compiler, its tar and its gzip decide the bytes. So it imports nothing but
the standard library:  pack.py ROOT [OUT VERSION EPOCH CREATED]      without OUT it only compiles
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import py_compile
import stat
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

SITE = "usr/local/lib/python3.11/dist-packages/"
SELDOM = f"{SITE}kubernetes/"  # imported where a kubeconfig has a legacy auth-provider alone: 60 MB of bytecode for nobody
USER = 65532
OWNED = {"home/irkit": 0o700, "var/lib/irkit": 0o700}  # by the image's user
ENTRYPOINT = ["/usr/bin/irkit"]
ENVIRONMENT = {
    "HOME": "/home/irkit",
    "IRKIT_HOME": "/var/lib/irkit",
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin",
    "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
}


def compiled(root: Path, names: list[str]) -> None:
    """Bytecode beside every source, valid whatever the time of the source: the container's root is read-only."""
    for name in names:
        target = root / Path(name).parent / "__pycache__" / f"{Path(name).stem}.cpython-311.pyc"
        try:
            py_compile.compile(
                str(root / name), cfile=str(target), dfile=f"/{name}", doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
            )
        except py_compile.PyCompileError:  # templates and samples that are not Python 3
            continue


def walk(root: Path) -> Iterator[tuple[str, Path]]:
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            yield str(path.relative_to(root)), path


def layer_of(name: str) -> int:
    """0: Debian; 1: what irkit needs; 2: irkit. The later ones change more often."""
    if name == "usr/bin/irkit" or name.startswith((f"{SITE}irkit/", f"{SITE}irkit-")) or name == f"{SITE}irkit":
        return 2
    return int(name.startswith(SITE))


def layers(root: Path, epoch: int) -> list[bytes]:
    """A tar each: sorted, one time, root's but for what the image's user owns."""
    entries = [(layer_of(name), name, path) for name, path in sorted(walk(root))]
    return [_layer([(name, path) for where, name, path in entries if where == number], epoch) for number in range(3)]


def _layer(entries: list[tuple[str, Path]], epoch: int) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, path in entries:
            entry, content = _entry(name, path)
            entry.mtime = epoch
            archive.addfile(entry, io.BytesIO(content))
    return raw.getvalue()


def _entry(name: str, path: Path) -> tuple[tarfile.TarInfo, bytes]:
    about, entry, content = path.lstat(), tarfile.TarInfo(name), b""
    if name in OWNED:
        entry.uid = entry.gid = USER
    if path.is_symlink():
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
    elif stat.S_ISDIR(about.st_mode):
        entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else OWNED.get(name, 0o755)
    else:
        content = path.read_bytes()
        entry.size, entry.mode = len(content), 0o755 if about.st_mode & 0o100 else 0o644
    return entry, content


def written(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def pack(root: Path, out: Path, version: str, epoch: int, created: str) -> str:
    """Write the archive; returns the digest of the image's manifest, by which a cluster names it."""
    blobs: dict[str, bytes] = {}

    def blob(kind: str, content: bytes) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    found = layers(root, epoch)
    labels = {
        "org.opencontainers.image.title": "irkit",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "Apache-2.0",
    }
    settings = {
        "User": f"{USER}:{USER}",
        "Env": [f"{k}={v}" for k, v in ENVIRONMENT.items()],
        "Entrypoint": ENTRYPOINT,
        "WorkingDir": "/",
        "Labels": labels,
    }
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": created,
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(f).hexdigest()}" for f in found]},
        "history": [{"created": created, "created_by": by} for by in ("Debian packages", "what irkit needs", "irkit")],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("config.v1+json", written(config)),
        "layers": [blob("layer.v1.tar+gzip", gzip.compress(f, 6, mtime=0)) for f in found],
    }
    described = blob("manifest.v1+json", written(manifest))
    names = {"io.containerd.image.name": f"localhost/irkit:{version}", "org.opencontainers.image.ref.name": version}
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{**described, "platform": {"architecture": "amd64", "os": "linux"}, "annotations": names}],
    }
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in (("oci-layout", written({"imageLayoutVersion": "1.0.0"})), ("index.json", written(index)), *sorted(blobs.items())):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), epoch, 0o644
            archive.addfile(entry, io.BytesIO(content))
    return str(described["digest"])


def compile_all(root: Path) -> None:
    """In two processes, each always with the same files: what they have in common shows in the bytes."""
    sources = sorted(name for name, path in walk(root) if name.endswith(".py") and not name.startswith(SELDOM) and not path.is_symlink())
    half, other = len(sources) // 2, os.fork()
    compiled(root, sources[:half] if other else sources[half:])
    if not other:
        os._exit(0)
    if os.waitpid(other, 0)[1]:
        sys.exit("the other half was not compiled")


def main() -> None:
    root = Path(sys.argv[1])
    compile_all(root)
    if len(sys.argv) > 2:
        out, version, epoch, created = sys.argv[2:]
        print(pack(root, Path(out), version, int(epoch), created))


if __name__ == "__main__":
    main()
