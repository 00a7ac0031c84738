"""A signature over time and body (HMAC-SHA-256), in two forms:

- one header ``t=SECONDS,v1=HEX``, as irkit's own messages have it (docs/reference/notify.md);
- two headers, the time in one, ``HEX`` or ``sha256=HEX`` in the other.

In both, what is signed is ``SECONDS.BODY``. A signature counts once: within the window in which its time is believed it is
remembered. As many are remembered as the source's rate lets come in that time, so none is forgotten too soon.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from pathlib import Path

from irkit.errors import UsageError
from irkit.listeners.web.auth.errors import Unauthenticated
from irkit.model.http import Head
from irkit.ports import Clock
from irkit.settings.serve import HmacSettings
from irkit.text import printable

SHORTEST = 16  # bytes of a key
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_SECONDS = re.compile(r"[0-9]{1,12}")


class Signed:
    def __init__(self, name: str, settings: HmacSettings, clock: Clock, most: int) -> None:
        """``most``: signatures that are remembered. Raises UsageError where a key can't be read."""
        self._settings, self._clock, self._most = settings, clock, most
        self._keys = [_key(name, file) for file in settings.secret_files]
        self._seen: OrderedDict[bytes, float] = OrderedDict()  # when each ends to be believed

    def head(self, head: Head) -> str:
        at, _ = self._given(head)
        if abs(self._clock.now().timestamp() - at) > self._settings.tolerance:
            raise Unauthenticated(f"the signature's time is more than {self._settings.tolerance:g} s from now here; compare the clocks")
        return ""

    def body(self, head: Head, body: bytes) -> str:
        self.head(head)
        at, given = self._given(head)
        message = b"%d.%s" % (at, body)
        fitting = [hmac.compare_digest(given, hmac.digest(key, message, hashlib.sha256)) for key in self._keys]
        if not any(fitting):
            raise Unauthenticated("the signature is not that of this body and time")
        self._once(given, at + self._settings.tolerance)
        return "signature"

    def forget(self, head: Head) -> None:
        self._seen.pop(self._given(head)[1], None)

    def _once(self, signature: bytes, until: float) -> None:
        now = self._clock.now().timestamp()
        while self._seen and next(iter(self._seen.values())) < now:
            self._seen.popitem(last=False)
        if signature in self._seen:
            raise Unauthenticated("this message came before: a signature counts once")
        if len(self._seen) >= self._most:
            raise Unauthenticated("more signed messages came than this source may send; this one can't be told from a repetition")
        self._seen[signature] = until

    def _given(self, head: Head) -> tuple[int, bytes]:
        """The time and the signature as sent."""
        value, time = head.headers.get(self._settings.header.lower(), ""), ""
        if self._settings.timestamp_header:
            time = head.headers.get(self._settings.timestamp_header.lower(), "").strip()
            value = value.strip().removeprefix("sha256=")
        else:
            parts = dict(part.strip().partition("=")[::2] for part in value.split(",")[:8])
            time, value = parts.get("t", ""), parts.get("v1", "")
        if not value and not time:
            raise Unauthenticated(f"this source takes signed messages: header {self._settings.header}")
        if not _HEX.fullmatch(value) or not _SECONDS.fullmatch(time):
            raise Unauthenticated("the signature is not 64 hexadecimal digits with a time in seconds since 1970")
        return int(time), bytes.fromhex(value)


def _key(name: str, file: Path) -> bytes:
    try:
        key = file.expanduser().read_bytes().strip()
    except OSError as error:
        raise UsageError(f"serve.sources.{printable(name, 60)}: the key in {printable(file)} can't be read: {error.strerror}") from None
    if len(key) < SHORTEST:
        raise UsageError(f"serve.sources.{printable(name, 60)}: the key in {printable(file)} is shorter than {SHORTEST} bytes")
    return key
