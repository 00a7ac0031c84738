"""A process that fills a bag until it is killed: ``filling.py BAGS COUNT``. Says the path of each artefact that it was promised."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from irkit.errors import UnreachableError
from irkit.evidence.store import BagStore
from irkit.model.evidence import Artefact, Stored


def chunk(number: int) -> bytes:
    return zlib.crc32(b"%d" % number).to_bytes(4, "big") * 25_000


def fill(bags: Path, count: int) -> None:
    writer = BagStore(bags).open(1)

    def add(number: int) -> None:
        def source() -> Iterator[bytes]:
            for _ in range(number % 7):
                yield chunk(number)
            if number % 11 == 10 and os.environ.get("SOURCE") == "broken":
                raise UnreachableError("no answer")

        piece = Artefact(("pods", str(number % 5), f"{number}.log"), source, f"log {number}", ("all.txt",) if number % 3 == 0 else ())
        if isinstance(writer.add(piece), Stored):
            os.write(1, b"%d\n" % number)  # one write: never torn

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(count)))
    os.write(1, b"sealing\n")
    writer.seal({"External-Identifier": "incident-1"})
    os.write(1, b"sealed\n")


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]))
