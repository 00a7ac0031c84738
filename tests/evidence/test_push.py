"""Bags in an object store: pushed, verified, kept, never overwritten; on a real one (versitygw, over TLS)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bagit
import msgspec
import pytest

from irkit import settings, wiring
from irkit.app import lift as lifting
from irkit.app import pushing
from irkit.app.respond import respond
from irkit.engine.events import Said
from irkit.errors import EvidenceError, ForbiddenError, NotFoundError, RefusedError, UnreachableError, UsageError
from irkit.evidence.packing import Packed
from irkit.settings import Settings
from tests.adapters.proxy import Proxy
from tests.clocks import StepClock
from tests.components.s3 import CANARY, Store
from tests.e2e.running import Irkit
from tests.engine.harness import bench
from tests.evidence.bags import artefact, sealed

pytestmark = pytest.mark.slow


def configured(tmp_path: Path, store: Store, bucket: str, **more: Any) -> Settings:
    keys = tmp_path / "keys"
    keys.mkdir(exist_ok=True)
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({"store": store.settings(bucket, keys, **more), "home": str(tmp_path / "home")}))
    return settings.load({"IRKIT_CONFIG": str(file)})


def a_bag(where: Path, size: int = 100_000) -> Path:
    return Path(sealed(where, artefact("x.log", os.urandom(size)), info={"External-Identifier": "20261122T031502Z-backend-k7q2ab"}).path)


def push(set_: Settings, bag: Path, expected: str = "") -> pushing.Copy:
    return pushing.push_bag(wiring.store(set_), bag, StepClock(), set_.store, expected)


@pytest.mark.parametrize("size", [100_000, 40 << 20])  # one request, and three parts
def test_a_bag_is_pushed_verified_and_read_by_anybody(object_store, tmp_path, size):
    bucket = object_store.bucket()
    set_ = configured(tmp_path, object_store, bucket, prefix="irkit/prod")
    bag = a_bag(tmp_path, size)
    copy = push(set_, bag)
    manifest = hashlib.sha256((bag / "tagmanifest-sha256.txt").read_bytes()).hexdigest()
    key = f"irkit/prod/20261122=54031502=5A-backend-k7q2ab/bag-1-{manifest}.tar"
    assert copy.url == f"s3://{bucket}/{key}"
    assert object_store.objects(bucket) == {key: copy.octets}
    assert not copy.unchanged
    raw = object_store.client.get_object(bucket, key).data
    assert hashlib.sha256(raw).hexdigest() == copy.sha256
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-x", "-C", str(tmp_path / "out")], input=raw, check=True)
    (out,) = (tmp_path / "out").iterdir()
    assert bagit.Bag(str(out)).is_valid()
    again = push(set_, bag)
    assert again.unchanged
    assert (again.url, again.sha256) == (copy.url, copy.sha256)
    back = pushing.fetched(wiring.store(set_), key.removeprefix("irkit/prod/"), tmp_path / "back")
    assert (back / "data" / "x.log").read_bytes() == (bag / "data" / "x.log").read_bytes()


@pytest.mark.parametrize("size", ["same", "other"])
def test_what_is_there_already_and_is_something_else_is_not_overwritten(object_store, tmp_path, size):
    bucket = object_store.bucket()
    set_ = configured(tmp_path, object_store, bucket)
    bag = a_bag(tmp_path)
    copy = push(set_, bag)
    (key,) = object_store.objects(bucket)
    evil = b"E" * (copy.octets if size == "same" else 7)
    object_store.client.put_object(bucket, key, io.BytesIO(evil), len(evil), metadata={"irkit-sha256": copy.sha256})
    with pytest.raises(RefusedError, match="is something else; it was not overwritten"):
        push(set_, bag)
    assert object_store.client.get_object(bucket, key).data == evil
    with pytest.raises(EvidenceError, match="tar"):
        pushing.fetched(wiring.store(set_), key, tmp_path / "back")


def test_two_at_once_make_one_object_and_the_store_itself_refuses_a_second(object_store, tmp_path):
    bucket = object_store.bucket()
    set_ = configured(tmp_path, object_store, bucket)
    bag = a_bag(tmp_path)
    copy = push(set_, bag)
    store = wiring.store(set_)
    key = copy.url.removeprefix(f"s3://{bucket}/")
    for octets in (b"evil", b"e" * (17 << 20)):  # also where it takes several parts
        with pytest.raises(Exception, match="has such an object already"):
            store.put(key, io.BytesIO(octets), len(octets), {}, None)
    assert object_store.objects(bucket) == {key: copy.octets}
    store.put("another", io.BytesIO(b"x"), 1, {}, None)


def test_a_bag_that_is_kept_can_not_be_deleted(object_store, tmp_path):
    bucket = object_store.bucket(lock=True)
    set_ = configured(tmp_path, object_store, bucket, retention="compliance", **{"retention-days": 30})
    bag = a_bag(tmp_path, 20 << 20)
    store = wiring.store(set_)
    now = datetime.now(UTC).replace(microsecond=0)  # object lock is by the server's clock
    clock = StepClock(now)
    copy = pushing.push_bag(store, bag, clock, set_.store)
    (key,) = object_store.objects(bucket)
    kept = object_store.client.get_object_retention(bucket, key)
    assert kept.mode == "COMPLIANCE"
    assert kept.retain_until_date - now > timedelta(days=29)
    assert copy.kept_until == kept.retain_until_date.isoformat().replace("+00:00", "Z")
    assert copy.version
    with pytest.raises(Exception, match=r"AccessDenied|object locked|Access Denied"):
        object_store.client.remove_object(bucket, key, version_id=copy.version)
    object_store.client.remove_object(bucket, key)  # a marker: the version stays
    assert object_store.client.get_object(bucket, key, version_id=copy.version).data
    with pytest.raises(RefusedError, match="was deleted there"):  # AWS would take it again; versitygw sees the marker as an object
        pushing.push_bag(store, bag, clock, set_.store)


def test_a_bag_that_is_not_as_it_was_sealed_is_not_pushed(object_store, tmp_path):
    bucket = object_store.bucket()
    set_ = configured(tmp_path, object_store, bucket)
    bag = a_bag(tmp_path)
    with pytest.raises(EvidenceError, match="not the bag that the journal has"):
        push(set_, bag, "0" * 64)
    with (bag / "data" / "x.log").open("ab") as file:
        file.write(b"!")
    with pytest.raises(EvidenceError, match="not as it was sealed"):
        push(set_, bag)
    assert object_store.objects(bucket) == {}


@pytest.mark.parametrize(("how", "kind", "says"), [
    ("wrong secret", ForbiddenError, "refuses it (SignatureDoesNotMatch)"), ("wrong id", ForbiddenError, "refuses it ("),
    ("no bucket", UsageError, "there is no bucket"), ("nobody listens", UnreachableError, "no connection"),
    ("another authority", UnreachableError, "its certificate is not trusted"), ("silent", UnreachableError, "no answer in time"),
    ("a web page", UnreachableError, "does not answer as an object store"), ("no key", UsageError, "can't be read"),
])  # fmt: skip
def test_what_goes_wrong_is_one_sentence_without_a_secret(object_store, webhook, tmp_path, how, kind, says):
    bucket = object_store.bucket()
    quiet = socket.create_server(("127.0.0.1", 0))
    more: dict[str, Any] = {"timeout": 0.3}
    if how == "nobody listens":
        more["endpoint"] = "https://127.0.0.1:1"
    if how == "silent":
        more["endpoint"] = f"http://127.0.0.1:{quiet.getsockname()[1]}"
    if how == "a web page":
        more["endpoint"] = webhook().url
    if how == "another authority":
        more["ca-file"] = str(tmp_path / "other.pem")
        from irkit.sandbox import tls

        (tmp_path / "other.pem").write_bytes(tls.make().ca)
    set_ = configured(tmp_path, object_store, "nosuch-bucket" if how == "no bucket" else bucket, **more)
    if how.startswith("wrong"):
        (tmp_path / "keys" / ("secret" if how == "wrong secret" else "access")).write_text(f"{CANARY}-wrong")
    if how == "no key":
        (tmp_path / "keys" / "secret").unlink()
    bag = a_bag(tmp_path)
    with quiet, pytest.raises(kind) as caught:
        push(set_, bag)
    assert says in caught.value.message
    assert CANARY not in "".join(traceback.format_exception(caught.value)) + caught.value.next
    assert object_store.objects(bucket) == {}


def test_a_store_that_ends_in_the_middle_leaves_nothing_and_the_next_push_completes(own_object_store, tmp_path):
    store = own_object_store()
    bucket = store.bucket()
    set_ = configured(tmp_path, store, bucket, timeout=1)
    bag = a_bag(tmp_path, 40 << 20)
    port = wiring.store(set_)

    class Ending(Packed):
        """Its store stops answering after some octets."""

        read_so_far = 0

        def readinto(self, buffer):
            found = super().readinto(buffer)
            Ending.read_so_far += found
            if 20 << 20 < Ending.read_so_far < 21 << 20:
                os.kill(store.pid, signal.SIGSTOP)
            return found

    with pytest.raises(UnreachableError):
        port.put("key", Ending(bag, "x"), Packed(bag, "x").octets, {}, None)
    os.kill(store.pid, signal.SIGCONT)
    assert store.objects(bucket) == {}
    assert not push(set_, bag).unchanged


def test_a_key_that_may_only_write_is_enough(object_store, tmp_path):
    """`head` refused: the write itself is conditional, and what the store took is known by its answer."""
    set_ = configured(tmp_path, object_store, object_store.bucket())
    store = wiring.store(set_)

    class WriteOnly:
        url, put = store.url, store.put

        def head(self, key):
            raise ForbiddenError("no")

        def get(self, key):
            raise ForbiddenError("no")

    bag = a_bag(tmp_path)
    assert not pushing.push_bag(WriteOnly(), bag, StepClock(), set_.store).unchanged
    with pytest.raises(ForbiddenError):
        pushing.push_bag(WriteOnly(), bag, StepClock(), set_.store)  # it is there, and what it is nobody may say


def test_at_the_end_of_a_run_its_bags_are_pushed_and_on_record(object_store, tmp_path):
    bucket = object_store.bucket(lock=True)
    (tmp_path / "keys").mkdir()
    with bench(tmp_path, store=object_store.settings(bucket, tmp_path / "keys", push=True)) as b:
        ports = msgspec.structs.replace(b.ports, store=lambda to: wiring.store(b.ports.settings, to))
        result = respond(ports, b.request())
        assert result.exit_code == 0
        assert result.evidence
        assert result.incident
        pushed = b.state().pushed[1]
        assert object_store.objects(bucket) == {pushed.url.removeprefix(f"s3://{bucket}/"): pushed.octets}
        assert [e["where"] for e in result.evidence.elsewhere] == [pushed.url]
        before = len(b.lines())
        copies = pushing.push_incident(b.ports.settings, b.ports.clock, wiring.store(b.ports.settings), result.incident)
        assert [c.unchanged for c in copies] == [True]
        assert len(b.lines()) == before, "nothing new, nothing on record"
        lifting.lift(ports, result.incident, "delete")
        assert set(b.state().pushed) == set(range(1, len(b.state().bags) + 1)), "what a lift seals before it deletes the pod, too"


def test_a_push_that_fails_changes_nothing_about_the_run_and_is_said_once(object_store, tmp_path):
    (tmp_path / "keys").mkdir()
    gone = object_store.settings("bags-none", tmp_path / "keys", push=True, endpoint="https://127.0.0.1:1")
    with bench(tmp_path, store=gone) as b:
        ports = msgspec.structs.replace(b.ports, store=lambda to: wiring.store(b.ports.settings, to))
        result = respond(ports, b.request())
        assert result.exit_code == 0
        said = [e.text for e in b.events if isinstance(e, Said)]
        assert [s for s in said if "push" in s] == [f"the evidence was not pushed: 127.0.0.1: no connection; irkit bundle push {result.incident}"]
        assert not b.state().pushed


def test_the_command_pushes_and_another_machine_verifies(object_store, tmp_path):
    bucket = object_store.bucket()
    (tmp_path / "keys").mkdir()
    bag = a_bag(tmp_path)
    base = object_store.settings(bucket, tmp_path / "keys")
    one = Irkit(tmp_path / "none", tmp_path / "one").configured(tmp_path / "one.yaml", store=base)
    done = one.json("bundle", "push", str(bag), "--to", f"s3://{bucket}/other/place")
    (pushed,) = done["bags"]
    assert pushed["url"].startswith(f"s3://{bucket}/other/place/")
    assert done["next"] == f"irkit bundle verify {pushed['url']}"
    said = one.run("bundle", "push", str(bag), "--to", f"s3://{bucket}/other/place").ended(0).stdout
    assert "was there already, the same" in said
    two = Irkit(tmp_path / "none", tmp_path / "two").configured(tmp_path / "two.yaml", store=base)
    assert two.json("bundle", "verify", pushed["url"])["valid"]
    kept = two.json("bundle", "verify", pushed["url"], "--into", str(tmp_path / "kept"))
    assert bagit.Bag(kept["path"]).is_valid()
    two.run("bundle", "verify", f"s3://{bucket}/none/bag-1-{'0' * 64}.tar").ended(1)
    two.run("bundle", "verify", "s3://x").ended(2)
    two.run("bundle", "verify", f"s3://{bucket}/a/b").ended(2)
    two.run("bundle", "push").ended(2)
    none = Irkit(tmp_path / "none", tmp_path / "three")
    assert "the settings have no store" in none.run("bundle", "push", str(bag)).ended(2).stderr
    assert "no key for the object store" in none.run("bundle", "push", str(bag), "--to", f"s3://{bucket}").ended(2).stderr
    assert CANARY not in json.dumps(done) + said


def test_a_bag_that_is_not_what_its_key_says(object_store, tmp_path):
    bucket = object_store.bucket()
    set_ = configured(tmp_path, object_store, bucket)
    copy = push(set_, a_bag(tmp_path / "a"))
    raw = object_store.client.get_object(bucket, copy.url.removeprefix(f"s3://{bucket}/")).data
    key = f"x/bag-1-{'0' * 64}.tar"
    object_store.client.put_object(bucket, key, io.BytesIO(raw), len(raw))
    with pytest.raises(EvidenceError, match="another bag than its name says"):
        pushing.fetched(wiring.store(set_), key, tmp_path / "back")
    with pytest.raises(NotFoundError):
        pushing.fetched(wiring.store(set_), f"y/bag-1-{'0' * 64}.tar", tmp_path / "back2")


@pytest.mark.parametrize(("store", "says"), [
    ({"bucket": "B"}, "no bucket's name"), ({"bucket": "abc", "endpoint": "http://s3.example"}, "must be https"),
    ({"bucket": "abc", "prefix": "a/../b"}, "prefix takes"), ({"bucket": "abc", "retention": "compliance"}, "go together"),
    ({"bucket": "abc", "access-key-file": "/x"}, "go together"), ({}, "bucket"),
])  # fmt: skip
def test_settings_that_can_not_be_meant(tmp_path, store, says):
    (tmp_path / "c").write_text(json.dumps({"store": store}))
    with pytest.raises(UsageError, match=says):
        settings.load({"IRKIT_CONFIG": str(tmp_path / "c")})


def test_through_a_proxy_and_verified_by_its_own_name(object_store, tmp_path, monkeypatch):
    port = int(object_store.endpoint.rpartition(":")[2])
    set_ = configured(tmp_path, object_store, object_store.bucket(), endpoint="https://s3.example")
    with Proxy("http", ("127.0.0.1", port)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(UnreachableError, match="certificate is not trusted"):
            push(set_, a_bag(tmp_path))
        assert set(proxy.asked) == {("s3.example", 443)}
