"""The loader: every mistake at once, each at its place, and never anything but a playbook or its mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit.engine.loader import load, loads
from irkit.engine.parameters import names
from irkit.errors import PlaybookError
from irkit.model.playbook import Playbook

HEAD = """\
apiVersion: irkit.dev/v1
kind: Playbook
metadata: {name: mine, title: Mine, severity: low, runbook: mine.md}
parameters:
  pod: {type: pod, required: true}
phases:
  containment:
"""
CUT = '    - {id: cut, step: quarantine, with: {pod: "${pod}"}}\n'
STOP = '    - {id: stop, step: scale-down, with: {workload: "${pod.workload}"}}\n'
KEEP = '    - {id: keep, step: collect, with: {pods: "${pod.siblings}"}}\n'


def mistakes(text: str | bytes) -> list[str]:
    source = text.encode() if isinstance(text, str) else text
    with pytest.raises(PlaybookError) as caught:
        loads(source, "mine.yaml")
    return [str(mistake) for mistake in caught.value.mistakes]


def only(text: str | bytes) -> str:
    (mistake,) = mistakes(text)
    return mistake


def of(steps: str) -> Playbook:
    return loads((HEAD + steps).encode(), "mine.yaml")


def test_defaults():
    (step,) = of(CUT).steps
    assert (step.id, step.step, step.phase, step.arguments) == ("cut", "quarantine", "containment", {"pod": "${pod}"})
    assert (step.confirm, step.on_failure, step.timeout) == (None, "stop", 120.0)
    assert (step.line, step.column) == (8, 7)


def test_all_that_a_step_may_say():
    (step,) = of(CUT.replace("}}", "}, confirm: never, on-failure: continue, timeout: 1h2m3s}")).steps
    assert (step.confirm, step.on_failure, step.timeout) == ("never", "continue", 3723.0)


def test_the_source_is_kept_byte_for_byte():
    playbook = of(CUT)
    assert playbook.source == (HEAD + CUT).encode()
    assert len(playbook.digest) == 64
    assert playbook.digest != of(CUT + KEEP).digest


def test_steps_come_in_the_order_of_the_phases():
    playbook = of(CUT + "  recovery:\n" + KEEP)
    assert [(s.id, s.phase) for s in playbook.steps] == [("cut", "containment"), ("keep", "recovery")]
    assert playbook.phases == ("containment", "recovery")
    assert [s.id for s in playbook.of("recovery")] == ["keep"]


# Every sentence, with its place.
STEP_MISTAKES = {
    "unknown kind": ("{id: a, step: quarantin, with: {pod: x}}", "8:21: no step kind 'quarantin'; did you mean 'quarantine'?"),
    "unknown field": ('{id: a, step: quarantine, wth: {}, with: {pod: "${pod}"}}', "8:33: no field 'wth' in a step; did you mean 'with'?"),
    "unknown parameter": (
        '{id: a, step: quarantine, with: {pod: "${pod}", pods: "${pod}"}}',
        "8:55: no field 'pods' in 'with' of quarantine; did you mean 'pod'?",
    ),
    "missing parameter": ("{id: a, step: quarantine, with: {}}", "8:39: 'with' of quarantine needs 'pod'"),
    "missing with": ("{id: a, step: quarantine}", "8:7: a step needs 'with'"),
    "missing id": ('{step: quarantine, with: {pod: "${pod}"}}', "8:7: a step needs 'id'"),
    "missing step": ("{id: a}", "8:7: a step needs 'step'"),
    "id's form": (
        '{id: A b, step: quarantine, with: {pod: "${pod}"}}',
        "8:12: 'id' takes lower-case letters, digits and dashes, at most 63, not 'A b'",
    ),
    "unbound": ('{id: a, step: quarantine, with: {pod: "${pdo}"}}', "8:45: nothing is bound to ${pdo}; did you mean ${pod}?"),
    "unbound, nothing near": (
        '{id: a, step: quarantine, with: {pod: "${zzzzzz}"}}',
        f"8:45: nothing is bound to ${{zzzzzz}}; known are {', '.join(sorted(names([('pod', 'pod')])))}",
    ),
    "pods for a pod": (
        '{id: a, step: quarantine, with: {pod: "${pod.siblings}"}}',
        "8:45: 'pod' takes a pod, and ${pod.siblings} is pods; write ${pod}",
    ),
    "a workload for pods": (
        '{id: a, step: collect, with: {pods: "${pod.workload}"}}',
        "8:43: 'pods' takes pods, and ${pod.workload} is a workload; write ${pod.siblings}",
    ),
    "a literal for a pod": ("{id: a, step: quarantine, with: {pod: backend-x}}", "8:45: 'pod' takes a pod, not 'backend-x'; write ${pod}"),
    "a pod in text": ('{id: a, step: notify, with: {message: "see ${pod}"}}', "8:45: 'message' takes text, and ${pod} is a pod; write ${pod.name}"),
    "half a reference": ('{id: a, step: notify, with: {message: "see ${pod"}}', "8:45: 'message' has a '${' without its '}'"),
    "a number for text": ("{id: a, step: notify, with: {message: 12}}", "8:45: 'message' takes text, not 12; quote it"),
    "nothing for text": ("{id: a, step: notify, with: {message: }}", "8:45: 'message' takes text, not nothing"),
    "empty text": ('{id: a, step: notify, with: {message: ""}}', "8:45: 'message' takes text, of 1 to 4000 characters"),
    "text for a list": ("{id: a, step: notify, with: {message: x, to: me}}", "8:52: 'to' takes a list, not 'me'"),
    "unknown choice": ('{id: a, step: collect, with: {pods: "${pod.siblings}", take: [lgs]}}', "8:69: no take 'lgs'; did you mean 'logs'?"),
    "choice twice": ('{id: a, step: collect, with: {pods: "${pod.siblings}", take: [logs, logs]}}', "8:75: 'take' has 'logs' twice"),
    "empty list": (
        '{id: a, step: collect, with: {pods: "${pod.siblings}", take: []}}',
        "8:68: 'take' is empty; name at least one, or leave it out",
    ),
    "confirm": ('{id: a, step: quarantine, with: {pod: "${pod}"}, confirm: asks}', "8:65: no confirm 'asks'; did you mean 'ask'?"),
    "timeout without unit": (
        '{id: a, step: quarantine, with: {pod: "${pod}"}, timeout: 120}',
        "8:65: 'timeout' takes a duration such as 90s or 2m, at most a day, not 120",
    ),
    "timeout of nothing": (
        '{id: a, step: quarantine, with: {pod: "${pod}"}, timeout: 0s}',
        "8:65: 'timeout' takes a duration such as 90s or 2m, at most a day, not '0s'",
    ),
    "no step": ("quarantine", "8:7: a step is a mapping of fields, not 'quarantine'"),
    "1.1 boolean": (
        '{id: a, step: quarantine, with: {pod: "${pod}"}, confirm: no}',
        "8:65: no is true or false to some YAML parsers and text to others; quote it, or write true or false",
    ),
    "1.1 boolean as key": (
        '{id: a, step: quarantine, with: {pod: "${pod}"}, on: x}',
        "8:56: on is true or false to some YAML parsers and text to others; quote it, or write true or false",
    ),
    "number of one version": (
        '{id: a, step: quarantine, with: {pod: "${pod}"}, timeout: 1:30}',
        "8:65: 1:30 is not the same number to all YAML parsers; quote it, or write a plain number",
    ),
    "duplicate key": ('{id: a, id: b, step: quarantine, with: {pod: "${pod}"}}', "8:15: duplicate key 'id'; it is on line 8 already"),
    "number as key": ('{id: a, step: quarantine, with: {pod: "${pod}"}, 1: x}', "8:56: a key must be text; quote it"),
    "list as key": ('{id: a, step: quarantine, with: {pod: "${pod}"}, [x]: x}', "8:56: a key must be text, not a list or a mapping"),
    "merge key": ('{id: a, step: quarantine, with: {pod: "${pod}"}, <<: {confirm: ask}}', "8:56: merge keys (<<) are not read; write the fields out"),
    "tag": (
        "{id: a, step: notify, with: {message: !!python/object/apply:os.system x}}",
        "8:45: tags (tag:yaml.org,2002:python/object/apply:os.system) are not read; leave it out",
    ),
    "alias": ('{id: a, step: quarantine, with: &w {pod: "${pod}"}}', "8:39: anchors and aliases (w) are not read; write the value out"),
}


@pytest.mark.parametrize("name", STEP_MISTAKES)
def test_a_mistake_in_a_step_is_one_sentence_at_its_place(name):
    step, sentence = STEP_MISTAKES[name]
    found = only(HEAD + f"    - {step}\n")
    assert found == f"mine.yaml:{sentence}"


DEEP = "[" * 200_000
SYNTAX_MISTAKES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "1:1: the file is empty; a playbook begins with `apiVersion: irkit.dev/v1`"),
    "comment only": (b"# nothing\n", "1:1: the file is empty; a playbook begins with `apiVersion: irkit.dev/v1`"),
    "a list": (b"- a\n", "1:1: a playbook is a mapping of fields, not a list"),
    "two documents": (b"a: 1\n---\nb: 1\n", "2:1: a second document begins here; a playbook is one document"),
    "not UTF-8": (b"a: b\nc: \xff\n", "2:4: not UTF-8: byte 0xff"),
    "control character": (b"a: b\nc: x\x1b[31m\n", "2:5: character U+001B can't be seen; write it as an escape or leave it out"),
    "reordering mark": ("a: x\u202ey\n".encode(), "1:5: character U+202E can't be seen; write it as an escape or leave it out"),
    "nesting": (DEEP.encode(), "1:33: nested deeper than 32 levels; that is no playbook"),
    "block nesting": ("".join(f"{' ' * i}a:\n" for i in range(500)).encode(), "32:32: nested deeper than 32 levels; that is no playbook"),
    "size": (b"#" * (1 << 20) + b"\na: b\n", "1:1: larger than 1 MiB; that is no playbook"),
    "many values": (b"a: [" + b"x," * 30_000 + b"]", "1:39999: more than 20000 values; that is no playbook"),
    "open quote": (b'a: "b\n', "2:1: not valid YAML: found unexpected end of stream while scanning a quoted scalar"),
    "tab": (b"a:\n\tb: c\n", "2:1: not valid YAML: found character that cannot start any token while scanning for the next token"),
    "open list": (b"a: [b\n", "2:1: not valid YAML: did not find expected ',' or ']' while parsing a flow sequence"),
    "unknown alias": (b"a: *b\n", "1:4: anchors and aliases (b) are not read; write the value out"),
}


@pytest.mark.parametrize("name", SYNTAX_MISTAKES)
def test_what_is_no_playbook_at_all_is_one_sentence(name):
    source, sentence = SYNTAX_MISTAKES[name]
    assert only(source) == f"mine.yaml:{sentence}"


def test_a_billion_laughs_are_refused_at_the_first():
    laughs = "a: &a [x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9))
    assert only(laughs) == "mine.yaml:1:4: anchors and aliases (a) are not read; write the value out"


def test_an_escape_can_not_bring_a_control_character_in():
    assert only(HEAD + '    - {id: a, step: notify, with: {message: "x\\e[31m"}}\n') == "mine.yaml:8:45: character U+001B can't be seen; leave it out"


def test_quoted_words_and_numbers_are_text():
    (step,) = of('    - {id: "on", step: notify, with: {message: "yes", to: ["010", "no"]}}\n').steps
    assert (step.id, step.arguments) == ("on", {"message": "yes", "to": ("010", "no")})


def test_how_many_people_it_takes_is_one_of_three_words():
    assert of(CUT).approval == "one-person"
    text = HEAD.replace("severity: low", "severity: low, approval: two-person-after-containment") + CUT
    assert loads(text.encode(), "mine.yaml").approval == "two-person-after-containment"
    said = only(HEAD.replace("severity: low", "severity: low, approval: two-persons") + CUT)
    assert said == "mine.yaml:3:62: no approval 'two-persons'; did you mean 'two-person'?"
    assert "'approval' takes one of" in only(HEAD.replace("severity: low", "severity: low, approval: 2") + CUT)


def test_all_mistakes_at_once_in_the_order_of_the_file():
    found = mistakes(
        "apiVersion: irkit.dev/v2\nkind: Playbok\nmetadata: {title: Mine, severity: bad, runbook: ../mine.md}\n"
        "parameters:\n  pod: {type: pod, default: x}\n  other: {type: workload}\n  image: {type: imge}\n  n: {type: integer, default: many}\n"
        "  must: {type: string, required: true, default: x}\n  incident: {type: string}\n  Bad: {type: string}\n"
        "phases:\n  recovery:\n    - {id: a, step: quarantine, with: {pod: x}}\n  containment:\n"
        '    - {id: a, step: quarantine, with: {pod: "${image}"}}\nextra: 1\n'
    )
    assert found == [
        "mine.yaml:1:13: no apiVersion 'irkit.dev/v2'; did you mean 'irkit.dev/v1'?",
        "mine.yaml:2:7: no kind 'Playbok'; did you mean 'Playbook'?",
        "mine.yaml:3:11: 'metadata' needs 'name'",
        "mine.yaml:3:35: no severity 'bad'; known are critical, high, medium, low",
        "mine.yaml:3:49: 'runbook' takes the name of a Markdown file, not '../mine.md'",
        "mine.yaml:5:29: a pod has no default: the command line names it",
        "mine.yaml:6:3: a playbook has one target, and 'pod' on line 5 is it already",
        "mine.yaml:7:17: no parameter type 'imge'; did you mean 'image'?",
        "mine.yaml:8:31: 'default' takes a whole number, not 'many'",
        "mine.yaml:9:49: a required parameter has no default; leave one of the two out",
        "mine.yaml:10:3: 'incident' is what a run itself is bound to; name the parameter otherwise",
        "mine.yaml:11:3: 'parameter name' takes lower-case letters, digits and dashes, at most 63, not 'Bad'",
        "mine.yaml:14:12: duplicate step id 'a'; it is on line 16 already",
        "mine.yaml:14:45: 'pod' takes a pod, not 'x'; write ${pod}",
        "mine.yaml:15:3: phase 'containment' runs before 'recovery'; write the phases in the order in which they run",
        "mine.yaml:17:1: no field 'extra' in a playbook; known are apiVersion, kind, metadata, parameters, phases",
    ]


def test_more_mistakes_than_anybody_reads_are_cut():
    found = mistakes(HEAD + "    - 1\n" * 150)
    assert len(found) == 101
    assert found[-1].endswith("more than 100 mistakes; the others are not listed")


def test_no_phase_and_no_step():
    assert only(HEAD.replace("phases:\n  containment:\n", "phases: {}\n")).startswith("mine.yaml:6:9: 'phases' is empty; it may have detection,")
    assert only(HEAD) == "mine.yaml:7:15: 'containment' takes a list, not nothing"


class TestEvidence:
    def test_lost(self):
        assert only(HEAD + CUT + STOP) == "mine.yaml:9:7: stop ends the pods of ${pod.workload} before anything collects them"

    def test_collected_too_late(self):
        assert only(HEAD + STOP + KEEP) == "mine.yaml:8:7: stop ends the pods of ${pod.workload} before anything collects them"

    def test_collected_first(self):
        assert [s.id for s in of(KEEP + STOP).steps] == ["keep", "stop"]

    def test_collected_in_an_earlier_phase(self):
        text = HEAD.replace("  containment:\n", "  detection:\n") + KEEP + "  containment:\n" + STOP
        assert [s.id for s in loads(text.encode(), "mine.yaml").steps] == ["keep", "stop"]

    def test_only_the_suspect_is_not_enough(self):
        keep = '    - {id: keep, step: collect, with: {pods: ["${pod}"]}}\n'
        assert only(HEAD + keep + STOP).endswith("stop ends the pods of ${pod.workload} before anything collects them")

    def test_a_workload_as_target(self):
        head = HEAD.replace("pod: {type: pod,", "app: {type: workload,")
        stop = STOP.replace("pod.workload", "app")
        keep = KEEP.replace("pod.siblings", "app.pods")
        assert only(head + stop) == "mine.yaml:8:7: stop ends the pods of ${app} before anything collects them"
        assert len(loads((head + keep + stop).encode(), "mine.yaml").steps) == 2


class TestRunbook:
    def test_beside_or_in_runbooks(self, tmp_path: Path):
        (tmp_path / "playbooks").mkdir()
        file = tmp_path / "playbooks" / "mine.yaml"
        file.write_text(HEAD + CUT)
        with pytest.raises(PlaybookError, match=r"mine\.yaml:3:61: no runbook 'mine\.md' beside the playbook or in \.\./runbooks\n"):
            load(file)
        (tmp_path / "runbooks").mkdir()
        (tmp_path / "runbooks" / "mein.md").touch()
        with pytest.raises(PlaybookError, match=r"did you mean 'mein\.md'\?"):
            load(file)
        (tmp_path / "runbooks" / "mine.md").touch()
        assert load(file).name == "mine"
        (tmp_path / "runbooks" / "mine.md").rename(tmp_path / "playbooks" / "mine.md")
        assert load(file).name == "mine"

    def test_is_not_sought_where_there_is_no_file(self):
        assert of(CUT).runbook == "mine.md"


@pytest.mark.parametrize("what", ["missing", "folder", "nul\0byte", "x" * 300])
def test_a_file_that_can_not_be_read_is_a_mistake(tmp_path, what):
    (tmp_path / "folder").mkdir()
    with pytest.raises(PlaybookError, match="1:1: can't be read: ") as caught:
        load(tmp_path / what)
    assert caught.value.exit_code == 2


def test_an_endless_file_is_read_only_as_far_as_needed():
    with pytest.raises(PlaybookError, match="larger than 1 MiB"):
        load(Path("/dev/zero"))
