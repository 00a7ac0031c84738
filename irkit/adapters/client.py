"""Requests with JSON answers: the transport, retries and the error tree in one place, for the methods of the port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

import msgspec

from irkit.adapters import answers, retry
from irkit.adapters.credentials import expired
from irkit.adapters.retry import Transient, Try
from irkit.errors import ApiError, UsageError
from irkit.model.kube import Obj
from irkit.text import printable, size

if TYPE_CHECKING:
    from irkit.adapters.transport import Reply, Transport
    from irkit.ports import Clock

T = TypeVar("T")
Query = Mapping[str, str | int]
JSON, MERGE_PATCH = "application/json", "application/merge-patch+json"


class Client:
    """Thread-safe. Every method raises ForbiddenError, UnreachableError, ApiError."""

    def __init__(self, transport: Transport, clock: Clock, budget: float) -> None:
        self.transport, self.clock, self._budget = transport, clock, budget

    def retried(self, attempt: Callable[[Try], T]) -> T:
        return retry.call(attempt, self.clock, self._budget)

    def get(self, path: str, query: Query | None = None) -> Obj:
        return self.retried(lambda tried: self.once(tried, "GET", path, query))

    def post(self, path: str, body: Obj) -> Obj:
        """A POST that creates nothing (the reviews of authorization.k8s.io): safe to repeat."""
        return self.retried(lambda tried: self.once(tried, "POST", path, None, body))

    def once(self, tried: Try, method: str, path: str, query: Query | None = None, body: Any = None, kind: str = JSON) -> Obj:
        """One attempt. Raises Transient where another may help."""
        with self.opened(method, path, query, body, kind, left=tried.left) as reply:
            document = answers.decoded(reply.read())
        if not isinstance(document, dict):
            raise ApiError(f"{method} {printable(path)}: the answer is no JSON object", status=reply.status)
        return document

    def stream(self, path: str, query: Query | None = None, *, accept: str = "*/*", final: frozenset[int] = frozenset()) -> Reply:
        """An answer of 200 whose body is still to be read; ``final`` statuses are not tried again. Close it."""
        return self.retried(lambda tried: self.opened("GET", path, query, left=tried.left, accept=accept, final=final))

    def bounded(self, path: str, query: Query | None, limit: int) -> bytes:
        """The bytes of an answer, at most ``limit`` of them; more is an ApiError."""

        def attempt(tried: Try) -> bytes:
            with self.opened("GET", path, query, left=tried.left, accept="*/*") as reply:
                data = reply.read(limit)
            if data is None:
                raise ApiError(f"GET {printable(path)}: the answer is longer than {size(limit)}", status=reply.status)
            return data

        return self.retried(attempt)

    def opened(
        self, method: str, path: str, query: Query | None = None, body: Any = None, kind: str = JSON, *, left: float, accept: str = JSON,
        final: frozenset[int] = frozenset(),
    ) -> Reply:  # fmt: skip
        """One request whose status is good. A 401 is tried once more where the credential can be renewed."""
        try:
            target = f"{path}?{urlencode(query)}" if query else path
            data = None if body is None else msgspec.json.encode(body)
        except UnicodeEncodeError:  # as an argument of the command line may be that is no UTF-8
            raise UsageError(f"{method} {printable(path)}: a name that was given is not UTF-8; no object has such a name") from None
        reply = self.transport.send(method, target, body=data, kind=kind, accept=accept, timeout=left)
        if reply.status == 401 and self.transport.access.credentials.renew(reply.credential):
            reply.close()
            reply = self.transport.send(method, target, body=data, kind=kind, accept=accept, timeout=left)
        if reply.status < 300:
            return reply
        with reply:
            self._refuse(reply, method, path, final)
        raise AssertionError("unreachable")

    def _refuse(self, reply: Reply, method: str, path: str, final: frozenset[int]) -> None:
        access, why = self.transport.access, ""
        try:
            body = reply.read(answers.STATUS_LIMIT)
        except Transient:
            body = None
        if reply.status == 401 and (when := expired(reply.credential.authorization, self.clock.now())):
            why = f"its token expired at {when}"
        error = answers.refusal(reply.status, body, method=method, path=path, about=access.about, why=why)
        if reply.status in answers.BUSY and reply.status not in final:
            raise Transient(error, after=answers.retry_after(reply.header("Retry-After")), sent=reply.status != 429)
        raise error
