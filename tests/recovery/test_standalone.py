"""`irkit rotate` and `irkit redeploy` by themselves: nothing was cut off, and the pod by whose name they were told is restarted like the others."""

from __future__ import annotations

import io

import msgspec
import pytest

from irkit.app import closing
from irkit.app import lift as lifting
from irkit.app import rotate as rotations
from irkit.app.respond import Request, respond
from irkit.app.verify import verify
from irkit.cli import options, output
from irkit.engine import result as documents
from irkit.errors import EndStateError, UsageError
from irkit.model.incident import ClusterIdentity, Incident, Operator, Target
from irkit.model.kube import PODS, ObjectRef
from tests.engine.harness import Bench, Script, bench
from tests.recovery.world import backend, put_back


class Silent(Script):
    """Somebody who does nothing by hand."""

    def answer(self, instruction: str) -> str | None:
        return None


class WithoutItsFile(Script):
    """Whose file of a value vanished once the run had begun."""

    def secret(self, name: str, prompt: str) -> str | None:
        raise UsageError("--value: /tmp/key: No such file or directory")


def rotate(b: Bench, wish: rotations.Wish, target: str | None, **more: object) -> documents.RunResult:
    b.approver.secrets = {"backend-secret/GROQ_API_KEY": "a-new-key-of-the-issuer"}
    return rotations.rotate(b.ports, wish, Request(command="rotate", playbook="rotate", target=target, namespace="todo-app", **more))  # type: ignore[arg-type]


def test_what_was_rotated_holds_and_can_be_closed_though_its_pod_was_restarted(tmp_path):
    with bench(tmp_path) as b:
        result = rotate(b, rotations.Wish(), b.box.suspect[1])
        assert result.exit_code == 0, result
        now = verify(b.ports, result.incident, None, "")
        assert (now.exit_code, [c["check"] for c in now.checks]) == (0, ["rotated"]), now
        assert closing.close(b.ports, result.incident).outcome == "closed"


def test_what_was_redeployed_holds_and_can_be_closed_though_its_pods_are_others(tmp_path):
    with bench(tmp_path) as b:
        result = put_back(b)
        assert verify(b.ports, result.incident, None, "").exit_code == 0
        assert closing.close(b.ports, result.incident).outcome == "closed"


def test_of_a_workload_all_that_its_pods_could_reach_is_rotated(tmp_path):
    with bench(tmp_path) as b:
        result = rotate(b, rotations.Wish(scope="workload"), "deployment/backend")
        assert result.exit_code == 0, result
        assert {c["name"].rpartition("/")[2] for c in result.credentials} == {"backend-secret", "mcp-secret", "postgres-secret"}
        assert backend(b)["spec"]["replicas"] == 3


def test_secrets_by_name_are_no_selection_of_what_a_pod_could_reach(tmp_path):
    with bench(tmp_path) as b:
        with pytest.raises(UsageError, match="--secret goes with --scope namespace"):
            rotate(b, rotations.Wish(secrets=("backend-secret",)), b.box.suspect[1])
        assert b.writes() == []


@pytest.mark.parametrize(("argv", "told"), [
    (("/opt/irkit", "rotate", "--secret", "a b", "-n", "shop", "--dry-run"), "irkit rotate --secret 'a b' -n shop"),
    (("/opt/irkit", "rotate", "web-1", "--revoke-first"), "irkit rotate web-1 --revoke-first"),
    (("/opt/irkit", "rehearse"), "irkit rotate web-1 -n shop"),
    ((), "irkit rotate web-1 -n shop"),
])  # fmt: skip
def test_the_command_in_earnest_leaves_no_option_out(argv, told):
    """Without --secret or --scope it would rotate more, without --image it would not run."""
    pod = ObjectRef(resource=PODS, name="web-1", namespace="shop", uid="u1")
    incident = Incident(id="i", opened="", operator=Operator(name="o"), cluster=ClusterIdentity(context="c", server="s", uid="u"),
                        target=Target(pod=pod), playbook="rotate")  # fmt: skip
    assert documents.again(incident, "rotate", argv) == told


def test_a_file_of_a_value_is_looked_for_before_anything_is_rotated(tmp_path):
    good = tmp_path / "key"
    good.write_text("x")
    assert options.files([f"s/K={good}"]) == {"s/K": good}
    for bad in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match="can't be read; nothing was changed"):
            options.files([f"s/K={good}", f"s/K={bad}"])


class Terminal(io.StringIO):
    """What is printed on a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_command_that_is_to_be_pasted_is_never_broken_into_two(monkeypatch):
    """The first half of `irkit incident close ID` would close the newest incident."""
    monkeypatch.setenv("COLUMNS", "60")
    screen = Terminal()
    command = f"or, with a reason that goes on record: irkit incident close {'i' * 40} --anyway REASON"
    output.error(EndStateError("not closed", next=f"irkit verify\n{command}"), ["incident"], output.Out(screen))
    assert command in screen.getvalue()


def test_what_a_lift_left_undone_is_put_on_record_for_resume_does_nothing_more_to_it(tmp_path):
    with bench(tmp_path) as b:
        silent = msgspec.structs.replace(b.ports, approver=Silent())
        opened = respond(silent, b.request(command="respond", playbook="compromised-pod", phase=""))
        lifting.lift(b.ports, opened.incident, "delete")
        with pytest.raises(EndStateError, match="how-did-they-get-in") as refused:
            closing.close(b.ports, opened.incident)
        assert refused.value.next == f"irkit incident close {opened.incident} --anyway REASON"
        assert closing.close(b.ports, opened.incident, anyway="nobody knows").outcome == "closed"


def test_a_file_that_vanished_meanwhile_is_no_usage_error_once_others_were_rotated(tmp_path):
    """2 says that nothing was run."""

    with bench(tmp_path) as b:
        request = Request(command="rotate", playbook="rotate", target=b.box.suspect[1], namespace="todo-app")
        result = rotations.rotate(msgspec.structs.replace(b.ports, approver=WithoutItsFile()), rotations.Wish(), request)
        assert {c["outcome"] for c in result.credentials} == {"rotated", "failed"}
        assert result.exit_code == 5
