"""A Vault-compatible server (Vault, OpenBao) by hvac: the one file that imports it.

hvac knows how one logs in and what Vault's requests look like; what carries them is irkit's own transport, for its time limit
over the whole request, its pool, and a third of the processor time of hvac's own (0.09 ms a request against 0.31).
"""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import hvac
import msgspec
from hvac.adapters import JSONAdapter

from irkit.adapters import answers, retry, vaultaccess, vaulterrors
from irkit.adapters.clock import SystemClock
from irkit.adapters.credentials import Credential
from irkit.adapters.retry import Transient, Try
from irkit.adapters.transport import Transport
from irkit.adapters.vaultaccess import Token
from irkit.errors import ApiError, ForbiddenError, InvalidError, IrkitError, NotFoundError, UnreachableError
from irkit.model.kube import Obj, at
from irkit.ports import SecretStore
from irkit.settings.rotation import VaultSettings
from irkit.text import printable

LIMIT = 16 << 20  # bytes of an answer
POD_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - where it is, not what it is


def connect(settings: VaultSettings, timeout: float, concurrency: int) -> SecretStore:
    """The server of the settings and the environment. Nothing is sent before the first request, which logs in where that is needed.

    Args:
        timeout: seconds for one request; one call with all its retries takes at most three times that.
        concurrency: connections that are kept.

    Raises UsageError for settings that name no usable server or token.
    """
    token = vaultaccess.client_certificate(os.environ)
    access = vaultaccess.access(settings, os.environ, token)
    if settings.auth.method == "token":
        token.value = vaultaccess.given_token(os.environ)
    return Vault(settings, _Transport(access, timeout=timeout, connections=concurrency), token, timeout * 3)


class _Transport(Transport):
    """With the token where Vault wants it."""

    def _headers(self, credential: Credential, kinds: tuple[str, str], body: bytes | None) -> list[tuple[str, str]]:
        headers = super()._headers(Credential(), kinds, body)
        return [*headers, ("X-Vault-Token", credential.authorization)] if credential.authorization else headers

    def _untrusted(self, error: ssl.SSLError) -> IrkitError:
        return vaulterrors.untrusted(error, self.access.about.server, self.access.trust.server_name or self.access.endpoint.host)


class _Carrier(JSONAdapter):  # type: ignore[misc]  # hvac has no types
    """hvac's seam to the network. One call is one exchange: it raises Transient where another may help."""

    def __init__(self, transport: Transport, held: Token, **options: Any) -> None:
        self._transport, self._held = transport, held
        super().__init__(**options)

    @property
    def token(self) -> str | None:
        return self._held.value or None

    @token.setter
    def token(self, value: str | None) -> None:
        if value:
            self._held.value = vaultaccess.clean(value, "the answer to the login")

    def get_login_token(self, response: Obj) -> str:
        token = at(response, ("auth", "client_token"))
        if not isinstance(token, str):
            raise ApiError(f"{printable(self._transport.access.about.server)} answered the login with no token", status=0)
        return token

    def request(
        self, method: str, url: str, headers: object = None, raise_exception: object = True, *, left: float | None = None, **options: Any
    ) -> Obj:
        sent = options.get("json")
        path = quote(url, safe="/")
        if options.get("params"):
            path += "?" + urlencode(options["params"])
        body = None if sent is None else msgspec.json.encode(sent)
        with self._transport.send(method.upper(), path, body=body, timeout=left) as reply:
            data = reply.read(LIMIT)
            status, after = reply.status, answers.retry_after(reply.header("Retry-After"))
        if status < 300:
            return _document(data, status, method, url)
        where, asked = self._transport.access.about.server, url.removeprefix("/v1/")
        error = vaulterrors.refusal(status, data, method=method.upper(), path=asked, where=where, sent=(sent, self._held.value))
        if status in vaulterrors.BUSY and " is sealed" not in error.message:
            raise Transient(error, after=after, sent=status not in (412, 429))
        raise error


def _document(data: bytes | None, status: int, method: str, url: str) -> Obj:
    if data == b"":
        return {}
    document = answers.decoded(data)
    if not isinstance(document, dict) or not isinstance(document.get("data"), dict | None):
        raise ApiError(f"{method.upper()} {printable(url)}: the answer is no JSON object, or too long", status=status)
    return document


