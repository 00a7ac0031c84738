"""Small servers in threads of the test's own process, with TLS where asked."""

from __future__ import annotations

import contextlib
import socketserver
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from irkit.sandbox import tls as certificates


@contextlib.contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[str]:
    """The server answers for the time of a block. Gives ``127.0.0.1:PORT``."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def certificate() -> Iterator[tuple[ssl.SSLContext, Path]]:
    """A server context for 127.0.0.1 and localhost, and the file with the CA that clients are to trust."""
    identity = certificates.make()
    with tempfile.TemporaryDirectory(prefix="irkit-ca-") as directory:
        ca = Path(directory) / "ca.pem"
        ca.write_bytes(identity.ca)
        yield certificates.context(identity), ca
