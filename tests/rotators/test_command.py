"""The command rotator: its protocol, the worked example of the docs, and answers that are none."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from irkit.adapters.outside import Outside
from irkit.errors import ApiError, EndStateError, IrkitError, UnreachableError, UsageError
from irkit.model.credential import Credential, Source
from irkit.model.kube import SECRETS
from irkit.model.outcome import Done, Skipped
from irkit.settings.rotation import ClassRule, CommandSettings, RotationSettings
from tests.rotators.world import World

EXAMPLE = Path(__file__).parents[2] / "examples" / "rotators" / "aws-secrets-manager"
OLD, NEW = "old-value-0123456789", "new-value-0123456789"

AWS = '''#!{python}
"""A stand-in for the `aws` CLI: one entry, in a file beside it. It takes no value in an argument."""
import json, pathlib, sys
file = pathlib.Path(__file__).parent / "entry.json"
entry = json.loads(file.read_text())
call, options = sys.argv[2], dict(zip(sys.argv[3::2], sys.argv[4::2]))
assert sys.argv[1] == "secretsmanager" and options.pop("--output") == "json" and options.pop("--secret-id") == "prod/app"
answer = {{}}
if call == "describe-secret":
    answer = {{"VersionIdsToStages": entry["stages"]}}
elif call == "get-secret-value":
    answer = {{"SecretString": entry["versions"][options["--version-id"]]}}
elif call == "put-secret-value":
    assert options == {{"--secret-string": "file:///dev/stdin"}}
    number = f"v{{len(entry['versions']) + 1}}"
    entry["versions"][number] = open("/dev/stdin").read()
    entry["stages"] = {{k: ["AWSPREVIOUS"] for k, s in entry["stages"].items() if "AWSCURRENT" in s}} | {{number: ["AWSCURRENT"]}}
elif call == "update-secret-version-stage":
    entry["stages"][options["--remove-from-version-id"]].remove(options["--version-stage"])
else:
    sys.exit(252)
file.write_text(json.dumps(entry))
print(json.dumps(answer))
'''


def program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def with_command(world: World, argv: tuple[str, ...], **more: Any) -> Credential:
    """The plain Secret ``app``, rotated by that command."""
    if not world.get(SECRETS, "app"):
        world.create(SECRETS, "app", {"data": {"KEY": base64.b64encode(OLD.encode()).decode()}})
    rule = ClassRule(cls="generated", name="app", command="mine")
    world.set(commands={"mine": CommandSettings(argv=argv, **more)}, rotation=RotationSettings(classes=(rule,), sync_timeout=5))
    world.ports = msgspec.structs.replace(world.ports, vaults=Outside(world.ports.settings))
    return world.credential("app")


def test_the_example_rotates_an_entry_of_aws(rehearsal: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"versions": {"v1": json.dumps({"password": OLD, "user": "shop"})}, "stages": {"v1": ["AWSCURRENT"]}}
    (tmp_path / "entry.json").write_text(json.dumps(entry))
    program(tmp_path, "aws", AWS.format(python=sys.executable))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    credential = with_command(rehearsal, (sys.executable, str(EXAMPLE)))
    where = Source(kind="csi", provider="aws", path="prod/app", properties={"KEY": "password"}, command="mine")
    # as of a Secret that somebody else's operator fills from AWS: here the test does
    credential = msgspec.structs.replace(credential, source=where)
    rotator, tools = rehearsal.rotator(credential), rehearsal.tools(seconds=2)
    before = rotator.before(credential, tools)
    assert before["state"] == {"version": "v1"}
    with pytest.raises(EndStateError, match="did not change within the step's time"):
        rotator.renew(credential, before, tools)  # AWS has the new value, the cluster not yet
    told = json.loads((tmp_path / "entry.json").read_text())
    made = json.loads(told["versions"]["v2"])
    assert (made["user"], made["password"] != OLD, list(told["stages"])) == ("shop", True, ["v1", "v2"])
    rehearsal.patch(SECRETS, "app", {"stringData": {"KEY": made["password"]}})
    assert isinstance(rotator.renew(credential, before, rehearsal.tools()), Done)
    retired = rotator.retire(credential, before, rehearsal.tools())
    assert isinstance(retired, Done)
    assert retired.data == {"oldValue": "untested", "how": "version v1 has no label any more; AWS deletes such versions in its own time"}
    assert json.loads((tmp_path / "entry.json").read_text())["stages"] == {"v1": [], "v2": ["AWSCURRENT"]}


def script(folder: Path, **answers: Any) -> tuple[str, ...]:
    """A command that answers so, by stage; it keeps the requests."""
    text = f"""import json, sys
