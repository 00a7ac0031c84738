"""Whatever the bytes: a playbook or its mistakes, in bounded time, and nothing that the schema refuses gets through."""

from __future__ import annotations

import re
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

SECONDS = 2.0  # for one file; a usual one takes less than a millisecond
SOURCES = [path.read_bytes() for path in sorted(builtin().glob("*.yaml"))]
PIECES = [
    "&a", "*a", "<<:", "!!python/object:x", "---", "...", "[", "]", "{", "}", ":", "- ", "? ", "|", ">", "'", '"', "on", "no", "~", "null", "010",
    "1e999", ".inf", "0x1f", "1:30", "9" * 5000, "${", "${pod}", "${pod.siblings}", "${x.y}", "\t", "\n", "\r", "\u2028", "\x00", "\x85", "#",
    "%YAML 1.2\n", "true", "id: cut-network", "take: [logs]", "confirm: ask", "timeout: 2m", "required: false", "default: 3", "type: integer",
    "containment:", "with: {}",
]  # fmt: skip


def outcome(source: bytes) -> Playbook | PlaybookError:
    began = time.perf_counter()
    try:
        result: Playbook | PlaybookError = loads(source, "fuzzed.yaml")
    except PlaybookError as error:
        result = error
    assert time.perf_counter() - began < SECONDS
    if isinstance(result, PlaybookError):
        assert result.mistakes
        for line in map(str, result.mistakes):
            assert re.fullmatch(r"fuzzed\.yaml:[1-9][0-9]*:[1-9][0-9]*: [^\x00-\x1f\x7f-\x9f\u202a-\u202e]+", line), ascii(line)
    return result


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A built-in playbook with a few words or lines taken out, doubled, moved or replaced."""
    words = re.split(r"(\s+|(?<=[{\[(,:])|(?=[}\]),:]))", draw(st.sampled_from(SOURCES)).decode())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(words) - 1))
        match draw(st.sampled_from(("drop", "double", "swap", "piece", "text"))):
            case "drop":
                words[at] = ""
            case "double":
                words[at] *= 2
            case "swap":
                other = draw(st.integers(0, len(words) - 1))
                words[at], words[other] = words[other], words[at]
            case "piece":
                words[at] = draw(st.sampled_from(PIECES))
            case "text":
                words[at] = draw(st.text(max_size=12))
    return "".join(words).encode(errors="surrogatepass")


@settings(deadline=None)  # `outcome` has its own
@given(st.binary(max_size=400))
def test_any_bytes(source):
    outcome(source)


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=60))
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
@given(mutated())
def test_any_mutation_of_a_playbook(source):
    outcome(source)


VALIDATOR = jsonschema_rs.Draft202012Validator(playbook_schema())


@settings(max_examples=300, deadline=None)
@given(mutated())
def test_what_the_schema_refuses_the_loader_refuses(source):
    try:
        instance = plain(compose(source, Mistakes("fuzzed.yaml")))
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