class Vault:
    """Implements `SecretStore`; thread-safe."""

    def __init__(self, settings: VaultSettings, transport: Transport, token: Token, budget: float) -> None:
        self._auth, self._transport, self._token, self._budget = settings.auth, transport, token, budget
        self._clock, self._lock = SystemClock(), threading.Lock()
        self._answered = False
        self._failed: UnreachableError | None = None
        self._client = hvac.Client(transport.access.endpoint.url, token="", verify=True, adapter=lambda **o: _Carrier(transport, token, **o))

    @property
    def where(self) -> str:
        return self._transport.access.about.server

    def read(self, path: str, *, params: Mapping[str, str] | None = None) -> Obj:
        return self._ask("GET", path, safe=True, params=params)

    def list(self, path: str) -> Sequence[str]:
        try:
            found = (self._ask("GET", path, safe=True, params={"list": "true"}).get("data") or {}).get("keys")
        except NotFoundError:
            return ()
        return [str(k) for k in found] if isinstance(found, list) else ()

    def write(self, path: str, data: Obj) -> Obj:
        return self._ask("POST", path, safe=False, json=data)

    def delete(self, path: str) -> None:
        self._ask("DELETE", path, safe=True)

    def _ask(self, method: str, path: str, *, safe: bool, **options: Any) -> Obj:
        """One request with its retries; ``safe``: it may be sent again where it perhaps was received."""
        if any(part in ("", ".", "..") for part in path.removesuffix("/").split("/")):
            raise InvalidError(f"{printable(path)!r} is no path in a Vault", status=400)
        self._not_in_vain()
        try:
            self._logged_in()
            used = self._token.value
            try:
                found = self._retried(method, path, safe, options)
            except ForbiddenError as refused:
                self._still_valid(used, refused)
                found = self._retried(method, path, safe, options)  # a refused request did nothing
        except UnreachableError as error:
            self._failed = error
            raise
        except IrkitError:
            self._answered = True
            raise
        self._answered = True
        return found

    def _retried(self, method: str, path: str, safe: bool, options: Mapping[str, Any]) -> Obj:
        def attempt(tried: Try) -> Obj:
            try:
                found: Obj = self._client.adapter.request(method, f"/v1/{path}", left=tried.left, **options)
            except Transient as lost:
                if lost.sent and not safe:
                    raise lost.error from None
                raise
            return found

        return retry.call(attempt, self._clock, self._budget)

    def _still_valid(self, used: str, refused: ForbiddenError) -> None:
        """Return where the refused request may be sent again with a new token; else raise what is wrong: the right or the token."""
        try:
            self._retried("GET", "auth/token/lookup-self", True, {})
        except vaulterrors.ByPolicyError:  # not even to look at itself: so it is known
            raise refused from None
        except ForbiddenError:
            if self._auth.method == "token":
                raise ForbiddenError(f"{printable(self.where)} does not know the Vault token (any more): it has expired or was revoked",
                                     next="vault login, then irkit resume") from None  # fmt: skip
            with self._lock:
                if self._token.value == used:
                    self._log_in()
            return
        if self._token.value == used:
            raise refused

    def _logged_in(self) -> None:
        if not self._token.value:
            with self._lock:
                self._not_in_vain()
                if not self._token.value:
                    try:
                        self._log_in()
                    except UnreachableError as error:
                        self._failed = error
                        raise

    def _not_in_vain(self) -> None:
        """Raise what was raised before where it has never answered: five hundred credentials don't wait for it in turn."""
        if self._failed and not self._answered:
            raise UnreachableError(self._failed.message, next=self._failed.next)

    def _log_in(self) -> None:
        """By hvac. Raises ForbiddenError where the server does not let us in, UsageError where the settings lack what it takes.

        Where no answer comes, it is asked again: a token that nobody got does nothing, and ends by itself.
        """
        auth = self._auth
        mount = auth.mount.strip("/") or auth.method
        try:
            retry.call(lambda tried: self._logging_in(mount), self._clock, self._budget)
        except (InvalidError, NotFoundError, ForbiddenError) as error:
            text = f"{printable(self.where)} refuses the login by {auth.method} at auth/{printable(mount)}: {error.message}"
            raise ForbiddenError(text, next="check vault.auth in the settings") from None

    def _logging_in(self, mount: str) -> None:
        auth, login = self._auth, self._client.auth
        if auth.method == "approle":
            file = auth.secret_id_file
            login.approle.login(auth.role_id, vaultaccess.contents(file, "secret-id-file").decode().strip() if file else None, mount_point=mount)
            return
        jwt = vaultaccess.contents(auth.jwt_file, "jwt-file").decode().strip() if auth.jwt_file else _pod_token(auth.method)
        if auth.method == "kubernetes":
            login.kubernetes.login(auth.role, jwt, mount_point=mount)
        else:
            login.jwt.jwt_login(auth.role, jwt, path=mount)


def _pod_token(method: str) -> str:
    from pathlib import Path

    from irkit.errors import UsageError

    if method != "kubernetes":
        raise UsageError("vault.auth in the settings: jwt needs a jwt-file")
    return vaultaccess.contents(Path(POD_TOKEN), "vault.auth: no jwt-file, and the pod's own token").decode().strip()