request = json.load(sys.stdin)
open({str(folder / "requests")!r}, "a").write(json.dumps(request) + "\\n")
answer = {json.dumps(answers)}.get(request["stage"], {{}})
print(answer if isinstance(answer, str) else json.dumps(answer))
"""
    return (sys.executable, str(program(folder, "command", text)))


def test_values_that_it_answers_go_into_the_secret(rehearsal: World, tmp_path: Path) -> None:
    renew = {"values": {"KEY": NEW}, "detail": "key 8"}
    credential = with_command(rehearsal, script(tmp_path, before={"state": {"id": 7}}, renew=renew, retire={"oldValue": "dead", "how": "401"}))
    before, renewed, retired = rehearsal.rotate(credential)
    assert rehearsal.values("app") == {"KEY": NEW}
    assert isinstance(renewed, Done)
    assert renewed.detail == f"command mine made a new value: key 8; Secret {rehearsal.namespace}/app holds it"
    assert isinstance(retired, Done)
    assert retired.data == {"oldValue": "dead", "how": "401"}
    requests = [json.loads(line) for line in (tmp_path / "requests").read_text().splitlines()]
    assert [r["stage"] for r in requests] == ["before", "renew", "retire"]
    assert requests[1]["state"] == before["state"] == {"id": 7}
    assert set(requests[1]) == {"apiVersion", "kind", "stage", "incident", "state", "credential", "proposed"}
    assert list(requests[1]["proposed"]) == ["KEY"]
    assert OLD not in (tmp_path / "requests").read_text()


@pytest.mark.parametrize(("answers", "error", "code", "says"), [
    ({"before": "nonsense"}, ApiError, 1, "no answer to 'before'"), ({"before": []}, ApiError, 1, "no answer"),
    ({"before": {"state": 1}}, ApiError, 1, "no answer"), ({"before": {"secret": OLD}}, ApiError, 1, "no answer"),
    ({"before": {"state": {"was": OLD}}}, ApiError, 1, "a state that holds a value"),
    ({"before": {"state": {"x": "y" * 20_000}}}, ApiError, 1, "more than 16384 bytes"),
    ({"before": {"error": f"no: {OLD}\nsecond"}}, EndStateError, 5, "command mine says: no"),
    ({"renew": {"values": {}}}, EndStateError, 5, "did not change"), ({"renew": {"values": {"OTHER": "x"}}}, ApiError, 1, "no value for KEY"),
    ({"renew": {"values": {"KEY": OLD}}}, EndStateError, 5, "the old value again"), ({"renew": {"values": {"KEY": 5}}}, ApiError, 1, "no answer"),
])  # fmt: skip
def test_an_answer_that_is_none(rehearsal: World, tmp_path: Path, answers: dict[str, Any], error: type[IrkitError], code: int, says: str) -> None:
    credential = with_command(rehearsal, script(tmp_path, **answers))
    with pytest.raises(error, match=says) as raised:
        rehearsal.rotator(credential).renew(credential, rehearsal.begin(credential), rehearsal.tools(seconds=1))
    assert (raised.value.exit_code, "\n" in raised.value.message) == (code, False)
    assert rehearsal.values("app") == {"KEY": OLD}


def test_what_it_says_never_tells_a_value(rehearsal: World, tmp_path: Path) -> None:
    credential = with_command(
        rehearsal, script(tmp_path, renew={"values": {"KEY": NEW}, "detail": f"it is {NEW}"}, retire={"how": f"was \x1b[2J{NEW}"})
    )
    _, *outcomes = rehearsal.rotate(credential)
    assert NEW not in repr(outcomes)
    assert "\x1b" not in repr(outcomes)


def test_it_may_leave_it_to_a_human(rehearsal: World, tmp_path: Path) -> None:
    credential = with_command(rehearsal, script(tmp_path, renew={"outcome": "manual", "detail": "ask Ann"}))
    assert rehearsal.renew(credential) == Skipped("command mine leaves it to a human: ask Ann")


@pytest.mark.parametrize(("argv", "error", "code"), [
    (("/no/such/program",), UsageError, 2), (("/bin/sh", "-c", "exit 3"), ApiError, 1), (("/bin/sleep", "9"), UnreachableError, 7),
    (("/usr/bin/yes",), ApiError, 1),
])  # fmt: skip
def test_a_command_that_can_not(rehearsal: World, argv: tuple[str, ...], error: type[IrkitError], code: int) -> None:
    credential = with_command(rehearsal, argv, timeout=0.5)
    with pytest.raises(error) as raised:
        rehearsal.begin(credential)
    assert raised.value.exit_code == code
    assert rehearsal.values("app") == {"KEY": OLD}
