"""Rules: every mistake at once, with its place; what is written is what is matched."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.engine.positions import Mistakes, compose, plain
from irkit.errors import PlaybookError, UsageError
from irkit.listeners.web.rules import grammar, loader
from irkit.listeners.web.rules.rule import Match, Rule, fits
from irkit.model.alert import LEVELS, Alert
from irkit.settings import Settings
from irkit.settings.orders import OrderSettings
from irkit.settings.serve import BearerSettings, ServeSettings, SourceSettings
from tests import fuzz

SETTINGS = Settings(serve=ServeSettings(sources={
    name: SourceSettings(format="falco", bearer=BearerSettings(tokens={"a": "0" * 64})) for name in ("falco", "alertmanager")
}))  # fmt: skip
HEAD = "apiVersion: irkit.dev/v1\nkind: Rules\nrules:\n"
WHOLE = (
    HEAD
    + """\
  - name: shell
    match:
      source: [falco, alertmanager]
      name: "Terminal shell*"
      severity: medium
      namespace: ["todo-*", shop]
      pod: "backend-*"
      labels: {team: shop}
    run: {playbook: compromised-pod, phase: containment}
    deduplicate: 30m
    cool-down: 2h
    limits: {per-hour: 3, percent-of-workload: 10, never-in: [kube-*, prod]}
    approval: two
    approvers: [security]
    dry-run: true
