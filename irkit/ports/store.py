"""Where bags are put besides: a bucket with the S3 protocol."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple, Protocol


class Deposit(NamedTuple):
    """One object of a store. ``verified``: the store's checksum of what it took is that of what was sent."""

    octets: int
    tag: str  # ETag
    version: str = ""
    verified: bool = False


class Stream(Protocol):
    """What can be read from."""

    def read(self, size: int = -1, /) -> bytes | None: ...


class ObjectStore(Protocol):
    """A bucket with the S3 protocol. Every method may raise UnreachableError, ForbiddenError, ApiError; UsageError without the bucket."""

    def url(self, key: str) -> str:
        """``s3://bucket/prefix/key``."""

    def head(self, key: str) -> Deposit | None:
        """None where there is no such object."""

    def put(self, key: str, stream: Stream, octets: int, about: Mapping[str, str], keep: tuple[str, datetime] | None) -> Deposit:
        """Store it; ``keep``: governance or compliance, and until when. Raises ConflictError where the key is taken already."""

    def get(self, key: str) -> AbstractContextManager[Stream]:
        """The object, streamed. Raises NotFoundError."""
