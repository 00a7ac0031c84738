"""A scenario file: all mistakes at once, each with its place; whatever the bytes, a scenario or its mistakes."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from irkit.app import gameday
from irkit.cli import games
from irkit.engine.positions import Mistakes, compose, plain
from irkit.errors import PlaybookError, UsageError
from irkit.game import grammar, loader
from irkit.game.acts import ACTS
from irkit.game.cast import Cast
from irkit.game.goals import GOALS
from irkit.game.schema import scenario_schema
from irkit.model.kube import PODS, ObjectRef
from irkit.model.scenario import Scenario
from tests import fuzz

SCHEMA = scenario_schema()
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)
SOURCES = [path.read_bytes() for path in sorted(loader.BUILTIN.glob("*.yaml"))]
SOUND = """\
apiVersion: irkit.dev/v1
kind: Scenario
metadata: {name: mine, title: Mine, difficulty: 1, playbooks: [isolate-only]}
alert: Look at ${suspect}
lasts: 10m
attack:
  - {at: 5s, act: connect, with: {to: 198.51.100.1}}
injects:
  - {at: 1m, from: somebody, says: Why}
goals:
  - {id: cut-off, state: isolated, points: 10, why: Because., within: 2m}
best:
  - irkit contain ${suspect} -n ${namespace} --yes
  - wait 30s
