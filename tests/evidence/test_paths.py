from __future__ import annotations

import os
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from irkit.errors import EvidenceError
from irkit.evidence.paths import escaped, payload_path, unescaped

ANY = st.text(st.characters(), max_size=400) | st.text(st.sampled_from("./\\=~%Aa\r\n\0İ"), max_size=12)  # surrogates included
HOSTILE = [
    "", ".", "..", "...", "/", "../x", "a/b", "a\\b", "%2e", "=2E", "\0", "a\r\nb", "~", "\ud800",
    "x.incomplete", ".incomplete", "C:", "A", "a" * 500,
]  # fmt: skip


@given(ANY)
def test_a_part_stays_one_harmless_part(part):
    name = escaped(part)
    assert name not in ("", ".", "..")
    assert set(name) <= set(string.ascii_letters + string.digits + "._-=~")
    assert not name.startswith((".", "~", "-")) or part.startswith("-")
    assert len(os.fsencode(name)) <= 200
    assert not name.endswith(".incomplete")


@given(ANY)
@example("")
def test_what_was_not_shortened_comes_back(part):
    name = escaped(part)
    assert unescaped(name) == (name if "=~" in name else part)


@given(ANY, ANY)
@example("A", "a")
@example("K" * 300, "k" * 300)
@example("x" * 300, "x" * 299 + "y")
def test_different_parts_have_different_names_even_where_case_is_ignored(one, other):
    assert (escaped(one).casefold() == escaped(other).casefold()) == (one == other)


@pytest.mark.parametrize("one", HOSTILE)
def test_hostile_parts_do_not_meet(one):
    assert [other for other in HOSTILE if escaped(other).casefold() == escaped(one).casefold()] == [one]


@given(st.lists(ANY, min_size=1, max_size=5))
def test_a_path_keeps_its_parts(parts):
    try:
        path = payload_path(parts)
    except EvidenceError:
        assert sum(len(escaped(part)) + 1 for part in parts) > 2000
        return
    assert path == os.path.normpath(path)
    assert path.count("/") == len(parts) - 1


def test_usual_names_stay_as_they_are():
    path = "pods/todo-app/backend-7c7c86686d-7l8d8/app/current.log"
    assert payload_path(path.split("/")) == path


def test_no_part_is_no_path():
    with pytest.raises(EvidenceError, match="can't be kept"):
        payload_path([])
