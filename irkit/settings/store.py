"""An object store (S3 protocol) that sealed bags are pushed to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from irkit.settings.notify import refused
from irkit.settings.section import Section

Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=3600)]
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()-][A-Za-z0-9!_.*'()/-]{0,400}|")


class StoreSettings(Section, frozen=True):
    bucket: str
    """The bucket. irkit makes none."""
    endpoint: str = "https://s3.amazonaws.com"
    """``https://…``; ``http://`` only to this machine."""
    prefix: str = ""
    """What keys begin with: ``irkit/prod``."""
    region: str = "us-east-1"
    """Which region signatures are for."""
    access_key_file: Path | None = None
    """A file that holds the access key's id; without it, the environment (``AWS_ACCESS_KEY_ID``, ``AWS_WEB_IDENTITY_TOKEN_FILE``) or ``~/.aws``."""
    secret_key_file: Path | None = None
    """A file that holds the secret access key."""
    session_token_file: Path | None = None
    """A file that holds the session token, where the key has one."""
    ca_file: Path | None = None
    """A PEM file of authorities; without it, the system's."""
    timeout: Seconds = 60.0
    """Seconds without an answer after which one request is over."""
    push: bool = False
    """Whether every bag is pushed at the end of the run that sealed it."""
    retention: Literal["none", "governance", "compliance"] = "none"
    """Object lock: for so many days nobody may delete it without a special right (governance), or at all (compliance)."""
    retention_days: Annotated[int, msgspec.Meta(ge=0, le=36500)] = 0
    """Days of that."""

    def __post_init__(self) -> None:
        if why := refused(self.endpoint):
            raise ValueError(f"store.endpoint: {why}")
        if not _BUCKET.fullmatch(self.bucket):
            raise ValueError("store.bucket is no bucket's name")
        if not _PREFIX.fullmatch(self.prefix) or (any(part in (".", "..", "") for part in self.prefix.strip("/").split("/")) and self.prefix):
            raise ValueError("store.prefix takes letters, digits, /, _, . and -")
        if bool(self.access_key_file) != bool(self.secret_key_file):
            raise ValueError("store.access-key-file and secret-key-file go together")
        if (self.retention != "none") != bool(self.retention_days):
            raise ValueError("store.retention and retention-days go together")
