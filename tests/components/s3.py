"""A real object store: versitygw (S3 protocol) over a directory, with versions and object lock, on loopback."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irkit.sandbox import tls as certificates
from tests.components.process import directory, started
from tests.controlplane.binaries import NotBuilt, find
from tests.controlplane.cluster import free_ports

CANARY = "c4nary-of-the-store"


@dataclass
class Store:
    """A server that runs. ``files`` is where its buckets are, as directories; ``client`` is minio's, as its owner."""

    endpoint: str
    files: Path
    access: str
    secret: str
    ca: Path | None
    pid: int
    client: Any

    def bucket(self, *, lock: bool = False) -> str:
        """A fresh bucket."""
        name = f"bags-{secrets.token_hex(4)}"
        self.client.make_bucket(name, object_lock=lock)
        return name

    def settings(self, bucket: str, keys: Path, **more: Any) -> dict[str, Any]:
        """irkit's settings for it; its key is in files below ``keys``."""
        (keys / "access").write_text(self.access + "\n")
        (keys / "secret").write_text(self.secret + "\n")
        ca = {"ca-file": str(self.ca)} if self.ca else {}
        return {"endpoint": self.endpoint, "bucket": bucket, "access-key-file": str(keys / "access"), "secret-key-file": str(keys / "secret"),
                "timeout": 5, **ca, **more}  # fmt: skip

    def objects(self, bucket: str) -> dict[str, int]:
        """Keys and sizes."""
        return {str(o.object_name): int(o.size or 0) for o in self.client.list_objects(bucket, recursive=True)}


@contextlib.contextmanager
def running(*, tls: bool = False) -> Iterator[Store]:
    """A server of its own for the time of a block. Raises ImportError where it is not built or the client is not there."""
    import minio
    import urllib3

    try:
        program = find("versitygw")
    except NotBuilt as error:
        raise ImportError(str(error)) from None
    with directory("s3") as home:
        (port,) = free_ports(1)
        for name in ("buckets", "versions"):
            (home / name).mkdir()
        options: list[object] = []
        if tls:
            identity = certificates.make()
            for name, pem in (("ca", identity.ca), ("server", identity.certificate), ("key", identity.key)):
                (home / f"{name}.pem").write_bytes(pem)
            options = ["--cert", home / "server.pem", "--key", home / "key.pem"]
        ca = home / "ca.pem" if tls else None
        access, secret = secrets.token_hex(8), f"{CANARY}-{secrets.token_hex(8)}"
        http = urllib3.PoolManager(ca_certs=str(ca) if ca else None, retries=False)
        client = minio.Minio(f"127.0.0.1:{port}", access, secret, secure=tls, http_client=http, region="us-east-1")

        def ready() -> bool:
            try:
                client.list_buckets()
            except (OSError, urllib3.exceptions.HTTPError, minio.error.MinioException):
                return False
            return True

        command = [program, "--port", f"127.0.0.1:{port}", "--quiet", *options, "posix", "--versioning-dir", home / "versions", home / "buckets"]
        environ = {"HOME": str(home), "ROOT_ACCESS_KEY": access, "ROOT_SECRET_KEY": secret, "PATH": os.environ["PATH"]}
        with started(command, home / "log", ready, environ=environ) as process:
            yield Store(f"{'https' if tls else 'http'}://127.0.0.1:{port}", home / "buckets", access, secret, ca, process.pid, client)
        http.clear()
