"""``-o json``: one document on stdout, of one form, whatever happens (docs of the contract: design §5)."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests.controlplane.running import Running
from tests.e2e import world
from tests.e2e.running import Irkit, finish
from tests.e2e.world import name_of
from tests.faults.harm import Delay, before
from tests.faults.proxy import Proxy

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]


def exactly(**fields: Any) -> dict[str, Any]:
    """An object with just these fields."""
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


TEXT = {"type": "string"}
WORDS = {"type": "string", "minLength": 1}
ABSOLUTE = {"type": "string", "pattern": "^/"}
OBJECT = exactly(kind=WORDS, namespace=TEXT, name=WORDS, uid=TEXT)
LEAK = exactly(
    policy=nullable({"type": "string", "pattern": "^[^/]+/[^/]+$"}),
    direction={"enum": ["ingress", "egress"]},
    rule=nullable({"type": "integer", "minimum": 0}),
    peer=WORDS,
    ports=WORDS,
    why=WORDS,
)
ISOLATION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "verdict": {"enum": ["isolated", "leaks", "gone"]},
        "enforcement": {"enum": ["enforced", "none", "unknown"]},
        "leaks": {"type": "array", "items": LEAK},
        "connections": {"enum": ["cut", "open", "unknown"]},
        "cni": TEXT,
        "notes": {"type": "array", "items": WORDS},
    },
    "required": ["verdict", "enforcement", "leaks", "connections"],
    "additionalProperties": False,
}
OUTCOMES = ["planned", "pending", "done", "unchanged", "skipped", "declined", "failed"]
CHANGE: dict[str, Any] = {
    "type": "object",
    "properties": {"change": WORDS, "title": WORDS, "object": OBJECT, "outcome": {"enum": OUTCOMES}, "why": TEXT},
    "required": ["change", "title"],
    "additionalProperties": False,
}
STEP = exactly(id=WORDS, step=WORDS, phase=WORDS, outcome={"enum": OUTCOMES}, why=TEXT, changes={"type": "array", "items": CHANGE})
GAP = exactly(what=WORDS, why=WORDS)
EVIDENCE = exactly(
    bundle=nullable(ABSOLUTE),
    bundles={"type": "array", "items": ABSOLUTE},
    elsewhere={"type": "array", "items": exactly(bag={"type": "integer", "minimum": 1}, where=WORDS, manifest=WORDS)},
    artefacts={"type": "integer", "minimum": 0},
    missing={"type": "array", "items": GAP},
)
CHECK = exactly(check=WORDS, holds={"enum": [True, False, None]}, summary=WORDS, findings={"type": "array", "items": WORDS})
COUNT = {"type": "integer", "minimum": 0}
CREDENTIAL = exactly(
    name=WORDS,
    kind=WORDS,
    keys={"type": "array", "items": TEXT},
    **{"class": WORDS},
    outcome={"enum": ["rotated", "manual", "unchanged", "failed"]},
    oldValue={"enum": ["dead", "alive", "untested"]},
    how=WORDS,
    consumers=exactly(total=COUNT, restarted=COUNT),
    left={"type": "array", "items": WORDS},
    rotator=WORDS,
)
RUN_RESULT = exactly(
    apiVersion={"const": "irkit.dev/v1"},
    kind={"const": "RunResult"},
    incident=nullable({"type": "string", "pattern": r"^\d{8}T\d{6}Z-[a-z0-9-]+-[a-z0-9]{6}$"}),
    command=WORDS,
    outcome={"enum": ["planned", "done", "lifted", "incomplete", "declined", "failed", "interrupted"]},
    exitCode={"enum": [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]},
    cluster=nullable(exactly(context=TEXT, server={"type": "string", "pattern": "^https://"}, uid=WORDS)),
    target=nullable(OBJECT),
    isolation=nullable(ISOLATION),
    steps={"type": "array", "items": STEP},
    evidence=nullable(EVIDENCE),
    checks={"type": "array", "items": CHECK},
    credentials={"type": "array", "items": CREDENTIAL},
    next=WORDS,
    error=nullable(exactly(code={"enum": [1, 2, 3, 4, 5, 6, 7, 8, 130]}, message=WORDS, next=WORDS)),
)
VALIDATOR = jsonschema_rs.validator_for(RUN_RESULT)


def result(irkit: Irkit, *words: str, code: int = 0) -> dict[str, Any]:
    """The document of a run, which must be of the form, and whose exit code must be the process's."""
    answer = irkit.run(*words, "-o", "json").ended(code)
    document = answer.document
    VALIDATOR.validate(document)
    assert (document["exitCode"], document["command"]) == (code, words[0])
    return document


