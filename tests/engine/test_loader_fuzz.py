"""Whatever the bytes: a playbook or its mistakes, in bounded time, and nothing that the schema refuses gets through."""

from __future__ import annotations

import time
from pathlib import Path

import jsonschema_rs
from hypothesis import example, given, settings
from hypothesis import strategies as st

from irkit.engine.library import builtin
from irkit.engine.loader import loads
from irkit.engine.positions import Mistakes, compose, plain
from irkit.engine.schema import playbook_schema
from irkit.errors import PlaybookError
from irkit.model.playbook import Playbook
from tests import fuzz

SOURCES = [path.read_bytes() for path in sorted(builtin().glob("*.yaml"))]
PIECES = (
    *fuzz.PIECES, "${pod}", "${pod.siblings}", "id: cut-network", "take: [logs]", "confirm: ask", "timeout: 2m", "required: false", "default: 3",
    "type: integer", "containment:",
)  # fmt: skip
mutated = fuzz.mutated(SOURCES, PIECES)


def outcome(source: bytes) -> Playbook | PlaybookError:
    return fuzz.outcome(loads, source)


@settings(deadline=None)  # `outcome` has its own
@given(st.binary(max_size=400))
def test_any_bytes(source):
    outcome(source)


@settings(deadline=None)
@given(fuzz.words(PIECES))
@example(["{" * 100_000])
@example(["- " * 100_000])
@example(["a: " * 100_000])
@example(["? " * 100_000])
@example(['"' + "\\n" * 200_000])
@example(["!" * 200_000])
@example(["&" + "a" * 200_000])
@example(["a: " + "9" * 200_000])
@example(["a: '" + "${" * 200_000 + "'"])
@example(["[" + "{a: b}, " * 60_000])
@example(["x" * 1_000_000])
@example(["\n" * 1_000_000])
def test_any_yaml(pieces):
    outcome("".join(pieces).encode(errors="surrogatepass"))


@settings(max_examples=300, deadline=None)
@given(mutated)
def test_any_mutation_of_a_playbook(source):
    outcome(source)


VALIDATOR = jsonschema_rs.Draft202012Validator(playbook_schema())


@settings(max_examples=300, deadline=None)
@given(mutated)
def test_what_the_schema_refuses_the_loader_refuses(source):
    try:
        instance = plain(compose(source, Mistakes(fuzz.NAME)))
    except PlaybookError:
        return
    if not VALIDATOR.is_valid(instance):
        assert isinstance(outcome(source), PlaybookError), list(VALIDATOR.iter_errors(instance))


def test_the_mutations_reach_both_sides_of_the_schema():
    """Else the property above would hold of nothing."""
    valid = SOURCES[0]
    assert VALIDATOR.is_valid(plain(compose(valid, Mistakes("a"))))
    assert isinstance(outcome(valid), Playbook)
    broken = valid.replace(b"kind: Playbook", b"kind: Cookbook")
    assert not VALIDATOR.is_valid(plain(compose(broken, Mistakes("a"))))
    assert isinstance(outcome(broken), PlaybookError)


def test_loading_is_fast():
    """Containment waits for it: a millisecond or so, with room here for a busy machine."""
    path = Path(builtin() / "compromised-pod.yaml")
    took = []
    for _ in range(20):
        began = time.perf_counter()
        loads(path.read_bytes(), str(path))
        took.append(time.perf_counter() - began)
    assert min(took) < 0.005
