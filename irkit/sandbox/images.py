"""Which images there are to pull, and which of them start but never become ready."""

from __future__ import annotations

from typing import Literal

from irkit.sandbox.names import digest_of


def split(image: str) -> tuple[str, str, str]:
    """Repository, tag and digest (``sha256:…``) of a reference; what it does not name is empty."""
    rest, _, digest = image.partition("@")
    head, slash, last = rest.rpartition("/")
    name, _, tag = last.partition(":")
    return f"{head}{slash}{name}", tag, digest


def resolved(image: str) -> str:
    """The reference by digest of what a node pulled for ``image``: ``imageID`` of a container's status."""
    repository, _, digest = split(image)
    return f"{repository}@{digest or f'sha256:{digest_of(image)}'}"


class Images:
    """Every image can be pulled and becomes ready, but for what is said here. A reference by tag and the same one by digest are one."""

    def __init__(self) -> None:
        self._unready: set[str] = set()
        self._missing: set[str] = set()

    def spoil(self, image: str) -> str:
        """Its containers run and never become ready. Returns it by digest."""
        self._unready.add(resolved(image))
        return resolved(image)

    def remove(self, image: str) -> str:
        """It can't be pulled. Returns it by digest."""
        self._missing.add(resolved(image))
        return resolved(image)

    def state(self, image: str) -> Literal["ready", "unready", "missing"]:
        found = resolved(image)
        return "missing" if found in self._missing else "unready" if found in self._unready else "ready"
