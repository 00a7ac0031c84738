"""The password of a database login among the values of a credential: the whole of a value, or the password in a connection URL.

What rotators of database passwords have in common. Sources: RFC 3986, 3.2.1; PostgreSQL docs, "Connection URIs".
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from irkit.errors import IrkitError
from irkit.model.credential import Credential
from irkit.model.outcome import Outcome
from irkit.rotators.base import Before, Tools, retired
from irkit.rotators.holders import Values
from irkit.settings.rotation import DatabaseSettings
from irkit.text import printable

_URL = re.compile(r"(?P<head>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^:@/\s]*):(?P<password>[^@/\s]*)@")


def settings_of(credential: Credential, known: dict[str, DatabaseSettings]) -> DatabaseSettings | None:
    """The login in the settings that this credential is of; None where nothing says which."""
    return known.get(credential.source.database) if credential.cls == "database" else None


def passwords(values: Values, user: str) -> dict[str, str]:
    """By key, what may be the password of ``user``; keys that hold none (the name itself, another login's URL) are left out."""
    found = {}
    for key, value in values.items():
        try:
            text = value.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            continue
        if url := _URL.match(text):
            text = unquote(url["password"]) if unquote(url["user"]) == user else ""
        if text and text != user:
            found[key] = text
    return found


def with_password(value: bytes, password: str) -> bytes:
    """``value`` with another password in the place of the one that `passwords` finds."""
    text = value.decode()
    if url := _URL.match(text):
        return f"{url['head']}{url['user']}:{quote(password, safe='')}@{text[url.end() :]}".encode()
    return (password + text[len(text.rstrip("\r\n")) :]).encode()


def refused(credential: Credential, login: DatabaseSettings, old: str, tools: Tools) -> str:
    """Try the old password. The proof, where the server refused just that; empty where it did not, or could not be asked."""
    if not (login.host and login.user):
        return ""
    try:
        if tools.ports.vaults.database(credential.source.database).login(login.user, old):
            return ""
    except IrkitError:
        return ""
    return printable(f"login of {login.user} at {login.host}:{login.port} with it is refused (invalid_password)", 300)


def told(before: Before, stored: str, otherwise: str) -> Outcome:
    """What became of the old password: dead by the proof that `renew` left. ``stored``: what became of its copies that can be read."""
    proof = str(before.get("proof") or "")
    return retired("dead" if proof else "untested", "; ".join(p for p in (proof or otherwise, stored) if p))
