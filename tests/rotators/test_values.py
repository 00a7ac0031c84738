"""New values: of the old one's form, never the old one, impossible wishes said before anything is written."""

from __future__ import annotations

import base64
import re
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.errors import UsageError
from irkit.model.kube import SECRETS, ObjectRef
from irkit.rotators import keypairs, values
from irkit.settings.rotation import Format

REF = ObjectRef(resource=SECRETS, name="app", namespace="shop")


def fresh(old: bytes, *formats: Format, key: str = "KEY") -> bytes:
    return values.fresh({key: old}, REF, formats)[key]


@pytest.mark.parametrize(("old", "form"), [
    (str(uuid.uuid4()), r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
    (str(uuid.uuid4()).upper(), r"[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}"),
    ("ab" * 16, r"[0-9a-f]{32}"), ("AB" * 16, r"[0-9A-F]{32}"),
    (base64.b64encode(bytes(32)).decode(), r"[A-Za-z0-9+/]{43}="),
    (base64.urlsafe_b64encode(b"\xff" * 31).decode(), r"[A-Za-z0-9_-]{42}=="),
    ("correcthorsebatterystaple", r"[a-z]{25}"), ("Correct_Horse-42-staple!", r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*[_!-])[A-Za-z0-9_!-]{24}"),
    ("hunter2", r"(?=.*\d)[a-z0-9]{19}"), ("1234", r"\d{29}"), ("wordandnewline-0123456789\n", r"[a-z0-9-]{25}\n"),
])  # fmt: skip
def test_like_the_old_one(old: str, form: str) -> None:
    made = fresh(old.encode()).decode()
    assert re.fullmatch(form, made)
    assert made != old


def test_bytes_stay_bytes() -> None:
    assert len(fresh(b"\xff\xfe\x00" * 8)) == 24


@given(st.text(st.characters(min_codepoint=33, max_codepoint=0x24F), min_size=1, max_size=64))
@settings(max_examples=200, deadline=None)
def test_whatever_the_old_one_was_the_new_one_differs_and_names_no_value(old: str) -> None:
    said = ""
    try:
        made = fresh(old.encode())
    except UsageError as error:
        made, said = b"", error.message
    assert made != old.encode()
    assert bool(made) != ("shop/app/KEY" in said)
    assert len(old) < 8 or old not in said


@pytest.mark.parametrize(
    "old", ["", "\n", "postgres://u:p@h/d", '{"a": 1}', "two words", "a\nb", "Server=x;Password=y;", "-----BEGIN CERTIFICATE-----"]
)
def test_what_is_no_word_needs_a_format(old: str) -> None:
    with pytest.raises(UsageError, match="nothing was written"):
        fresh(old.encode())
    assert len(fresh(old.encode(), Format(key="KEY", length=20))) == 20


@pytest.mark.parametrize(("charset", "length", "says"), [
    ("a", 48, "fewer than two"), ("aaa", 48, "fewer than two"), ("z-a", 48, "backwards"), ("\x00-\x1f", 48, "invisible"),
    ("a-\U0001f600", 48, "too wide"), ("ab", 16, "16 bits"), ("0-9", 8, "27 bits"),
])  # fmt: skip
def test_a_charset_that_can_not_be_satisfied(charset: str, length: int, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        values.plan({"KEY": b"old"}, REF, [Format(charset=charset, length=length)])


def test_the_first_format_that_fits_holds() -> None:
    formats = [Format(key="PIN*", charset="0-9", length=20), Format(namespace="other", length=9), Format(charset="a-f_-", length=30)]
    assert re.fullmatch(rb"\d{20}", fresh(b"old", *formats, key="PIN_1"))
    assert re.fullmatch(rb"[a-f][a-f_-]{28}[a-f]", fresh(b"old", *formats))


@pytest.mark.parametrize("kind", ["ed25519", "rsa-3072", "p-256"])
def test_a_private_key_and_its_public_half(kind: str) -> None:
    old = keypairs.recipe(kind, "x")()
    public = keypairs.public(old, like=b"-----BEGIN PUBLIC KEY-----")
    line = keypairs.public(old, like=b"ssh-rsa AAAA me@host\n")
    made = values.fresh({"key": old, "key.pub": public, "line": line}, REF, ())
    assert made["key"] != old
    assert keypairs.public(made["key"], like=public) == made["key.pub"] != public
    assert keypairs.public(made["key"], like=line) == made["line"]
    assert made["line"].endswith(b" me@host\n")
    assert len(made["key"]) == pytest.approx(len(old), abs=12)


def test_half_of_a_key_pair_is_not_made_anew() -> None:
    one, other = (keypairs.recipe("ed25519", "x")() for _ in range(2))
    with pytest.raises(UsageError, match="whose private key is not beside it"):
        values.plan({"a": one, "b.pub": keypairs.public(other, like=b"ssh-ed25519 A")}, REF, ())
    with pytest.raises(UsageError, match="no known form"):
        values.plan({"a": b"-----BEGIN PRIVATE KEY-----\nsecretsecret\n-----END PRIVATE KEY-----\n"}, REF, ())