"""


CONTAINERS = "[{name: a, image: b}]"
POD = "apiVersion: v1, kind: Pod, metadata: {name: a, namespace: todo-app}"
JOB = "apiVersion: batch/v1, kind: CronJob, metadata: {name: a, namespace: todo-app}"
TEMPLATE = f"jobTemplate: {{spec: {{template: {{spec: {{containers: {CONTAINERS}}}}}}}}}"


def mistakes(text: str) -> list[str]:
    with pytest.raises(PlaybookError) as raised:
        loader.loads(text.encode(), "mine.yaml")
    return [str(mistake) for mistake in raised.value.mistakes]


def one(text: str) -> str:
    found = mistakes(text)
    assert len(found) == 1, found
    return found[0]


def test_a_sound_one_is_read():
    found = loader.loads(SOUND.encode(), "mine.yaml")
    assert (found.name, found.lasts, found.goals[0].within) == ("mine", 600.0, 120.0)


def test_all_mistakes_are_said_at_once_in_the_order_of_the_file():
    text = SOUND.replace("difficulty: 1", "difficulty: 9").replace("act: connect", "act: conect").replace("at: 1m", "at: 11m").replace("2m}", "20m}")
    found = mistakes(text.replace("irkit contain", "irkit colect"))
    assert [re.sub(r"^mine\.yaml:(\d+):\d+: ", r"\1 ", line) for line in found] == [
        "3 'difficulty' takes a whole number from 1 to 5, not 9",
        "7 no kind of act 'conect'; did you mean 'connect'?",
        "9 somebody speaks 660 s after the alert, when the game is over",
        "11 cut-off has 1200 s, and the game lasts 600 s: nobody can be late",
        "13 no scenario types 'irkit colect'; did you mean 'collect'?",
    ]


@pytest.mark.parametrize(("old", "new", "said"), [
    ("within: 2m", "within: 5s", "nobody reads an alert and types a command in less than 15 s"),
    ("within: 2m", "within: 2m, hold: always", "cut-off must hold all the time, so it has no deadline"),
    (", within: 2m", ", hold: always", "who does nothing wins"),
    ("lasts: 10m", "lasts: 3s", "a game of 3 s is over before anybody has typed a command"),
    ("at: 5s", "at: 5s, every: 1s", ""),
    ("lasts: 10m", "lasts: 10h", ""),
    ("state: isolated", "state: field, with: {object: Deployment a/b, path: [spec, template, spec, hostNetwork], unset: true}", ""),
    ("points: 10", "points: 0", "'points' takes a whole number from 1 to 1000, not 0"),
    ("Look at ${suspect}", "Look at ${suspekt}", "nothing is bound to ${suspekt}; did you mean ${suspect}?"),
    ("irkit contain ${suspect}", "irkit contain ${pod}", "nothing is bound to ${pod}"),
    ("with: {to: 198.51.100.1}", "with: {too: 198.51.100.1}", "no field 'too' in 'with' of connect; did you mean 'to'?"),
    ("state: isolated", "state: rotated, with: {keys: [A]}", "'with' of rotated needs 'secret'"),
    ("state: isolated", "state: rotated", "an end state needs 'with'"),
    ("name: mine", "name: ../../etc/passwd", "'name' takes lower-case letters, digits and dashes, at most 63, not '../../etc/passwd'"),
])  # fmt: skip
def test_each_mistake_is_one_clear_sentence(old: str, new: str, said: str):
    text = SOUND.replace(old, new)
    assert text != SOUND
    if not said:
        loader.loads(text.encode(), "mine.yaml")
        return
    assert said in " ".join(mistakes(text))


def test_a_game_ends_in_a_time_that_its_player_has():
    text = SOUND.replace("lasts: 10m", "lasts: 10h").replace("at: 5s", "at: 5s, every: 1s")
    assert one(text) == "mine.yaml:7:3: the attack has 35996 acts, with those that come again; at most 2000"
    many = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: todo-app}, spec: {replicas: 900000000000}}"
    assert "the objects ask for 900000000000 pods; a game has at most 1000" in one(f"{SOUND}world: {{manifests: [{many}]}}\n")
    assert "at most 1000" in one(SOUND.replace("act: connect, with: {to: 198.51.100.1}", f"act: apply, with: {{object: {many}}}"))
    for spec in ("minReplicas: 900000, maxReplicas: 5", "maxReplicas: 900000.5", "jobTemplate: {spec: {parallelism: 900000}}"):
        assert "at most 1000" in one(SOUND + f"world: {{manifests: [{{apiVersion: a/v1, kind: A, metadata: {{name: a}}, spec: {{{spec}}}}}]}}\n")


@pytest.mark.parametrize("command", [
    "irkit contain ${suspect} --kubeconfig /home/me/.kube/config --yes",
    "irkit contain ${suspect} --context=production --yes",
    "irkit respond compromised-pod ${suspect} --playbooks /tmp/theirs", "irkit respond ./theirs.yaml ${suspect}",
    "irkit respond theirs.yml ${suspect}",
    "kubectl delete pod x --kubeconfig=/home/me/.kube/config", "irkit bundle push x", "irkit serve", "irkit slack", "irkit rehearse --staging prod",
    "kubectl exec x -- sh", "kubectl dance",
    "rm -rf /", "bash -c 'irkit contain x'", "wait", "wait forever", "wait 0s", "irkit", "kubectl", "'unclosed", "/usr/bin/irkit contain x",
])  # fmt: skip
def test_a_scenario_types_only_what_stays_in_its_game(command: str):
    """It comes from strangers, and is typed in the terminal of whoever plays it."""
    text = SOUND.replace("irkit contain ${suspect} -n ${namespace} --yes", json.dumps(command))
    assert one(text).startswith("mine.yaml:13:5: ")


@pytest.mark.parametrize("name", ["../first-contact", "/etc/passwd", "\x00.yaml", "/dev/null/x.yaml", "no-such.yaml", "./", "a" * 5000 + ".yaml"])
def test_a_path_that_is_none_is_one_mistake(name: str):
    with pytest.raises(PlaybookError, match=r":1:1: "):
        loader.find(name)


@pytest.mark.parametrize("name", ["first-contct", "", "\x1b[31mred", "*", "first\ncontact"])
def test_a_name_that_is_none_is_said_with_the_nearest(name: str):
    with pytest.raises(UsageError) as raised:
        loader.find(name)
    assert str(raised.value).isprintable()
    assert name != "first-contct" or "did you mean first-contact?" in str(raised.value)


def test_own_ones_hide_built_in_ones_of_the_same_name(tmp_path: Path):
    (tmp_path / "first-contact.yaml").write_text(SOUND.replace("name: mine", "name: first-contact"))
    assert loader.find("first-contact", [tmp_path]).title == "Mine"


def test_a_directory_that_is_none_is_said(tmp_path: Path):
    with pytest.raises(UsageError, match=r"there is no directory of scenarios .*missing"):
        loader.listed([tmp_path / "missing"])


def test_what_is_no_file_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    assert not {"pipe", "folder"} & set(loader.listed([tmp_path]))


def test_the_time_to_type_is_the_same_everywhere():
    assert loader.SOONEST == gameday.PACE


def test_every_name_that_may_be_filled_in_is():
    pod = ObjectRef(resource=PODS, name="a", namespace="b", uid="c")
    cast = Cast(suspect=pod, siblings=(), neighbours=(), workload=None, account="x", node="n", restarts={})
    assert set(cast.names()) == set(grammar.NAMES)


# what the world does not have


@pytest.mark.parametrize(("goal", "said"), [
    ("{id: a, state: rotated, with: {secret: todo-app/backend-secre}, points: 1, why: W.}", "goal a: there is no Secret todo-app/backend-secre"),
    ("{id: a, state: dead, with: {role: app, password: todo-app/postgres-secret/PASS}, points: 1, why: W.}",
     "goal a: there is no key of a Secret todo-app/postgres-secret/PASS"),
    ("{id: a, state: dead, with: {account: backend-sa}, points: 1, why: W.}", "goal a: there is no ServiceAccount backend-sa"),
    ("{id: a, state: serving, with: {service: todo-app/none}, points: 1, why: W.}", "goal a: there is no Service todo-app/none"),
    ("{id: a, state: restarted, with: {app: todo-app/none, after: todo-app/backend-secret}, points: 1, why: W.}",
     "goal a: there is no pod with the label app todo-app/none"),
])  # fmt: skip
def test_a_goal_about_what_is_not_there_is_said_before_the_game(goal: str, said: str):
    scenario = loader.loads(SOUND.replace("best:", f"  - {goal}\nbest:").encode(), "mine.yaml")
    with pytest.raises(UsageError, match=re.escape(said)):
        games.played(scenario, 0, "test", ())


@pytest.mark.parametrize("world", [
    "{suspect: {app: nobody}}", "{without: [Pod todo-app/none]}", "{without: [Nonsense x]}", "{base: empty}",
    "{namespace: nowhere, suspect: {app: backend}}",
    "{manifests: [{apiVersion: v9, kind: Nonsense, metadata: {name: a}}]}",
    "{manifests: [{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: todo-app}, data: {A: '***'}}]}",
    "{manifests: [{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: todo-app}, spec: 7}]}",
    "{manifests: [{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: todo-app}, spec: {template: [], replicas: many}}]}",
    "{manifests: [{apiVersion: v1, kind: Service, metadata: {name: ../../a, namespace: todo-app}, spec: {ports: x}}]}",
    "{manifests: [{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: 3}}]}",
    "{manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: todo-app, labels: [x]}}]}",
    "{vault: {'../x': {A: b}}}", "{vault: {'': {A: b}}}",
    "{manifests: [{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a, namespace: todo-app}, spec: {podSelector: 5}}]}",
    "{manifests: [{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a, namespace: todo-app}, spec: {ingress: [5]}}]}",
    "{manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: todo-app, ownerReferences: [5]}}]}",
    "{manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: todo-app, finalizers: 5, deletionTimestamp: x}}]}",
    "{manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}]}",
    "{manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: nowhere}}]}",
    "{manifests: [{apiVersion: v1, kind: Node, metadata: {name: a, namespace: todo-app}}]}",
    f"{{manifests: [{{{POD}, spec: {{containers: {CONTAINERS}}}, status: {{containerStatuses: [{{restartCount: x}}]}}}}]}}",
    f"{{manifests: [{{{JOB}, spec: {{schedule: '* * * * *', startingDeadlineSeconds: {10**17}, {TEMPLATE}}}}}]}}",
])  # fmt: skip
def test_a_world_that_can_t_be_made_is_one_sentence_or_is_played(world: str):
    said = "scenario mine: played"
    try:
        games.played(loader.loads((SOUND + f"world: {world}\n").encode(), "mine.yaml"), 0, "test", ())
    except PlaybookError as error:
        (mistake,) = error.mistakes
        said = f"scenario mine: {mistake}"
    except UsageError as error:
        said = str(error)
    assert said.startswith("scenario mine: ")
    assert said.isprintable()


# whatever the bytes

PIECES = (
    *fuzz.PIECES, "${suspect}", "act: apply", "state: dead", "with: 3", "object: {}", "hold: always", "within: 1s", "every: 0s", "at: 999h",
    "lasts: 0s", "goals: []", "attack:", "best: [irkit]",
)  # fmt: skip
mutated = fuzz.mutated(SOURCES, PIECES)


def outcome(source: bytes) -> Scenario | PlaybookError:
    return fuzz.outcome(loader.loads, source)


@settings(deadline=None)  # `outcome` has its own
@given(st.binary(max_size=400))
def test_any_bytes(source: bytes):
    outcome(source)


@settings(deadline=None)
@given(fuzz.words(PIECES))
@example(["{" * 100_000])
@example(["- " * 100_000])
@example(["a: " * 100_000])
@example(["world: {manifests: [" + "{a: " * 40])
@example(["x" * (1 << 20) + "x"])
def test_any_words(pieces: list[str]):
    outcome(" ".join(pieces).encode(errors="surrogatepass"))


@settings(deadline=None, max_examples=150)
@given(mutated)
def test_what_the_schema_refuses_the_loader_refuses(source: bytes):
    result = outcome(source)
    if isinstance(result, Scenario):
        VALIDATOR.validate(plain(compose(source, Mistakes(fuzz.NAME))))


# the schema


@pytest.mark.parametrize("source", SOURCES, ids=[path.stem for path in sorted(loader.BUILTIN.glob("*.yaml"))])
def test_every_scenario_is_accepted_by_the_schema(source: bytes):
    VALIDATOR.validate(plain(compose(source, Mistakes("x"))))


def test_it_is_a_schema_that_offers_every_act_and_end_state():
    assert jsonschema_rs.meta.is_valid(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for section, word, kinds in (("attack", "act", ACTS), ("goals", "state", GOALS)):
        offered = SCHEMA["properties"][section]["items"]["properties"][word]["oneOf"]
        assert [choice["const"] for choice in offered] == [kind.kind for kind in kinds]
        assert all(choice["description"] for choice in offered)


def document(**changed: Any) -> dict[str, Any]:
    return {**dict(plain(compose(SOUND.encode(), Mistakes("x")))), **changed}


@pytest.mark.parametrize("changed", [
    {"kind": "Playbook"}, {"goals": []}, {"goals": [{"id": "a"}]}, {"lasts": "soon"}, {"attack": [{"at": "5s", "act": "conect"}]},
    {"attack": [{"at": "5s", "act": "log"}]}, {"attack": [{"at": "5s", "act": "log", "with": {"lines": "x"}}]}, {"world": {"base": "prod"}},
    {"world": {"files": {"../x": "y"}}}, {"world": {"manifests": [{"kind": "Pod"}]}}, {"best": ["rm -rf /"]}, {"metadata": {"name": "A"}},
])  # fmt: skip
def test_editors_see_the_usual_mistakes_and_so_does_the_loader(changed: dict[str, Any]):
    assert VALIDATOR.is_valid(document())
    assert not VALIDATOR.is_valid(document(**changed))
    with pytest.raises(PlaybookError):
        loader.loads(json.dumps(document(**changed)).encode(), "mine.yaml")
