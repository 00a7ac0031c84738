"""What a loader of YAML is fuzzed with, and what holds whatever it is given."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from hypothesis import strategies as st

from irkit.errors import PlaybookError

T = TypeVar("T")
NAME = "fuzzed.yaml"
SECONDS = 2.0  # for one file; a usual one takes milliseconds
PIECES = (
    "&a", "*a", "<<:", "!!python/object:x", "---", "...", "[", "]", "{", "}", ":", "- ", "? ", "|", ">", "'", '"', "on", "no", "~", "null", "010",
    "1e999", ".inf", "0x1f", "1:30", "3", "-1", "99999999999", "9" * 5000, "${", "${x.y}", "\t", "\n", "\r", "\u2028", "\x00", "\x85", "#",
    "%YAML 1.2\n", "true", "with: {}",
)  # fmt: skip
"""Of YAML, and of what is filled in. Each format adds words of its own."""


def outcome(load: Callable[[bytes, str], T], source: bytes) -> T | PlaybookError:
    """What is loaded, or the mistakes: at least one, each on one line with its place, in bounded time."""
    began = time.perf_counter()
    result: T | PlaybookError
    try:
        result = load(source, NAME)
    except PlaybookError as error:
        result = error
    assert time.perf_counter() - began < SECONDS
    if isinstance(result, PlaybookError):
        assert result.mistakes
        for line in map(str, result.mistakes):
            assert re.fullmatch(r"fuzzed\.yaml:[1-9][0-9]*:[1-9][0-9]*: [^\x00-\x1f\x7f-\x9f\u202a-\u202e]+", line), ascii(line)
    return result


def words(pieces: Sequence[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(pieces) | st.text(max_size=8), max_size=60)


@st.composite
def mutated(draw: st.DrawFn, sources: Sequence[bytes], pieces: Sequence[str]) -> bytes:
    """One of the sources with a few words or lines taken out, doubled, moved or replaced."""
    words = re.split(r"(\s+|(?<=[{\[(,:])|(?=[}\]),:]))", draw(st.sampled_from(sources)).decode())
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
                words[at] = draw(st.sampled_from(pieces))
            case "text":
                words[at] = draw(st.text(max_size=12))
    return "".join(words).encode(errors="surrogatepass")
