"""Runbooks by hand: every block of every page, on the rehearsal cluster and on a real one, brings about what the playbook is for."""

from __future__ import annotations

import base64
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from irkit.app.drill import Drill
from irkit.cli.rehearse_runbook import reader
from irkit.cli.shell import Shell, environment
from irkit.engine import library
from irkit.game import runbook
from irkit.game.cast import cast
from irkit.game.goals.rotated import Rotated
from irkit.game.view import View
from irkit.model.playbook import Playbook
from irkit.settings import Settings
from tests.components import openbao
from tests.components.openbao import OpenBao
from tests.components.postgres import Postgres
from tests.controlplane import binaries
from tests.controlplane.running import Running
from tests.game.plane import PlaneStage
from tests.sample import sampled

PLAYBOOKS = [entry.playbook for entry in library.list_all(Settings()) if entry.playbook]
ON_THE_PLANE = ("compromised-pod", "database-credentials")


def each_playbook(*, on_the_plane: bool) -> pytest.MarkDecorator:
    """Each is played in one of the two places by the slow suite, in both by the exhaustive one."""
    kept = [p for p in PLAYBOOKS if (p.name in ON_THE_PLANE) == on_the_plane]
    return pytest.mark.parametrize("playbook", sampled(PLAYBOOKS, *kept), ids=lambda playbook: playbook.name)


DIGEST = f"registry.example/app@sha256:{'a' * 64}"


@pytest.fixture(scope="session")
def programs() -> list[Path]:
    """Where kubectl and bao are."""
    try:
        return [binaries.find("kubectl").parent, openbao.program().parent]
    except binaries.NotBuilt as missing:
        pytest.skip(str(missing))


def environ(home: Path, *programs: Path) -> dict[str, str]:
    path = ":".join([*map(str, programs), "/usr/bin", "/bin"]) if programs else str(home)
    return {**os.environ, "IRKIT_HOME": str(home), "KUBECONFIG": "/nowhere", "PATH": path, "TMPDIR": str(home), "TERM": "dumb"}


def rehearse(home: Path, *words: str, programs: list[Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "irkit", "rehearse", *words], env=environ(home, *programs), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120)  # fmt: skip


# pages as data


def test_what_a_page_says_to_do_elsewhere_is_part_of_it():
    parts = {part.id: part for part in runbook.parts((library.builtin("runbooks") / "cryptominer.md").read_text(), "cryptominer.md")}
    read = reader(library.builtin("runbooks") / "cryptominer.md")
    cut = list(runbook.todo(parts["cut-network"], read))
    assert {block.page for block in cut} == {"compromised-pod.md"}
    assert "NetworkPolicy" in cut[0].script
    assert parts["cut-network"].does == ("compromised-pod.md#cut-network",)
    assert parts["tell-all"].does == (), "whom to tell is read there, not done again"
    assert "undo" not in parts


def test_what_a_page_only_tells_to_read_is_no_part_of_it():
    text = "## a\nSee [b](#b). Or:\n- **other**: [b](#b)\n\nRead on in [c](#c).\n\n```sh\n[x](#b)\n```\n## b\nand [c](#c)\n## c\n"
    assert [part.does for part in runbook.parts(text, "p.md")] == [(), (), ()]


def test_pages_that_send_each_other_in_circles_end():
    text = "## a\n\n[b](#b)\n\n```sh\n1\n```\n## b\n\n[a](#a), do [b](#b)\n\n```sh\n2\n```\n"
    assert [[block.script for block in runbook.todo(part, lambda page: text)] for part in runbook.parts(text, "p.md")] == [
        ["1\n", "2\n"],
        ["2\n", "1\n"],
    ]


@pytest.mark.parametrize(("script", "edited"), [
    ("export NS=todo-app POD=x\n", "export NS=shop POD='a b'\n"),
    ('export POD="$(id)" NS=x\n', 'export POD="$(id)" NS=shop\n'),
    ('export POD="" NS=x\n', 'export POD="" NS=shop\n'),
    ("POD=x kubectl\n", "POD=x kubectl\n"),
    ("  export POD=x\n", "  export POD=x\n"),
])  # fmt: skip
def test_only_examples_in_lines_that_export_are_edited(script, edited):
    assert runbook.edited(script, {"NS": "shop", "POD": "a b"}) == edited


def test_a_value_that_is_edited_in_stays_one_word():
    assert runbook.edited("export POD=x\n", {"POD": "$(touch /x); `id` '"}) == "export POD='$(touch /x); `id` '\"'\"''\n"


# the shell


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with Shell("bash", environment({"LC_ALL": "C.UTF-8"}, tmp_path), tmp_path) as session:
        yield session


def test_blocks_share_functions_and_variables_and_not_their_input(shell):
    assert shell.run('export A=1; f() { echo "f $1"; }\n').code == 0
    ran = shell.run("cat; f $A; echo oops >&2; false\n")
    assert (ran.code, ran.output.strip(), ran.complaints.strip()) == (1, "f 1", "oops")


