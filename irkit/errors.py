"""Everything that irkit says when something can't be done.

    IrkitError                 1  unexpected failure
    ├── UsageError             2  wrong arguments, settings or target
    │   ├── PlaybookError      2  mistakes in a playbook, all of them
    │   └── KubeconfigError    2  no usable kubeconfig
    ├── Declined               3  a human said no, or nobody was there to say yes
    ├── ForbiddenError         4  the cluster does not allow it (403)
    │   └── LoginError         4  it does not know who asks (401): a token that expired, perhaps in the middle of a run
    ├── ScannerError           5  a scanner or signature check on this machine failed
    ├── EndStateError          5  acted, but the end state does not hold
    ├── EvidenceError          6  evidence incomplete or a bundle invalid
    ├── UnreachableError       7  no answer, or not in time
    │   ├── UndeliveredError   7  somebody was not told; never the outcome of a run
    │   └── BusyError          7  a server wants to be left alone for a while
    ├── RefusedError           8  refused for safety
    │   ├── HeldError          8  somebody else works on this target
    │   └── QueueFullError     8  too many orders wait already
    ├── InterruptedRun       130  stopped by a signal; the journal is intact
    └── ApiError               1  an answer of the API server with no better class
        ├── NotFoundError         404
        ├── ConflictError         409: changed meanwhile, or exists already
        ├── GoneError             410: a list or watch must start again
        └── InvalidError          400, 422: refused by validation or admission

Each class knows its exit code and the one next thing to do, unless the instance
knows a better one. Texts hold nothing of a response body but the ``message`` of a
``kind: Status``, escaped and cut (an error body may hold secrets).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from irkit.text import plural, printable

# Where several apply, the first of these is the exit code of the run (design.md §5).
PRECEDENCE = (130, 2, 1, 5, 6, 8, 4, 7, 3)


class IrkitError(Exception):
    """Something a person must know, in one sentence, and what to do ``next`` about it."""

    exit_code: ClassVar[int] = 1
    otherwise: ClassVar[str] = "irkit doctor"  # what to do next where the instance says nothing

    def __init__(self, message: str, *, next: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next = next
        self.incident: str | None = None  # in whose run it was raised, once that has a durable record


class UsageError(IrkitError):
    exit_code = 2
    otherwise = "irkit --help"


class Mistake:
    """One mistake in a file, at a place that editors understand (``file:line:col``)."""

    __slots__ = ("column", "file", "line", "message")

    def __init__(self, file: str, line: int, column: int, message: str) -> None:
        self.file, self.line, self.column, self.message = file, line, column, message

    def __str__(self) -> str:
        return f"{printable(self.file)}:{self.line}:{self.column}: {self.message}"


class PlaybookError(UsageError):
    """All mistakes of one playbook, in the order of the file."""

    otherwise = "mend the file, then the same command again"

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = sorted(mistakes, key=lambda m: (m.file, m.line, m.column))
        lines = [str(m) for m in self.mistakes]
        super().__init__("\n".join([*lines, f"{plural(len(lines), 'mistake')}; nothing was run."]))


class KubeconfigError(UsageError):
    otherwise = "mend the kubeconfig, or name another one: --kubeconfig FILE, or KUBECONFIG"


class Declined(IrkitError):
    exit_code = 3
    otherwise = "the same command again"


class ForbiddenError(IrkitError):
    exit_code = 4


class LoginError(ForbiddenError):
    otherwise = "log in again, or fetch the kubeconfig anew"


class EndStateError(IrkitError):
    exit_code = 5
    otherwise = "irkit verify"


class ScannerError(IrkitError):
    """A program that judges images did not: nothing is known about the image."""

    exit_code = 5
    otherwise = "run that program by hand"


class EvidenceError(IrkitError):
    exit_code = 6
    otherwise = "irkit incident list"


class UnreachableError(IrkitError):
    exit_code = 7


class UndeliveredError(UnreachableError):
    """A message did not get to somebody, who may be told by telephone; `resume` tries again.

    ``down``: the server itself can't be used now, so that others need not be tried there.
    """

    otherwise = "irkit resume"

    def __init__(self, message: str, *, next: str = "", down: bool = False) -> None:
        super().__init__(message, next=next)
        self.down = down


class BusyError(UnreachableError):
    """A server answered that it has had enough requests; after ``seconds`` it takes more."""

    def __init__(self, message: str, *, seconds: float, next: str = "") -> None:
        super().__init__(message, next=next)
        self.seconds = seconds


class RefusedError(IrkitError):
    exit_code = 8


class HeldError(RefusedError):
    """Another run holds the target; ``holder`` says who and since when."""

    def __init__(self, target: str, holder: str) -> None:
        super().__init__(f"{printable(target)} is held by {printable(holder)}", next="wait for that run, or talk to its operator")
        self.holder = holder


class QueueFullError(RefusedError):
    """The queue takes no more until some of its orders are over."""

    otherwise = "irkit order list"


class InterruptedRun(IrkitError):
    exit_code = 130
    otherwise = "the same command again"


class ApiError(IrkitError):
    """An answer of the API server: HTTP ``status``, Kubernetes ``reason``."""

    def __init__(self, message: str, *, status: int, reason: str = "", next: str = "") -> None:
        super().__init__(message, next=next)
        self.status = status
        self.reason = reason


class NotFoundError(ApiError):
    pass


class ConflictError(ApiError):
    pass


class GoneError(ApiError):
    pass


class InvalidError(ApiError):
    pass


def passing(error: IrkitError) -> bool:
    """Whether a later try may get an answer: nobody gave one, or not to this login. Any other refusal is one for good."""
    return isinstance(error, UnreachableError | LoginError)


def worst(codes: Iterable[int]) -> int:
    """The exit code of a run in which all of ``codes`` apply."""
    found = {code for code in codes if code}
    return next((code for code in PRECEDENCE if code in found), 1 if found else 0)
