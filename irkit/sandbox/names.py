"""Names, uids and hashes that depend on the seed and on what they name, and on nothing else.

No generator is shared: two runs whose requests interleave otherwise still give every object the same uid and name.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter

import msgspec

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery's util/rand: no vowels, no words


class Names:
    def __init__(self, seed: int, cluster: str = "") -> None:
        self._seed = seed
        self._given: dict[tuple[str, ...], str] = {("", "namespaces", "", "kube-system"): cluster} if cluster else {}
        self._made: Counter[tuple[str, ...]] = Counter()

    def uid(self, *parts: str) -> str:
        """A new UUID for an object; the second of the same name gets another."""
        if given := self._given.get(parts):
            return given
        return str(uuid.UUID(bytes=self._digest("uid", *self._numbered("uid", *parts))[:16], version=4))

    def suffix(self, *parts: str, length: int = 5) -> str:
        """What ``generateName`` appends, another one at each call."""
        return letters(self._digest("suffix", *self._numbered("suffix", *parts)), length)

    def text(self, alphabet: str, length: int, *parts: str) -> str:
        """Characters of ``alphabet``, others at each call: a password that nobody knows beforehand, but the seed."""
        digest = hashlib.shake_256(self._digest("text", *self._numbered("text", *parts))).digest(4 * length)
        return "".join(alphabet[int.from_bytes(digest[n : n + 4], "big") % len(alphabet)] for n in range(0, 4 * length, 4))

    def number(self, limit: int, *parts: str) -> int:
        """A number below ``limit`` that is always the same for the same parts."""
        return int.from_bytes(self._digest("number", *parts)[:8], "big") % limit

    def _numbered(self, *parts: str) -> tuple[str, ...]:
        self._made[parts] += 1
        return *parts, str(self._made[parts])

    def _digest(self, *parts: str) -> bytes:
        return hashlib.sha256("\0".join((str(self._seed), *parts)).encode()).digest()


def letters(digest: bytes, length: int) -> str:
    return "".join(_ALPHABET[b % len(_ALPHABET)] for b in digest[:length])


def template_hash(template: object) -> str:
    """``pod-template-hash``: the same for the same template."""
    return letters(hashlib.sha256(msgspec.json.encode(template, order="deterministic")).digest(), 10)


def digest_of(text: str) -> str:
    """A stable stand-in for an image or container digest."""
    return hashlib.sha256(text.encode()).hexdigest()