def test_the_form_is_strict() -> None:
    assert not VALIDATOR.is_valid({})
    assert not VALIDATOR.is_valid({"apiVersion": "irkit.dev/v1", "kind": "RunResult"})


def test_results_are_of_one_form(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect, _ = world.deployed(control_plane, namespace)
    name, where = name_of(suspect), ["-n", namespace]
    planned = result(irkit, "contain", name, *where, "--dry-run")
    assert (planned["incident"], planned["outcome"], planned["evidence"]) == (None, "planned", None)
    assert [s["step"] for s in planned["steps"]] == ["quarantine", "collect", "scale-down", "verify", "notify"]

    done = result(irkit, "contain", name, *where, "--yes")
    assert [(s["id"], s["step"], s["phase"], s["outcome"]) for s in done["steps"]] == [
        ("cut-network", "quarantine", "containment", "done"),
        ("keep-evidence", "collect", "containment", "done"),
        ("stop-workload", "scale-down", "containment", "done"),
        ("prove-it", "verify", "containment", "done"),
        ("tell-people", "notify", "containment", "unchanged"),
    ]
    assert done["target"] == {"kind": "Pod", "namespace": namespace, "name": name, "uid": suspect["metadata"]["uid"]}
    assert done["cluster"]["server"] == control_plane.url
    assert done["cluster"]["uid"] == control_plane.get("namespace", "kube-system")["metadata"]["uid"]
    bag = Path(done["evidence"]["bundle"])
    assert bag == irkit.home / "incidents" / done["incident"] / "bags" / "1"
    assert done["evidence"]["artefacts"] == len(json.loads((bag / "contents.json").read_text())["artefacts"]) > 20

    assert result(irkit, "verify", done["incident"])["incident"] == done["incident"]
    assert result(irkit, "verify", name, *where)["isolation"]["verdict"] == "isolated"
    assert {k: v for k, v in result(irkit, "resume", done["incident"]).items() if k in ("incident", "evidence", "outcome", "target")} == {
        k: v for k, v in done.items() if k in ("incident", "evidence", "outcome", "target")
    }
    result(irkit, "lift", done["incident"], "--yes", "--dry-run")
    assert result(irkit, "lift", done["incident"], "--yes")["outcome"] == "lifted"
    result(irkit, "lift", done["incident"], "--yes", "--pod", "delete")
    sibling = name_of(control_plane.pods(namespace, count=2)[0])
    result(irkit, "collect", sibling, *where)
    result(irkit, "verify", sibling, *where, code=5)
    result(irkit, "respond", "isolate-only", sibling, *where, "--yes")


def test_a_relative_home_gives_absolute_paths(control_plane: Running, namespace: str, irkit: Irkit, tmp_path: Path) -> None:
    control_plane.apply(world.bare("solo", namespace))
    control_plane.pods(namespace, count=1)
    relative = Irkit(irkit.kubeconfig, irkit.home, {"IRKIT_HOME": "state/irkit"})
    found = result(relative, "contain", "solo", "-n", namespace, "--yes")
    assert Path(found["evidence"]["bundle"]).is_relative_to(tmp_path / "state" / "irkit")


def nowhere(tmp_path: Path, source: Path) -> Path:
    """A kubeconfig of a server that does not answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = json.loads(source.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    path = tmp_path / "nowhere.kubeconfig"
    path.write_text(json.dumps(config))
    return path


Case = Callable[[Irkit, Running, str, Path], tuple[Irkit, list[str]]]
ERRORS: dict[str, tuple[int, Case]] = {
    "unknown pod": (2, lambda i, c, ns, t: (i, ["contain", "nothing", "-n", ns, "--yes"])),
    "unknown option": (2, lambda i, c, ns, t: (i, ["contain", "solo", "--frobnicate"])),
    "unknown command": (2, lambda i, c, ns, t: (i, ["contian", "solo"])),
    "unknown playbook": (2, lambda i, c, ns, t: (i, ["respond", "compromised-pud", "solo", "-n", ns])),
    "no kubeconfig": (2, lambda i, c, ns, t: (i.using(t / "none"), ["contain", "solo", "-n", ns, "--yes"])),
    "unknown incident": (2, lambda i, c, ns, t: (i, ["lift", "20000101T000000Z-web-bcdfgh"])),
    "nothing to resume": (2, lambda i, c, ns, t: (i, ["resume"])),
    "nobody to ask": (3, lambda i, c, ns, t: (i, ["contain", "solo", "-n", ns])),
    "no rights": (4, lambda i, c, ns, t: (i.using(c.user().kubeconfig), ["contain", "solo", "-n", ns, "--yes"])),
    "unreachable": (7, lambda i, c, ns, t: (i.using(nowhere(t, c.admin_kubeconfig)).configured(t / "c.yaml", **{"retry-budget": 1}),
                                            ["contain", "solo", "-n", ns, "--yes"])),
    "protected": (8, lambda i, c, ns, t: (i, ["contain", "solo", "-n", "kube-system", "--yes"])),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_of_the_same_form(control_plane: Running, namespace: str, irkit: Irkit, tmp_path: Path, case: str) -> None:
    control_plane.apply(world.bare("solo", "kube-system" if case == "protected" else namespace))
    code, make = ERRORS[case]
    using, words = make(irkit, control_plane, namespace, tmp_path)
    document = result(using, *words, code=code)
    assert document["error"]["code"] == code
    assert document["next"] == document["error"]["next"]
    assert (document["outcome"], document["incident"]) == ("declined" if code == 3 else "failed", None)
    text = using.run(*words).ended(code)
    assert text.stderr.count("next:") == 1
    assert f"{code}: " in text.stderr


def test_a_journal_that_was_changed_is_an_evidence_error(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    control_plane.apply(world.bare("solo", namespace))
    control_plane.pods(namespace, count=1)
    done = result(irkit, "contain", "solo", "-n", namespace, "--yes")
    journal = irkit.home / "incidents" / done["incident"] / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"admin", b"nimda"))
    assert result(irkit, "verify", done["incident"], code=6)["error"]["code"] == 6
    assert result(irkit, "lift", done["incident"], "--yes", code=6)["error"]["code"] == 6


def test_an_interrupt_is_a_document_too(control_plane: Running, namespace: str, irkit: Irkit) -> None:
    suspect = name_of(world.deployed(control_plane, namespace)[0])
    with Proxy(control_plane.token_kubeconfig) as proxy:
        proxy.when(lambda request: request.path.endswith("/log"), before(Delay(2)))
        run = irkit.using(proxy.kubeconfig).start("contain", suspect, "-n", namespace, "--yes", "-o", "json")
        assert run.stderr is not None
        assert run.stderr.readline().startswith("verdict: isolated")
        run.send_signal(signal.SIGINT)
        document = finish(run, 30).ended(130).document
    VALIDATOR.validate(document)
    assert (document["outcome"], document["error"]["code"]) == ("interrupted", 130)
    (incident,) = irkit.json("incident", "list")["items"]
    assert (document["incident"], document["error"]["next"]) == (incident["id"], f"irkit resume {incident['id']}")
    assert result(irkit, "resume", "--yes")["incident"] == incident["id"]
