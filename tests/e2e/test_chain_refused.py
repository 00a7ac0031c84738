"""What goes wrong while credentials are rotated, on the real stores: one clear sentence, the documented exit code, and a password that works."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.components.openbao import OpenBao
from tests.components.postgres import Postgres
from tests.components.synced import eventually
from tests.controlplane.running import Running
from tests.e2e import todo
from tests.e2e.running import Answer, Irkit, finish
from tests.e2e.test_chain_killed import Between, between
from tests.e2e.todo import ENTRY, LOGIN_ENTRY, Todo
from tests.faults.harm import Delay, Match, Request, before

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]


@pytest.fixture
def own(
    control_plane: Running, namespace: str, external_secrets: Path, own_openbao: Callable[..., OpenBao], postgres: Postgres
) -> Iterator[Todo]:  # fmt: skip
    """The app with an OpenBao of its own, to be sealed or stopped."""
    with todo.deployed(control_plane, namespace, own_openbao(), postgres) as made:
        yield made


@pytest.fixture
def there(app: Todo, oncall: Irkit, tmp_path: Path) -> Iterator[Between]:
    """With a proxy before each server."""
    with between(app, oncall, tmp_path) as made:
        yield made


def words(app: Todo, vendors: tuple[str, str]) -> tuple[str, ...]:
    return "rotate", app.suspect, "-n", app.namespace, "--yes", "--value", vendors[1]


def told(answer: Answer, code: int, *parts: str) -> Answer:
    """It ended so, and said this; the rest of what people need to know is for them to read."""
    said = " ".join(answer.ended(code).said.split())
    assert "unexpected failure" not in said, said
    for part in parts:
        assert part in said, f"nothing says {part!r}:\n{answer.said}"
    assert answer.said.count("next:") == 1, answer.said
    return answer


def untouched(app: Todo, *names: str) -> None:
    """These Secrets and both entries are as they were, no version was added, and the application starts."""
    found = app.secrets()
    for name in names or ("backend-secret", "postgres-secret", "session-secret"):
        assert {k: app.old[k] for k in found[name]} == found[name]
    assert app.entry() == {**{k: app.old[k] for k in todo.CLASSES}, **todo.SIBLING}
    assert app.entry(LOGIN_ENTRY) == {"user": app.login, "password": app.old["APP_PASSWORD"]}
    assert (app.versions(), app.versions(LOGIN_ENTRY)) == ({1: True}, {1: True})
    assert app.starts()


def resumed(app: Todo, irkit: Irkit, vendors: tuple[str, str]) -> None:
    """Once what was in the way is gone, the same run goes on and ends well."""
    irkit.run("resume", "--yes", "--value", vendors[1]).ended(0)
    todo.rotated(app, vendors[0])
    assert app.starts()


@pytest.mark.parametrize("how", ["sealed", "hangs"])
def test_a_vault_that_does_not_answer(own: Todo, irkit: Irkit, tmp_path: Path, vendors: tuple[str, str], how: str) -> None:
    oncall = own.known_to(irkit, tmp_path, **{"request-timeout": 0.7, "retry-budget": 1})
    command = words(own, vendors)
    if how == "sealed":
        own.bao.seal()
    else:
        os.kill(own.bao.pid, signal.SIGSTOP)
    try:
        told(oncall.run(*command), 7, own.bao.address, "is sealed" if how == "sealed" else "did not answer")
    finally:
        if how == "sealed":
            own.bao.unseal()
        else:
            os.kill(own.bao.pid, signal.SIGCONT)
    eventually(own.bao.answers)
    untouched(own, "backend-secret", "postgres-secret")
    resumed(own, oncall, vendors)


def test_a_token_that_expired(app: Todo, oncall: Irkit, vendors: tuple[str, str]) -> None:
    short = app.bao.token_for(todo.RIGHTS.format(mount=app.mount), ttl="1s")
    late = replace(oncall, environment={**oncall.environment, "VAULT_TOKEN": short})
    time.sleep(1.5)
    told(late.run(*words(app, vendors)), 4, "token")
    untouched(app, "backend-secret", "postgres-secret")
    resumed(app, oncall, vendors)


def test_a_path_without_permission(app: Todo, oncall: Irkit, vendors: tuple[str, str]) -> None:
    less = app.bao.token_for(todo.RIGHTS.format(mount=app.mount).replace("prod/*", "prod/todo-app"))
    answer = replace(oncall, environment={**oncall.environment, "VAULT_TOKEN": less}).run(*words(app, vendors))
    told(answer, 4, f"{app.mount}/data/{LOGIN_ENTRY}")
    assert app.entry(LOGIN_ENTRY)["password"] == app.old["APP_PASSWORD"]
    assert app.entry()["SECRET_KEY"] != app.old["SECRET_KEY"], "what is allowed is done"
    assert app.starts()
    resumed(app, oncall, vendors)


def meanwhile(act: Callable[[], object], where: Callable[[Request], bool]) -> Match:
    """Do something just before the first such request goes through."""
    done: list[bool] = []

    def hit(request: Request) -> bool:
        if not done and where(request):
            done.append(True)
            act()
        return False

    return hit


def data_of(app: Todo, path: str) -> Callable[[Request], bool]:
    return lambda request: request.method in ("POST", "PUT") and request.path == f"/v1/{app.mount}/data/{path}"


def test_somebody_else_writes_the_same_value(app: Todo, there: Between, vendors: tuple[str, str]) -> None:
    def theirs() -> None:
        app.bao.put(app.mount, ENTRY, {**app.entry(), "SECRET_KEY": "theirs-entirely"})

    there.proxies["vault"].when(meanwhile(theirs, data_of(app, ENTRY)), before(Delay(0)))
    told(there.irkit.run(*words(app, vendors)), 8, f"{app.mount}/{ENTRY}", "changed by somebody else")
    assert app.entry()["SECRET_KEY"] == "theirs-entirely"
    assert todo.SIBLING.items() <= app.entry().items()
    assert not app.locked_out()


def test_somebody_else_writes_beside_it(app: Todo, there: Between, vendors: tuple[str, str]) -> None:
    def theirs() -> None:
        app.bao.put(app.mount, ENTRY, {**app.entry(), "NEW_FLAG": "on"})

    there.proxies["vault"].when(meanwhile(theirs, data_of(app, ENTRY)), before(Delay(0)))
    there.irkit.run(*words(app, vendors)).ended(0)
    assert app.entry()["NEW_FLAG"] == "on"
    assert app.entry()["SECRET_KEY"] != app.old["SECRET_KEY"]
    assert todo.SIBLING.items() <= app.entry().items()
    assert app.starts()


def test_an_external_secret_in_error(app: Todo, oncall: Irkit, vendors: tuple[str, str], control_plane: Running) -> None:
    def sync(token: str, ready: str) -> None:
        control_plane.kubectl("patch", "secret", "openbao-token", "-n", app.namespace, "-p", f'{{"stringData":{{"token":"{token}"}}}}')
        for name in ("backend-secret", "postgres-secret"):
            control_plane.kubectl("annotate", "externalsecret", name, "-n", app.namespace, "--overwrite", f"force-sync={time.monotonic()}")
            control_plane.kubectl("wait", "externalsecret", name, "-n", app.namespace, f"--for=condition=Ready={ready}", "--timeout=20s")

    good = app.secret("openbao-token")["token"]
    sync("s.nothing", "False")
    told(oncall.run(*words(app, vendors)), 5, "ExternalSecret", "in error", "nothing was written")
    untouched(app, "backend-secret", "postgres-secret")
    sync(good, "True")
    resumed(app, oncall, vendors)


def test_a_secret_that_vanishes_meanwhile(app: Todo, there: Between, vendors: tuple[str, str], control_plane: Running) -> None:
    def vanish() -> None:
        control_plane.kubectl("delete", "secret", "session-secret", "-n", app.namespace)

    def write(request: Request) -> bool:
        return request.method == "PATCH" and request.path.endswith("/secrets/session-secret") and not request.dry_run

    there.proxies["kubernetes"].when(meanwhile(vanish, write), before(Delay(0)))
    told(there.irkit.run(*words(app, vendors)), 5, "session-secret is gone")
    assert app.starts()


def test_a_rollout_that_never_becomes_ready(app: Todo, oncall: Irkit, vendors: tuple[str, str], control_plane: Running) -> None:
    control_plane.kubectl("patch", "deployment", "backend", "-n", app.namespace, "-p", '{"spec":{"progressDeadlineSeconds":2}}')
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": {"pods": "3"}}}
    control_plane.apply(quota, namespace=app.namespace)
    eventually(lambda: control_plane.get("resourcequota", "full", "-n", app.namespace)["status"].get("used"))
    answer = oncall.run(*words(app, vendors), timeout=100)
    told(answer, 5, "Deployment", "backend", "made no progress", "exceeded quota")
    assert {n for n, readable in app.versions().items() if readable} >= {1}, "the old values are not ended while pods hold them"
    assert app.starts()
    control_plane.kubectl("delete", "resourcequota", "full", "-n", app.namespace)
    eventually(lambda: control_plane.get("deployment", "backend", "-n", app.namespace)["status"].get("updatedReplicas") == app.replicas, 90)
    control_plane.pods(app.namespace, "app=backend", count=app.replicas)
    resumed(app, oncall, vendors)


def test_a_database_that_refuses_the_new_password(app: Todo, irkit: Irkit, tmp_path: Path, vendors: tuple[str, str]) -> None:
    weak = replace(app, admin=app.postgres.role()).known_to(irkit, tmp_path)
    told(weak.run(*words(app, vendors)), 4, "does not let", "set that password")
    assert app.entry(LOGIN_ENTRY) == {"user": app.login, "password": app.old["APP_PASSWORD"]}, "nothing pending is left"
    assert app.starts()
    resumed(app, app.known_to(irkit, tmp_path), vendors)


def test_a_scanner_that_crashes(app: Todo, irkit: Irkit, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "trivy").write_text("#!/bin/sh\necho 'FATAL panic: runtime error' >&2\nkill -SEGV $$\n")
    (programs / "trivy").chmod(0o755)
    command = ("redeploy", "deployment/backend", "-n", app.namespace, "--image", app.patched, "--yes")
    path = {"PATH": f"{programs}:{os.environ['PATH']}"}
    strict = app.known_to(irkit, tmp_path, recovery={"unknown": "refuse"})
    crashed = "was not scanned: trivy was ended by signal 11: FATAL panic: runtime error"
    told(replace(strict, environment={**strict.environment, **path}).run(*command), 8, crashed)
    assert {c["image"] for p in app.pods() for c in p["spec"]["containers"]} == {app.image}
    lenient = app.known_to(irkit.elsewhere(tmp_path / "other"), tmp_path)
    told(replace(lenient, environment={**lenient.environment, **path}).run(*command), 0, crashed)
    assert {c["image"] for p in app.pods() for c in p["spec"]["containers"]} == {app.patched}


def test_two_rotations_at_once(app: Todo, oncall: Irkit, vendors: tuple[str, str], tmp_path: Path) -> None:
    command = words(app, vendors)
    with todo.Watch(app):
        runs = [oncall.start(*command, "-o", "json") for _ in range(2)]
        answers = [finish(run) for run in runs]
        assert sorted(a.code for a in answers) in ([0, 0], [0, 8]), [a.said for a in answers]
    todo.rotated(app, vendors[0])
    assert app.starts()


def test_two_rotations_at_once_from_two_laptops(app: Todo, oncall: Irkit, vendors: tuple[str, str], tmp_path: Path) -> None:
    """Without namespace irkit-system neither knows of the other."""
    colleague = oncall.elsewhere(tmp_path / "other" / "home")
    colleague.home.parent.mkdir()
    command = words(app, vendors)
    with todo.Watch(app):
        answers = [finish(run) for run in [i.start(*command, "-o", "json") for i in (oncall, colleague)]]
        for answer in answers:
            assert answer.code in (0, 5, 8), answer.said
            assert "unexpected failure" not in answer.said, answer.said
    assert app.starts()
    assert not app.lets_in(app.old["APP_PASSWORD"])
    assert app.entry().keys() == {*todo.CLASSES, *todo.SIBLING}


def test_a_charset_that_forbids_the_value(app: Todo, irkit: Irkit, tmp_path: Path, vendors: tuple[str, str]) -> None:
    narrow = app.known_to(irkit, tmp_path, rotation={"formats": [{"key": "SECRET_KEY", "length": 8, "charset": "ab"}]})
    told(narrow.run(*words(app, vendors)), 5, "backend-secret/SECRET_KEY", "bits", "nothing was written")
    assert app.entry()["SECRET_KEY"] == app.old["SECRET_KEY"]
    assert app.starts()
    resumed(app, app.known_to(irkit, tmp_path), vendors)


def test_a_wrong_vault(app: Todo, oncall: Irkit, own_openbao: Callable[..., OpenBao], vendors: tuple[str, str]) -> None:
    other = own_openbao()
    other.admin.sys.enable_secrets_engine("kv", path=app.mount, options={"version": "2"})
    eventually(lambda: not OpenBao._upgrading(other.admin.secrets.kv.v2, app.mount))
    other.put(app.mount, ENTRY, {**dict.fromkeys(todo.CLASSES, "of-the-test-stage"), **todo.SIBLING})
    other.put(app.mount, LOGIN_ENTRY, {"user": app.login, "password": "of-the-test-stage"})
    wrong = replace(oncall, environment={**oncall.environment, "VAULT_ADDR": other.address, "VAULT_TOKEN": other.token})
    told(wrong.run(*words(app, vendors)), 8, other.address, "this is not the Vault that it is filled from", "VAULT_ADDR")
    untouched(app)
    assert set(other.read(app.mount, ENTRY).values()) == {"of-the-test-stage", *todo.SIBLING.values()}
    told(wrong.run(*words(app, vendors), "--dry-run"), 8, other.address)
