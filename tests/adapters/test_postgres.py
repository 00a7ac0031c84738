"""PostgreSQL, a real one: who gets in, what is refused, and that no password is ever in a statement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from irkit.errors import ForbiddenError, InvalidError, IrkitError, NotFoundError, UnreachableError, UsageError
from irkit.settings.rotation import DatabaseSettings

if TYPE_CHECKING:
    from tests.components.postgres import Postgres as Server

pytest.importorskip("psycopg")


@pytest.fixture
def login(postgres: Server, tmp_path: Path) -> DatabaseSettings:
    admin, password = postgres.role(admin=True)
    (tmp_path / "admin").write_text(password)
    user, _ = postgres.role(password="old-password")
    return DatabaseSettings(engine="postgresql", user=user, host=postgres.host, port=postgres.port, ca_file=postgres.ca, admin=admin,
                            admin_password_file=tmp_path / "admin")  # fmt: skip


def database(login: DatabaseSettings, **changes: Any) -> Any:
    from irkit.adapters.postgres import Postgres

    return Postgres("main", msgspec.structs.replace(login, **changes), 3)


def test_a_password_is_set_by_its_verifier_alone(postgres: Server, login: DatabaseSettings) -> None:
    with postgres.superuser() as connection:
        connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        connection.execute("SELECT pg_reload_conf()")
    main = database(login)
    assert (main.login(login.user, "old-password"), main.login(login.user, "canary 'pass\\word\u00e9")) == (True, False)
    main.set_password(login.user, "canary 'pass\\word\u00e9")
    assert (main.login(login.user, "old-password"), main.login(login.user, "canary 'pass\\word\u00e9")) == (False, True)
    log = (postgres.home / "log").read_text()
    assert "PASSWORD 'SCRAM-SHA-256$" in log
    assert "canary" not in log


@pytest.mark.parametrize(("changes", "kind", "said"), [
    ({"port": 1}, UnreachableError, "the connection was refused"), ({"host": "nowhere.invalid"}, UnreachableError, "not known"),
    ({"ca_file": None}, UnreachableError, "not of an authority that is trusted"),
    ({"ca_file": Path("/nope")}, UnreachableError, "ca-file can't be read"),
    ({"host": "ip6-localhost"}, UnreachableError, "."), ({"database": "nope"}, InvalidError, 'database "nope" does not exist'),
])  # fmt: skip
def test_no_answer_is_no_refusal(login: DatabaseSettings, changes: dict[str, Any], kind: type[IrkitError], said: str) -> None:
    with pytest.raises(kind, match=said) as error:
        database(login, **changes).login(login.user, "old-password")
    assert "old-password" not in error.value.message


def test_what_an_administrator_may_not_do(postgres: Server, login: DatabaseSettings, tmp_path: Path) -> None:
    (tmp_path / "user").write_text("old-password\n")
    with pytest.raises(ForbiddenError, match="does not let"):
        database(login, admin=login.user, admin_password_file=tmp_path / "user").set_password(login.admin, "new-password")
    with pytest.raises(ForbiddenError, match="refuses the password of its administrator"):
        database(login, admin=login.user).set_password(login.user, "new-password")
    with pytest.raises(NotFoundError, match="no such role"):
        database(login).set_password("nobody", "new-password")
    with postgres.superuser() as connection:
        connection.execute(f"ALTER ROLE {login.user} NOLOGIN".encode())
    with pytest.raises(InvalidError, match="is not permitted to log in"):  # the password was good
        database(login).login(login.user, "old-password")
    assert not database(login).login(login.user, "wrong")


@pytest.mark.parametrize("changes", [{"host": ""}, {"admin": ""}, {"admin_password_file": None}, {"admin_password_file": Path("/nope")}])
def test_settings_that_are_not_enough(login: DatabaseSettings, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="main"):
        database(login, **changes).set_password(login.user, "x")


def test_an_empty_password_is_not_taken_from_the_environment(login: DatabaseSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "old-password")
    with pytest.raises(InvalidError):
        database(login).login(login.user, "")
