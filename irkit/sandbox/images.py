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
    """Every image can be pulled and gets ready, but for what is said here. In a repository that pushed any, an unknown digest is missing."""

    def __init__(self) -> None:
        self._pushed: set[str] = set()
        self._unready: set[str] = set()
        self._missing: set[str] = set()

    def push(self, image: str, *, ready: bool = True) -> str:
        """There is this image, by tag or by digest; without ``ready`` its containers run and never become ready. Returns it by digest."""
        found = resolved(image)
        self._pushed.add(found)
        self._missing.discard(image)
        if not ready:
            self._unready |= {image, found}
        return found

    def remove(self, image: str) -> None:
        """This reference can't be pulled any more."""
        self._missing.add(image)

    def state(self, image: str) -> Literal["ready", "unready", "missing"]:
        repository, _, digest = split(image)
        known = {pushed for pushed in self._pushed if split(pushed)[0] == repository}
        if image in self._missing or (digest and known and f"{repository}@{digest}" not in known):
            return "missing"
        return "unready" if image in self._unready or f"{repository}@{digest}" in self._unready else "ready"