def test_a_block_that_ends_the_shell_or_does_not_end_is_told_from_others(shell):
    began = time.monotonic()
    assert shell.run("sleep 60\n", limit=0.3).code is None
    assert time.monotonic() - began < 10


def test_a_block_that_leaves_the_shell(shell):
    assert shell.run("echo before; exit 0\n").code is None
    assert shell.run("echo after\n").code is None


def test_a_shell_knows_nothing_of_this_machine(tmp_path):
    os.environ["AWS_SECRET_ACCESS_KEY"] = "canary"
    try:
        found = environment({"KUBECONFIG": "/box"}, tmp_path)
    finally:
        del os.environ["AWS_SECRET_ACCESS_KEY"]
    assert found["HOME"] == str(tmp_path)
    assert "canary" not in found.values()
    assert found.keys() <= {"PATH", "HOME", "KUBECONFIG", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "TZ"}


def test_what_a_shell_started_ends_with_it(tmp_path):
    with Shell("bash", environment({}, tmp_path), tmp_path) as session:
        session.run("sleep 300 & echo $! > pid\n")
        pid = int((tmp_path / "pid").read_text())
    until = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < until
        time.sleep(0.02)


# every page on the rehearsal cluster


@each_playbook(on_the_plane=False)
@pytest.mark.slow
def test_every_runbook_does_what_it_says(tmp_path, programs, playbook: Playbook):
    done = rehearse(tmp_path, "--runbook", playbook.name, "-o", "json", programs=programs)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert "error" not in found, found
    assert [state for state in found["states"] if not state["holds"]] == []
    assert found["states"]
    assert [step["id"] for step in found["steps"]][1:] == [step.id for step in playbook.steps]
    played = [block for step in found["steps"] for block in step["blocks"]]
    assert [block for block in played if block["code"] not in (0, None)] == []
    assert not [block for block in played if "not on your PATH" in block["why"]]
    assert all(block["code"] == 0 for block in played if not block["tags"]), "nothing that everybody does is left out"
    assert done.returncode == 0


@pytest.mark.slow
def test_a_leak_is_closed_as_the_page_says(tmp_path, programs):
    """Seed 7 has a policy of others that selects a pod without labels."""
    done = rehearse(tmp_path, "--runbook", "compromised-pod", "--seed", "7", "-o", "json", programs=programs)
    found = json.loads(done.stdout)
    cut = next(step for step in found["steps"] if step["id"] == "cut-network")
    assert [block["code"] for block in cut["blocks"] if block["tags"] == ["leak"]] == [0]
    assert all(state["holds"] for state in cut["states"])


def page(folder: Path, *blocks: str) -> Path:
    """A playbook of one's own that cuts a pod off, with a runbook of these blocks."""
    folder.mkdir()
    text = (library.builtin() / "isolate-only.yaml").read_text()
    (folder / "mine.yaml").write_text(text.replace("name: isolate-only", "name: mine").replace("runbook: isolate-only.md", "runbook: mine.md"))
    pasted = "\n".join(f"```sh\n{block}\n```\n" for block in blocks)
    (folder / "mine.md").write_text(f"# x\n## Before you start\n```sh\nexport NS=a POD=b\n```\n## cut-network\n{pasted}\n## prove-it\n")
    return folder


def test_a_page_that_only_labels_is_found_out(tmp_path, programs):
    folder = page(
        tmp_path / "mine", 'kubectl -n "$NS" label pod "$POD" quarantine=true', "printf '\\033[31mred\\a'; exit_code() { return 3; }; exit_code"
    )
    done = rehearse(tmp_path, "--runbook", "mine", "--playbooks", str(folder), programs=programs)
    assert done.returncode == 5
    assert "isolated: left open" in done.stdout
    assert "it ended with 3" in done.stderr
    assert "\x1b" not in done.stderr + done.stdout


def test_a_page_that_ends_the_shell_is_one_sentence(tmp_path, programs):
    folder = page(tmp_path / "mine", "exit 1")
    done = rehearse(tmp_path, "--runbook", "mine", "--playbooks", str(folder), programs=programs)
    assert done.returncode == 2
    assert "mine.md ended the shell" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_kubectl_it_is_one_sentence(tmp_path):
    done = rehearse(tmp_path, "--runbook", programs=[])
    assert done.returncode == 2
    assert "kubectl is not on your PATH" in done.stderr
    assert "Traceback" not in done.stderr


# somebody at a terminal


