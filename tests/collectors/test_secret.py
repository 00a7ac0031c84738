from __future__ import annotations

import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from irkit.collectors.base import indented
from irkit.model.secret import elide
from tests.collectors.world import KEY, SECRET

LONG = st.binary(min_size=8, max_size=60)


@given(LONG, LONG)
def test_nothing_of_a_value_is_left_and_equal_values_can_be_told(value, other):
    secret = {**SECRET, "data": {"a": base64.b64encode(value).decode(), "b": base64.b64encode(other).decode()}, "stringData": {"c": value.hex()}}
    secret["metadata"] = {**SECRET["metadata"], "annotations": {"copy": value.hex()}, "managedFields": [{"x": value.hex()}]}
    safe = elide(secret, KEY)
    text = indented(safe).decode()
    assert value.hex() not in text
    assert base64.b64encode(value).decode() not in text
    kept = json.loads(text)["data"]
    assert (kept["a"] == kept["b"]) == (value == other)
    assert kept["a"]["length"] == len(value)
    assert elide(secret, b"another key" * 3)["data"]["a"]["hmacSha256"] != kept["a"]["hmacSha256"]


@given(st.text(st.characters()))
def test_what_is_not_base64_is_elided_too(value):
    safe = elide({**SECRET, "data": {"a": value}, "metadata": {"name": "x", "annotations": {"n": value}}}, KEY)
    assert set(safe["data"]["a"]) == set(safe["metadata"]["annotations"]["n"]) == {"length", "hmacSha256"}


def test_nothing_to_elide():
    assert elide({"metadata": {"name": "x"}}, KEY) == {"metadata": {"name": "x"}, "data": {}}
