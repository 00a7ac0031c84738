"""What a tired person types wrong: one sentence, the code for usage, and a next step that is of use."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from irkit.sandbox import Sandbox
from tests.e2e.running import PROGRAM, Answer, Irkit


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(home=tmp_path_factory.mktemp("sandbox")) as cluster:
        yield cluster


def slipped(name: str) -> dict[str, str]:
    """The name with another last letter, and with its last two letters swapped."""
    other = "x" if name[-1] != "x" else "z"
    return {"one letter": name[:-1] + other, "two swapped": name[:-2] + name[-1] + name[-2]}


def test_a_slip_in_a_pods_name_is_no_pod_that_is_gone(box: Sandbox, tmp_path: Path) -> None:
    namespace, pod = box.suspect
    me = Irkit(box.kubeconfig, tmp_path / "home")
    for wrong in slipped(pod).values():
        if wrong == pod:
            continue  # its last two letters are the same
        said = me.run("contain", wrong, "-n", namespace, "--yes").ended(2).stderr
        assert f"there is no pod {wrong} in namespace {namespace}; did you mean {pod}" in said
    assert me.json("incident", "list", "--local")["items"] == []


def test_a_name_that_its_owner_could_have_given_is_of_a_pod_that_is_gone(box: Sandbox, tmp_path: Path) -> None:
    namespace, pod = box.suspect
    gone = pod.rpartition("-")[0] + "-00000"
    said = Irkit(box.kubeconfig, tmp_path / "home").run("contain", gone, "-n", namespace, "--dry-run").ended(0)
    assert "the pod is gone" in said.said


@pytest.mark.parametrize(
    ("target", "next"),
    [
        (["deployment/nosuch"], "kubectl get deployments -n"),
        (["-l", "app=nosuch"], "--show-labels"),
        (["deployment/backend"], "with one of these names"),
    ],
)
def test_a_target_that_is_not_one_pod_says_how_to_find_one(box: Sandbox, tmp_path: Path, target: list[str], next: str) -> None:
    said = Irkit(box.kubeconfig, tmp_path).run("contain", *target, "-n", box.suspect[0], "--dry-run").ended(2).stderr
    assert next in said.splitlines()[-1]


@pytest.mark.parametrize("group", ["incident", "bundle", "playbook", "order"])
def test_a_group_without_its_command_names_them_in_one_sentence(tmp_path: Path, group: str) -> None:
    said = Irkit(tmp_path / "none", tmp_path).run(group).ended(2).stderr.splitlines()
    assert said[0].startswith(f"2: irkit {group} is nothing by itself; add one of ")
    assert "work" not in said[0]  # for Jobs, not for people
    assert said[1:] == [f"   next:   irkit {group} --help"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"contacts: [\n - {name", "config.yaml:2:2: not valid YAML"), (b"\xff\xfe\x00", "config.yaml: not valid YAML: incomplete"),
        (b"contact: []\n", "no setting 'contact'; did you mean 'contacts'?"), (b"- 1\n", "must be a mapping"),
        (b"request-timeout: soon\n", "settings: Expected `float`"),
    ],
)  # fmt: skip
def test_broken_settings_are_named_with_what_to_mend(tmp_path: Path, text: bytes, what: str) -> None:
    (tmp_path / "config.yaml").write_bytes(text)
    said = Irkit(tmp_path / "none", tmp_path, {"IRKIT_CONFIG": str(tmp_path / "config.yaml")}).run("incident", "list").ended(2).stderr.splitlines()
    assert len(said) == 2, said
    assert what in said[0]
    assert "mend the settings" in said[1]


def test_a_broken_kubeconfig_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("users: [\n - {name")
    said = Irkit(tmp_path / "config", tmp_path).run("contain", "backend-0").ended(2).stderr.splitlines()
    assert said[0].startswith("2: kubeconfig ")
    assert "mend the kubeconfig" in said[1]


@pytest.mark.parametrize("command", [["contain", "--yes"], ["collect"], ["rotate", "--yes"], ["respond", "compromised-pod", "--yes"]])
def test_who_may_not_is_given_a_command_that_prints_the_role(box: Sandbox, tmp_path: Path, command: list[str]) -> None:
    namespace, pod = box.suspect
    nobody = Irkit(box.token_for("nobody@example.com"), tmp_path)
    said = nobody.run(*command, pod, "-n", namespace).ended(4).stderr
    words = said.partition("next:   irkit ")[2].partition("   prints")[0].split()
    assert "kind: Role" in nobody.run(*words).ended(0).stdout


@pytest.mark.parametrize("room", [0, 200])
def test_where_the_disk_has_no_room_for_the_first_record_there_is_no_incident(box: Sandbox, tmp_path: Path, room: int) -> None:
    namespace, pod = box.suspect
    me = Irkit(box.kubeconfig, tmp_path / "home")
    limited = ["prlimit", f"--fsize={room}", str(PROGRAM), "contain", pod, "-n", namespace, "--yes"]
    run = subprocess.run(limited, env=me.environ(), cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    said = Answer(run.returncode, run.stdout, run.stderr).ended(6).stderr.splitlines()[-2:]
    assert said[0].startswith("6: the journal can't be written: ")
    assert said[0].endswith("; nothing was changed")
    assert said[1] == "   next:   make room on that disk, then the same command again"
    assert me.json("incident", "list", "--local")["items"] == []
    assert not [o for selection, o in box.store.everything() if o["metadata"]["name"].startswith("irkit-")]


def test_an_incident_of_a_cluster_whose_context_is_called_the_same_is_not_sent_to_that_context(box: Sandbox, tmp_path: Path) -> None:
    namespace, pod = box.suspect
    me = Irkit(box.kubeconfig, tmp_path / "home")
    incident = me.json("collect", pod, "-n", namespace)["incident"]
    with Sandbox(seed=5, home=tmp_path / "another") as another:
        said = me.using(another.kubeconfig).run("resume", incident).ended(8).stderr.splitlines()
    assert f"incident {incident} is of another cluster (rehearsal, uid " in said[0]
    assert said[1] == "   next:   the same command with --kubeconfig FILE, that cluster's"
