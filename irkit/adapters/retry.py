"""Try again what may be tried again, with jitter and within a bound.

tenacity takes 30 ms to import, so it is imported when a first attempt has failed and not before. Who retries decides what
is safe: an attempt is told whether an earlier one may have reached the server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from irkit.errors import IrkitError
from irkit.ports import Clock

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0  # seconds


class Transient(Exception):
    """An attempt failed in a way that may pass.

    Args:
        error: what is raised when no try is left.
        after: seconds that the server asks to wait (Retry-After, RFC 9110 §10.2.3); None: it did not say.
        sent: whether the server may have received and done it.
    """

    def __init__(self, error: IrkitError, *, after: float | None = None, sent: bool = True) -> None:
        super().__init__(error.message)
        self.error, self.after, self.sent = error, after, sent


class Try(NamedTuple):
    """What an attempt must know: the seconds left for it, and whether one before it may have been done."""

    left: float
    maybe_done: bool


def call(attempt: Callable[[Try], T], clock: Clock, budget: float) -> T:
    """The result of the first attempt that succeeds; all together, waits included, take at most ``budget`` seconds.

    Raises the error of the last attempt, with the number of tries in its text.
    """
    began = clock.monotonic()
    try:
        return attempt(Try(budget, False))
    except Transient as lost:
        first = lost
    return _again(attempt, first, clock, began, budget)


def _again(attempt: Callable[[Try], T], first: Transient, clock: Clock, began: float, budget: float) -> T:
    from tenacity import Retrying, retry_if_exception_type, wait_random_exponential

    backoff = wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)
    failures = [first]

    def left() -> float:
        return budget - (clock.monotonic() - began)

    def once() -> T:
        if len(failures) == 1 and retrying.statistics["attempt_number"] == 1:
            raise first
        try:
            return attempt(Try(left(), any(failure.sent for failure in failures)))
        except Transient as lost:
            failures.append(lost)
            raise

    def wait(state: RetryCallState) -> float:
        return backoff(state) + (failures[-1].after or 0.0)

    def stop(state: RetryCallState) -> bool:
        return state.upcoming_sleep >= left()

    retrying = Retrying(sleep=clock.sleep, wait=wait, stop=stop, retry=retry_if_exception_type(Transient), reraise=True)
    try:
        return retrying(once)
    except Transient as last:
        raise _counted(last.error, len(failures)) from None


def _counted(error: IrkitError, tries: int) -> IrkitError:
    if tries > 1:
        error.message = f"{error.message} ({tries} tries)"
        error.args = (error.message,)
    return error