"""
)


def read(text: str) -> tuple[Rule, ...]:
    return loader.loads(text.encode(), "rules.yaml", SETTINGS)


def mistakes(text: str) -> list[str]:
    with pytest.raises(PlaybookError) as caught:
        read(text)
    return [str(m) for m in caught.value.mistakes]


def test_a_whole_rule() -> None:
    (rule,) = read(WHOLE)
    assert rule.match == Match(sources=("falco", "alertmanager"), names=("Terminal shell*",), level="medium", namespaces=("todo-*", "shop"),
                               pods=("backend-*",), labels={"team": "shop"})  # fmt: skip
    assert (rule.run.command, rule.run.playbook, rule.run.phase, rule.run.takes) == ("respond", "compromised-pod", "containment", "pod")
    assert (rule.window, rule.cool_down, rule.limits.per_hour, rule.limits.percent) == (1800.0, 7200.0, 3, 10)
    assert (rule.approval, rule.approvers, rule.dry_run) == ("two", ("security",), True)


def test_what_is_not_written_is_careful() -> None:
    (collect, contain) = read(HEAD + "  - {name: a, match: {source: falco}, run: {command: collect}}\n"
                                     "  - {name: b, match: {source: falco}, run: {command: contain}}\n")  # fmt: skip
    assert (collect.window, collect.limits.per_hour, collect.approval) == (600.0, 30, None)
    assert (contain.limits.per_hour, contain.approval) == (3, None), "the playbook says who approves it"


@pytest.mark.parametrize(("rule", "said"), [
    ("{name: a, match: {}, run: {command: collect}}", r"4:22: rule 'a' matches every alert: name a source"),
    ("{name: a, match: {severity: low, name: '*'}, run: {command: collect}}", r"4:22: rule 'a' matches every alert"),
    ("{name: a, match: {namespace: 'x-*'}, run: {command: collect}}", r"4:22: rule 'a' matches every alert"),
    ("{name: a, match: {}, match-all: true, run: {command: contain}}", r"4:48: rule 'a' matches every alert: then it may only collect"),
    ("{name: a, match: {source: falko}, run: {command: collect}}", r"4:31: no source 'falko' in the settings; did you mean 'falco'\?"),
    ("{name: a, match: {source: falco}, run: {command: colect}}", r"4:54: no command 'colect'; did you mean 'collect'\?"),
    ("{name: a, match: {source: falco}, run: {playbook: compromised-pot}}", r"4:55: no playbook 'compromised-pot'; did you mean compromised-pod"),
    ("{name: a, match: {source: falco}, run: {}}", r"4:44: 'run' has either a command"),
    ("{name: a, match: {source: falco}, run: {command: collect, playbook: cryptominer}}", r"4:44: 'run' has either a command"),
    ("{name: a, match: {source: falco}, run: {playbook: compromised-pod, phase: containmet}}",
    r"4:79: .*no phase 'containmet'; did you mean containment"),
    ("{name: a, match: {source: falco}, run: {command: collect, take: [log]}}", r"4:69: no kind of evidence 'log'; did you mean logs"),
    ("{name: a, match: {source: falco}, run: {command: contain, take: [logs]}}", r"4:69: "),
    ("{name: a, match: {source: falco}, run: {command: contain, phase: recovery}}", r"contain has its phase"),
    ("{name: a, match: {source: falco}, run: {playbook: leaked-secret}}", r"leaked-secret is about a secret, which no alert names"),
    ("{name: a, match: {source: falco}, run: {command: contain}, approval: nobody}", r"4:74: only evidence needs nobody's approval"),
    ("{name: a, match: {source: falco}, run: {playbook: compromised-pod, parameters: {imag: x}}}", r"no parameter 'imag'"),
    ("{name: a, match: {source: falco}, run: {playbook: compromised-pod, parameters: {image: nginx}}}",
    r"parameter image takes an image pinned by digest"),
    ("{name: a, match: {source: falco}, run: {command: collect, target: '${alert.pot}'}}", r"nothing is bound to \$\{alert\.pot\}; did you mean"),
    ("{name: a, match: {source: falco}, run: {command: collect}, dedupe: 3m}", r"no field 'dedupe' in a rule; did you mean 'deduplicate'"),
    ("{name: a, match: {source: falco}, run: {command: collect}, limits: {per-hour: 0}}", r"whole number from 1 to 1000"),
    ("{name: a, match: {severity: sever}, run: {command: collect}}", r"no severity 'sever'"),
    ("{name: a, match: {source: falco}, run: {command: collect}, deduplicate: forever}", r"takes a duration"),
    ("{match: {source: falco}, run: {command: collect}}", r"a rule needs 'name'"),
])  # fmt: skip
def test_a_mistake_is_said_with_its_place(rule: str, said: str) -> None:
    found = mistakes(f"{HEAD}  - {rule}\n")
    assert any(re.search(said, line) for line in found), found
    assert all(line.startswith("rules.yaml:") for line in found)


def test_all_mistakes_are_said_at_once() -> None:
    found = mistakes(HEAD + "  - {name: a, match: {}, run: {command: collect}}\n  - {name: a, match: {source: x}, run: {playbook: y}}\n")
    assert [int(line.split(":")[1]) for line in found] == [4, 5, 5, 5]


def test_a_directory_is_read_whole_and_names_are_there_once(tmp_path: Path) -> None:
    for file in ("one.yaml", "two.yml"):
        (tmp_path / file).write_text(HEAD + "  - {name: same, match: {source: falco}, run: {command: collect}}\n")
    (tmp_path / "notes.txt").write_text("not a rule")
    with pytest.raises(PlaybookError, match=r"two\.yml:4:12: duplicate rule 'same'"):
        loader.load(Settings(serve=ServeSettings(rules=tmp_path, sources=SETTINGS.serve.sources)))
    (tmp_path / "two.yml").write_text((tmp_path / "two.yml").read_text().replace("same", "other"))
    found = loader.load(Settings(serve=ServeSettings(rules=tmp_path, sources=SETTINGS.serve.sources)))
    assert [rule.name for rule in found] == ["same", "other"]


def test_rules_that_are_not_there_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are no rules in"):
        loader.load(Settings(serve=ServeSettings(rules=tmp_path)))
    with pytest.raises(UsageError, match="can't be read: File name too long"):
        loader.load(Settings(serve=ServeSettings(rules=tmp_path / ("x" * 300))))
    for name in ("none.yaml", "nul\0byte.yaml"):
        with pytest.raises(PlaybookError, match=r"\.yaml:1:1: can't be read"):
            loader.load(Settings(serve=ServeSettings(rules=tmp_path / name)))
    assert loader.load(Settings()) == ()


ALERT = Alert(
    source="falco", name="Terminal shell in container", severity="high", namespace="todo-app", pod="backend-1", labels={"team": "shop", "x": "y"}
)


@pytest.mark.parametrize(("match", "holds"), [
    (Match(), True), (Match(sources=("falco", "x")), True), (Match(sources=("x",)), False), (Match(level="high"), True),
    (Match(level="critical"), False),
    (Match(names=("terminal*",)), False), (Match(names=("*shell*",)), True), (Match(namespaces=("todo",)), False), (Match(pods=("backend-?",)), True),
    (Match(pods=("backend-??",)), False), (Match(labels={"team": "shop"}), True), (Match(labels={"team": "shop", "z": ""}), False),
    (Match(level="low", sources=("falco",), names=("a", "Terminal*"), namespaces=("todo-*",), pods=("backend-*",), labels={"x": "y"}), True),
])  # fmt: skip
def test_all_that_is_written_must_hold(match: Match, holds: bool) -> None:
    assert match.holds(ALERT) is holds


def test_an_alert_without_a_severity_is_below_all() -> None:
    unknown = Alert(source="audit", name="create pods/exec")
    assert [Match(level=level).holds(unknown) for level in LEVELS] == [True, False, False, False, False]


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet="ab*?.\n", max_size=12), glob=st.text(alphabet="ab*?.", min_size=1, max_size=8))
def test_a_glob_fits_what_the_plain_definition_says(text: str, glob: str) -> None:
    def plainly(text: str, glob: str) -> bool:
        if not glob:
            return not text
        if glob[0] == "*":
            return any(plainly(text[i:], glob[1:]) for i in range(len(text) + 1))
        return bool(text) and glob[0] in ("?", text[0]) and plainly(text[1:], glob[1:])

    assert fits(text, (glob,)) is plainly(text, glob)


def test_no_glob_takes_long() -> None:
    assert not fits("a" * 250, ("*a" * 100 + "b",))
    assert not fits("a" * 250, ("?*" * 120 + "b",))


def test_what_the_schema_refuses_the_loader_refuses() -> None:
    validator = jsonschema_rs.validator_for(grammar.schema())
    assert validator.is_valid(plain(compose(WHOLE.encode(), Mistakes("x"))))
    for wrong in (
        "{}",
        "{name: a, match: {source: 5}, run: {command: collect}}",
        "{name: A, match: {source: falco}, run: {command: collect}}",
        "{name: a, match: {name: '[x]'}, run: {command: collect}}",
        "{name: a, match: {severity: unknown}, run: {command: collect}}",
    ):
        text = f"{HEAD}  - {wrong}\n"
        assert not validator.is_valid(plain(compose(text.encode(), Mistakes("x"))))
        mistakes(text)


PIECES = (
    *fuzz.PIECES,
    "rules:",
    "match:",
    "run:",
    "name:",
    "source: falco",
    "command: collect",
    "playbook:",
    "limits:",
    "${alert.pod}",
    "per-hour:",
    "*",
)


def _load(source: bytes, file: str) -> tuple[Rule, ...]:
    return loader.loads(source, file, SETTINGS)


@settings(max_examples=150, deadline=None)
@given(words=fuzz.words(PIECES))
def test_any_words_are_rules_or_mistakes(words: list[str]) -> None:
    fuzz.outcome(_load, " ".join(words).encode(errors="surrogatepass"))


@settings(max_examples=150, deadline=None)
@given(source=fuzz.mutated([WHOLE.encode()], PIECES))
def test_a_file_that_was_changed_is_rules_or_mistakes(source: bytes) -> None:
    fuzz.outcome(_load, source)


def test_the_schema_is_json() -> None:
    assert json.loads(json.dumps(grammar.schema()))["properties"]["kind"] == {"enum": ["Rules"], "description": "`Rules`."}


def test_a_rule_that_looks_back_further_than_the_queue_is_a_mistake() -> None:
    short = Settings(serve=SETTINGS.serve, orders=OrderSettings(kept=4000.0))
    with pytest.raises(PlaybookError, match=r"rule 'shell' looks back 7200 s, and the queue forgets orders after 4000 s \(orders\.kept\)"):
        loader.loads(WHOLE.encode(), "rules.yaml", short)
