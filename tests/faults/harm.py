"""What can be done to a request, and to which."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

WRITING = ("POST", "PUT", "PATCH", "DELETE")


@dataclass
class Request:
    """One request, as the client sent it. ``status`` is what the API server answered; None: it was not asked."""

    number: int  # from 0, in the order of arrival
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    status: int | None = None

    @property
    def dry_run(self) -> bool:
        return self.query.get("dryRun") == "All"


Match = Callable[[Request], bool]


def anything(request: Request) -> bool:
    return True


def nth(number: int) -> Match:
    """Request ``number``, counted from 0."""
    return lambda request: request.number == number


def writes(request: Request) -> bool:
    """What changes the cluster: no dry run, no review (a POST that only asks)."""
    return request.method in WRITING and not request.dry_run and "reviews" not in request.path


def lists(plural: str) -> Match:
    return lambda request: request.method == "GET" and request.path.endswith(f"/{plural}")


@dataclass(frozen=True)
class Kill:
    """A signal for ``proxy.victim``; then the connection is silent for ``silence`` seconds, and ends without an answer."""

    signal: int = signal.SIGKILL
    silence: float = 0.0


@dataclass(frozen=True)
class Cut:
    """The connection is reset: without an answer, or ``after_bytes`` of its body."""

    after_bytes: int | None = None


@dataclass(frozen=True)
class Answer:
    """This answer, whatever the API server said."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Delay:
    seconds: float


Harm = Kill | Cut | Answer | Delay


@dataclass(frozen=True)
class Timed:
    """Harm done before the API server is asked (which then it is not, but for a delay), or after it has answered."""

    when: Literal["before", "after"]
    harm: Harm


def before(harm: Harm) -> Timed:
    return Timed("before", harm)


def after(harm: Harm) -> Timed:
    return Timed("after", harm)
