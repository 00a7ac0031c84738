"""A PostgreSQL server by psycopg (the extra ``postgres``): the one file that imports it.

TLS is always ``verify-full``. A new password never stands in a statement: the client makes the SCRAM verifier of it
(PostgreSQL docs, ALTER ROLE: "an encrypted password is stored as-is"), so that no server log or pg_stat_activity ever has it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from irkit.errors import ForbiddenError, InvalidError, IrkitError, NotFoundError, UnreachableError, UsageError
from irkit.settings.rotation import DatabaseSettings
from irkit.text import printable

if TYPE_CHECKING:
    import psycopg

_WRONG_PASSWORD = "28P01"  # noqa: S105 -- an SQLSTATE: PostgreSQL docs, appendix A
_NO_ROLE, _NO_RIGHT = "42704", "42501"
_BUSY = ("53", "55", "57")  # classes: insufficient resources, not in the state for it, operator intervention (a statement's time is over, too)
_BUSY_WORDS = ("the database system is", "sorry, too many clients", "remaining connection slots")


class Postgres:
    """Implements `Database`. A connection lives as long as one call."""

    def __init__(self, name: str, settings: DatabaseSettings, timeout: float) -> None:
        """Raises UsageError where the settings name no server, or psycopg is not installed."""
        if not settings.host:
            raise UsageError(f"databases.{printable(name)} in the settings has no host")
        try:
            import psycopg
        except ImportError as missing:
            why = "" if missing.name == "psycopg" else " (psycopg finds no libpq: pip install 'psycopg[binary]')"
            raise UsageError(f"database {printable(name)} needs psycopg{why}", next="pip install 'irkit[postgres]'") from None
        self._psycopg, self._settings, self._timeout = psycopg, settings, timeout
        self._name = printable(name)
        modern = psycopg.pq.version() >= 160000
        if not modern and settings.ca_file is None:
            raise UsageError(f"databases.{self._name} in the settings needs ca-file: this libpq is older than 16 and knows no system authorities")
        # A server that asks for no password proves nothing about one.
        self._methods: dict[str, Any] = {"require_auth": "scram-sha-256,md5,password"} if modern else {}

    def login(self, user: str, password: str) -> bool:
        try:
            with self._connected(user, password):
                return True
        except _PasswordRefused:
            return False

    def set_password(self, user: str, password: str) -> None:
        sql = self._psycopg.sql
        try:
            with self._connected(self._settings.admin, self._admin_password()) as connection:
                connection.execute(sql.SQL("SET statement_timeout = {}").format(sql.Literal(int(self._timeout * 1000))))
                verifier = connection.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode("ascii")
                connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), sql.Literal(verifier)))
        except _PasswordRefused:
            raise ForbiddenError(f"database {self._name} refuses the password of its administrator {printable(self._settings.admin)}",
                                 next=f"check admin-password-file of databases.{self._name}") from None  # fmt: skip

    @contextlib.contextmanager
    def _connected(self, user: str, password: str) -> Iterator[psycopg.Connection[Any]]:
        """A connection that commits each statement. No error of psycopg leaves: its text may hold what was sent."""
        s, failed = self._settings, None
        if not user or not password:  # libpq would take them from the environment
            raise InvalidError(f"database {self._name}: there is no login without a name and a password", status=400)
        try:
            with self._psycopg.connect(
                host=s.host, port=s.port, dbname=s.database, user=user, password=password, autocommit=True, sslmode="verify-full",
                sslrootcert=str(s.ca_file.expanduser()) if s.ca_file else "system", sslcert="", sslkey="", connect_timeout=max(2, int(self._timeout)),
                gssencmode="disable", application_name="irkit", **self._methods,
            ) as connection:  # fmt: skip
                yield connection
        except self._psycopg.Error as error:
            failed = self._explained(error, user)
        if failed:
            raise failed

    def _explained(self, error: psycopg.Error, user: str) -> IrkitError | _PasswordRefused:
        state = error.sqlstate or ""  # psycopg has none for what fails while connecting
        text = str(error)
        if state == _WRONG_PASSWORD or "password authentication failed for user" in text:
            return _PasswordRefused()
        where = f"database {self._name} ({printable(self._settings.host)}:{self._settings.port})"
        who = printable(user)
        if state == _NO_RIGHT:
            return ForbiddenError(f"{where} does not let {who} set that password", next=f"grant {who} CREATEROLE with ADMIN on the role")
        if state == _NO_ROLE:
            return NotFoundError(f"{where} has no such role", status=404)
        if state.startswith(_BUSY) or any(words in text for words in _BUSY_WORDS):
            return UnreachableError(f"{where} can't do it now ({state or _fatal(text)})")
        if state or "FATAL:" in text:
            return InvalidError(f"{where} refused it ({state or _fatal(text)})", status=400, reason=state)
        return UnreachableError(f"{where}: {_why(text)}")

    def _admin_password(self) -> str:
        file = self._settings.admin_password_file
        if not file or not self._settings.admin:
            raise UsageError(f"databases.{self._name} in the settings needs admin and admin-password-file to set a password")
        try:
            return file.expanduser().read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"databases.{self._name}: {printable(file)} can't be read: {getattr(error, 'strerror', 'not text')}") from None


class _PasswordRefused(Exception):
    """The server looked at the password and said no."""


def _fatal(text: str) -> str:
    """The server's own sentence at the start of a connection; it quotes names, never a password."""
    return printable(text.partition("FATAL:")[2].strip().splitlines()[0], 200)


def _why(text: str) -> str:
    for sign, why in (
        ("certificate verify failed", "its certificate is not of an authority that is trusted (ca-file)"),
        ("server certificate for", "its certificate is for another name"),
        ("does not support SSL", "it has no TLS, and irkit gives passwords to verified servers only"),
        ("root certificate file", "ca-file can't be read"),
        ("could not translate host name", "the name of the host is not known"),
        ("failed to resolve host", "the name of the host is not known"),
        ("Connection refused", "the connection was refused"),
        ("authentication method requirement", "it lets in whoever comes, without a password"),
        ("timeout", "no answer in time"),
    ):
        if sign in text:
            return why
    return "the connection failed"
