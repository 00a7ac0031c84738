"""How credentials are rotated: where Vault is, which databases and commands there are, what is due when."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from irkit.settings.section import Section

Days: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=3650)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=604800)]


class VaultAuth(Section, frozen=True):
    """How irkit gets its Vault token where ``VAULT_TOKEN`` and ``~/.vault-token`` are not to be used."""

    method: Literal["token", "approle", "kubernetes", "jwt"] = "token"
    """``token`` takes ``VAULT_TOKEN``, else the file ``~/.vault-token``."""
    mount: str = ""
    """Where the method is mounted; default: its own name."""
    role: str = ""
    """Role of the methods kubernetes and jwt."""
    role_id: str = ""
    """Of AppRole."""
    secret_id_file: Path | None = None
    """A file that holds AppRole's SecretID."""
    jwt_file: Path | None = None
    """A file that holds the token of the methods kubernetes and jwt; for kubernetes by default the pod's own."""


class VaultSettings(Section, frozen=True):
    """A Vault-compatible server."""

    address: str = ""
    """``VAULT_ADDR``, as ``https://vault.example:8200``."""
    namespace: str = ""
    """``VAULT_NAMESPACE``."""
    ca_cert: Path | None = None
    """A PEM file of authorities; ``VAULT_CACERT``."""
    auth: VaultAuth = VaultAuth()


class DatabaseSettings(Section, frozen=True):
    """One login whose password a key of class ``database`` holds."""

    engine: Literal["vault-static", "vault-root", "vault-dynamic", "postgresql"]
    """Who sets the password: a static role of Vault's database engine, its root login, its leases, or irkit by ALTER ROLE."""
    user: str = ""
    """The login's name, as the database knows it; needed to prove that the old password is refused."""
    mount: str = "database"
    """Where Vault's database engine is mounted."""
    role: str = ""
    """Vault's role (static, dynamic), or its connection's name (root)."""
    host: str = ""
    """Of PostgreSQL: a name that its certificate carries."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 5432
    database: str = "postgres"
    ca_file: Path | None = None
    """A PEM file of authorities that the server's certificate must be signed by; without it, the system's."""
    admin: str = ""
    """The login that may set the password of ``user``."""
    admin_password_file: Path | None = None
    """A file that holds the administrator's password."""


class CommandSettings(Section, frozen=True):
    """An executable of the user's that rotates what irkit does not know (docs/reference/rotation.md)."""

    argv: tuple[str, ...]
    """Program and arguments; no shell."""
    environment: tuple[str, ...] = ()
    """Names of the variables that it gets besides ``PATH``, ``HOME`` and ``LANG``."""
    timeout: Seconds = 60.0
    """Seconds until it is ended."""


class ClassRule(Section, frozen=True):
    """The class of keys that no annotation names. Patterns are as in a shell: ``*``, ``?``, ``[…]``. The first rule that fits holds."""

    cls: Literal["generated", "issuer-made", "database", "certificate", "token", "manual"] = msgspec.field(name="class")
    namespace: str = "*"
    name: str = "*"
    """Of the Secret."""
    key: str = "*"
    database: str = ""
    """Name in ``databases``, for class ``database``."""
    command: str = ""
    """Name in ``commands``: that command rotates it, whatever its class."""


class Format(Section, frozen=True):
    """What a generated value looks like. The first format that fits holds; without one it is like the old value."""

    key: str = "*"
    namespace: str = "*"
    name: str = "*"
    length: Annotated[int, msgspec.Meta(ge=8, le=4096)] = 48
    """Characters."""
    charset: str = "A-Za-z0-9"
    """Ranges and single characters, as in ``A-Za-z0-9_-``."""
    key_type: Literal["", "ed25519", "rsa-3072", "rsa-4096", "p-256"] = ""
    """A private key (PEM, PKCS #8) instead of characters."""


class RotationSettings(Section, frozen=True):
    classes: tuple[ClassRule, ...] = ()
    formats: tuple[Format, ...] = ()
    wave: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    """Workloads that are restarted at once at first; when they are ready, twice as many, and so on."""
    sync_timeout: Seconds = 60.0
    """Seconds until a synced Secret must hold the new value."""
    passwords: Days = 90.0
    """Days after which generated values and database passwords are due."""
    api_keys: Days = 180.0
    """Days after which issuer-made values are due."""
    certificates: Days = 30.0
    """Days before its end at which a certificate is due."""