def typed(home: Path, programs: list[Path], words: list[str], keys: str) -> tuple[int, str]:
    """What somebody sees who types these keys, one a question."""
    main, terminal = pty.openpty()
    with subprocess.Popen([sys.executable, "-m", "irkit", "rehearse", *words], env=environ(home, *programs), stdin=terminal,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:  # fmt: skip
        os.close(terminal)
        os.write(main, keys.encode())
        assert run.stdout is not None
        seen = run.stdout.read().decode()
    os.close(main)
    return run.returncode, seen


def test_enter_runs_each_block(tmp_path, programs):
    code, seen = typed(tmp_path, programs, ["--runbook", "isolate-only"], "\n" * 20)
    assert code == 0, seen
    assert "export KUBECONFIG=" in seen
    assert "pod/backend-" in seen
    assert "holds    isolated" in seen


def test_what_was_done_elsewhere_is_looked_at_and_what_was_not_is_missing(tmp_path, programs):
    code, seen = typed(tmp_path, programs, ["--runbook", "isolate-only"], "d\nr\n" + "\n" * 20)
    assert code == 5
    assert "go on there" in seen
    assert "missing  isolated: left open" in seen


def test_whoever_quits_is_told_what_is_missing(tmp_path, programs):
    code, seen = typed(tmp_path, programs, ["--runbook"], "q\n")
    assert code == 5
    assert "You left it there." in seen
    assert "of compromised-pod do not hold" in seen


# every page on a real control plane


@pytest.fixture(scope="module")
def vault(postgres: Postgres) -> Iterator[tuple[OpenBao, str]]:
    """A real OpenBao whose database engine owns a login of a real PostgreSQL by the names that the page has; and the login."""
    with openbao.running() as bao:
        (user, _), (admin, password) = postgres.role(), postgres.role(admin=True)
        bao.admin.sys.enable_secrets_engine("database", path="database")
        url = f"postgresql://{{{{username}}}}:{{{{password}}}}@{postgres.host}:{postgres.port}/postgres?sslmode=verify-full&sslrootcert={postgres.ca}"
        bao.admin.secrets.database.configure("pg", "postgresql-database-plugin", allowed_roles=["*"], username=admin, password=password,
                                             connection_url=url)  # fmt: skip
        bao.admin.write_data("database/static-roles/app", data={"db_name": "pg", "username": user, "rotation_period": "86400"})
        yield bao, user


@each_playbook(on_the_plane=True)
@pytest.mark.controlplane
@pytest.mark.slow
def test_every_runbook_does_what_it_says_on_a_real_control_plane(
    control_plane: Running, namespace: str, vault: tuple[OpenBao, str], postgres: Postgres, tmp_path: Path, programs, playbook: Playbook
):
    bao, login = vault
    old = bao.admin.read("database/static-creds/app")["data"]["password"]
    view = View(stage := deployed(control_plane, namespace, old), cast(stage))
    path, text = ":".join([*map(str, programs), os.environ["PATH"]]), library.runbook(playbook)
    drill = Drill(playbook, text.name, reader(text), view, path)
    given = {**stage.environment, "PATH": path, "LC_ALL": "C.UTF-8", "VAULT_ADDR": bao.address, "VAULT_TOKEN": bao.token}
    missing: dict[str, str] = {}
    try:
        with Shell("bash", environment(given, tmp_path), tmp_path) as shell:
            for part in drill.parts():
                for task in drill.tasks(part):
                    if not task.why:
                        ran = shell.run(("sleep 1\n" if "restart" in task.block.tags else "") + task.script)
                        assert ran.code == 0, f"{part.id}: {task.script}\n{ran.output}\n{ran.complaints}"
                    view.look()
                missing.update({f"{part.id}: {state.kind}": seen.why for state, seen in drill.check(part.id) if not seen.holds})
            at_the_end = drill.check()
    finally:
        control_plane.kubectl("uncordon", view.cast.node)
    assert missing == {}
    assert at_the_end
    assert [(state, seen.why) for state, seen in at_the_end if not seen.holds] == []
    if any(isinstance(state, Rotated) and state.secret.endswith("/db") for state, _ in at_the_end):
        found = control_plane.get("secret", "db", "-n", namespace)["data"]["APP_PASSWORD"]
        assert not postgres.login(login, old)
        assert postgres.login(login, base64.b64decode(found).decode())


def deployed(plane: Running, namespace: str, password: str) -> PlaneStage:
    """An app of three pods, with Secrets and an account of its own."""
    labels, mine = {"app": "it"}, {"name": "it"}
    env = [{"name": "APP_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "APP_PASSWORD"}}}]
    spec = {"serviceAccountName": "it", "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "app", "image": "registry.example/app:1", "envFrom": [{"secretRef": mine}], "env": env}]}  # fmt: skip
    plane.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": mine},
        {"apiVersion": "v1", "kind": "Secret", "metadata": mine, "stringData": {"SECRET_KEY": "the old value", "OTHER": "another old value"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "annotations": {"irkit.dev/rotation": "database"}},
         "stringData": {"APP_PASSWORD": password}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": mine,
         "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}},
        namespace=namespace,
    )  # fmt: skip
    pods = plane.pods(namespace, "app=it", count=3)
    return PlaneStage(plane, (namespace, pods[0]["metadata"]["name"]), DIGEST)
