from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bagit
import pytest

from irkit.errors import EvidenceError, ForbiddenError, InvalidError, UnreachableError
from irkit.evidence.disk import files_below
from irkit.evidence.manifests import read_info
from irkit.evidence.store import BagStore
from irkit.evidence.writer import Writer
from irkit.model.evidence import Gap, Stored
from tests.evidence.bags import accepted, artefact, sealed


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path / "bags" / "1")


def data(writer: Writer) -> list[str]:
    return list(files_below(writer._data))


def test_bytes_are_kept_as_received(tmp_path, writer):
    hostile = bytes(range(256)) + b"\x1b[2J\x00\xff\xfe\r\n" + b"x" * 10_000_000
    stored = writer.add(artefact("pods/a/b/c/current.log", hostile[:3], hostile[3:], b""))
    assert stored == Stored(path="pods/a/b/c/current.log", size=len(hostile), sha256=hashlib.sha256(hostile).hexdigest())
    bag = writer.seal({})
    assert Path(bag.path, "data", stored.path).read_bytes() == hostile
    accepted(Path(bag.path))


def test_a_sealed_bag_says_what_is_in_it_and_what_is_not(tmp_path, writer):
    writer.add(artefact("b", b"22"))
    writer.add(artefact("a", b"1"))
    writer.gap(Gap(what="logs", why="refused\x1b[2J\nand so on"))
    bag = writer.seal({"External-Identifier": "incident-1", "Bagging-Date": "2026-11-22"})
    assert (bag.artefacts, bag.octets, bag.path) == (2, 3, str(tmp_path / "bags" / "1"))
    assert [gap.what for gap in bag.gaps] == ["logs"]
    info = bagit.Bag(bag.path).info
    assert (info["External-Identifier"], info["Payload-Oxum"], info["Bagging-Date"]) == ("incident-1", "3.2", "2026-11-22")
    assert json.loads(Path(bag.path, "missing.json").read_text()) == [{"what": "logs", "why": "refused\x1b[2J\nand so on", "transient": False}]
    assert b"\x1b" not in Path(bag.path, "missing.json").read_bytes()
    assert [a["path"] for a in json.loads(Path(bag.path, "contents.json").read_text())["artefacts"]] == ["a", "b"]
    assert bag.manifest_sha256 == hashlib.sha256(Path(bag.path, "tagmanifest-sha256.txt").read_bytes()).hexdigest()
    assert BagStore(tmp_path / "bags").sealed() == (bag,)


def test_a_value_of_bag_info_is_one_line(writer):
    bag = writer.seal({"Irkit-Command": "irkit contain x\r\nPayload-Oxum: 0.0\x1b", "Bad: label\n": "v"})
    text = Path(bag.path, "bag-info.txt").read_text()
    assert text.splitlines()[:2] == ["Irkit-Command: irkit contain x\\r\\nPayload-Oxum: 0.0\\x1b", "Bad--label-: v"]
    accepted(Path(bag.path))


@pytest.mark.parametrize("value", ["\U000e0001" * 10_000, "\U0001f600" * 10_000, "\ud800", " : ", "", "\t", "a\x85b\u2028c"])
def test_any_value_of_bag_info_is_taken(writer, value):
    bag = Path(writer.seal({"External-Identifier": value}).path)
    accepted(bag)
    assert [label for label, _ in read_info(bag / "bag-info.txt")] == ["External-Identifier", "Payload-Oxum", "Bag-Software-Agent", "Irkit-Missing"]


def test_an_empty_bag_is_valid(writer):
    accepted(Path(writer.seal({}).path))


def test_only_the_owner_may_look(tmp_path, writer):
    writer.add(artefact("pods/x", b"1", also=("top.txt",)))
    old = os.umask(0)
    try:
        bag = Path(writer.seal({}).path)
    finally:
        os.umask(old)
    for path in (bag.parent, bag, *bag.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_the_same_content_makes_the_same_bag_in_any_order(tmp_path):
    pieces = [artefact(f"pods/{n}", str(n).encode(), also=("all.txt",)) for n in range(20)]
    one, other = sealed(tmp_path / "1", *pieces), sealed(tmp_path / "2", *reversed(pieces))
    assert one.manifest_sha256 == other.manifest_sha256


def test_sixteen_threads_fill_one_bag(writer):
    pieces = [artefact(f"pods/{n % 50}", *[bytes([n % 50]) * 70_000] * 5) for n in range(200)]
    with ThreadPoolExecutor(16) as pool:
        stored = list(pool.map(writer.add, pieces))
    bag = writer.seal({})
    assert (bag.artefacts, bag.octets, len(set(map(str, stored)))) == (50, 50 * 350_000, 50)
    accepted(Path(bag.path))


def test_two_threads_with_one_path_read_its_source_once(writer):
    opened, go = [], threading.Event()

    def source():
        opened.append(1)
        go.wait(5)
        yield b"once"

    piece = artefact("x")
    piece = type(piece)(piece.path, source, piece.what)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(writer.add, piece) for _ in range(2)]
        go.set()
        assert both[0].result() == both[1].result()
    assert opened == [1]


def test_a_source_that_fails_in_the_middle_leaves_what_was_got(writer):
    gap = writer.add(artefact("logs/a", b"first ", b"half", fails=UnreachableError("no answer")))
    assert gap == Gap(what="what logs/a is", why="stopped after 10 B: no answer", transient=True)
    assert data(writer) == ["logs/a.incomplete"]
    bag = writer.seal({})
    assert Path(bag.path, "data/logs/a.incomplete").read_bytes() == b"first half"
    assert (bag.artefacts, bag.gaps) == (1, (gap,))
    accepted(Path(bag.path))


def test_a_later_try_closes_the_gap_and_keeps_both(writer):
    for _ in range(2):
        writer.add(artefact("logs/a", b"half", fails=UnreachableError("no answer")))
    assert isinstance(writer.add(artefact("logs/a", b"whole")), Stored)
    assert writer.gaps == ()
    assert data(writer) == ["logs/a", "logs/a.2.incomplete", "logs/a.incomplete"]


@pytest.mark.parametrize(
    ("error", "transient"),
    [(InvalidError("no such run", status=400), False), (ForbiddenError("you may not"), False), (UnreachableError("no answer"), True)],
)
def test_a_source_that_refuses_leaves_a_gap_and_no_file(writer, error, transient):
    assert writer.add(artefact("logs/a", fails=error)) == Gap(what="what logs/a is", why=error.message, transient=transient)
    assert data(writer) == []
    assert writer.gaps[0].transient is transient


def test_a_log_without_a_line_is_a_log(writer):
    assert writer.add(artefact("logs/a")) == Stored(path="logs/a", size=0, sha256=hashlib.sha256().hexdigest())


def test_what_is_there_is_no_gap(writer):
    writer.add(artefact("policies", b"1", what="policies of x"))
    writer.gap(Gap(what="policies of x", why="another pod could not read them", transient=True))
    assert writer.gaps == ()


def test_a_path_is_captured_once(writer):
    writer.add(artefact("x", b"first"))
    assert writer.add(artefact("x", b"second, longer")).size == 5


def test_another_object_of_the_same_name_has_a_file_of_its_own(writer):
    writer.add(artefact("pods/web-0/pod.json", b"first", of="uid-1"))
    again = writer.add(artefact("pods/web-0/pod.json", b"second", of="uid-2"))
    assert again.path == "pods/web-0/pod.json.uid-2"
    assert writer.add(artefact("pods/web-0/pod.json", b"third", of="uid-2")).size == 6


def test_a_name_that_is_a_directory_is_a_gap(writer):
    writer.add(artefact("a/b", b"1"))
    writer.add(artefact("c", b"1"))
    for path in ("a", "c/d"):
        assert writer.add(artefact(path, b"2", what=path)).why == "its name is taken by something else in the bag"
    accepted(Path(writer.seal({}).path))


def test_a_second_name_of_one_is_the_same_file_and_of_several_holds_all(tmp_path):
    logs = [artefact("l/b", b"bb", also=("all.txt",)), artefact("l/a", b"aa\n", also=("all.txt",))]
    bag = sealed(tmp_path, artefact("pod", b"spec", also=("one.yaml",)), *logs)
    top = Path(bag.path, "data")
    assert (top / "one.yaml").read_bytes() == b"spec"
    assert (top / "all.txt").read_bytes() == b"==> l/a: what l/a is <==\naa\n==> l/b: what l/b is <==\nbb\n"
    assert (bag.artefacts, bag.octets) == (3, 9)
    accepted(Path(bag.path))


def test_hostile_names_are_verified_by_everybody(tmp_path):
    hostile = ["..", "a\r\nb", "100%", "%0A", "data/../../x", "ü\u202e\u0000", "x" * 4000, "A", "a", " "]
    bag = sealed(tmp_path, *(type(a)(("pods", name, "f"), a.open, name) for name in hostile for a in [artefact("_", name.encode())]))
    assert bag.artefacts == len(hostile)
    accepted(Path(bag.path))


def test_sealing_again_says_what_there_is(tmp_path):
    bag = sealed(tmp_path, artefact("x", b"1"))
    store = BagStore(tmp_path / "bags")
    assert not store.unfinished(1)
    writer = store.open(1)
    assert writer.seal({"other": "info"}) == bag
    with pytest.raises(EvidenceError, match="is sealed"):
        writer.add(artefact("y", b"1"))
    with pytest.raises(EvidenceError, match="is sealed"):
        writer.gap(Gap(what="y", why=""))
    accepted(Path(bag.path))


def test_nothing_is_left_beside_a_sealed_bag(tmp_path):
    sealed(tmp_path, artefact("x", b"1"), artefact("y", b"1", fails=UnreachableError("")))
    assert [p.name for p in (tmp_path / "bags").iterdir()] == ["1"]


def test_bags_are_listed_by_number(tmp_path):
    store = BagStore(tmp_path / "bags")
    assert store.sealed() == ()
    for number in (10, 9, 1):
        store.open(number).seal({})
    store.open(11)
    (tmp_path / "bags" / "notes").mkdir()
    assert [Path(bag.path).name for bag in store.sealed()] == ["1", "9", "10"]
    assert store.unfinished(11)


def test_a_damaged_sealed_bag_is_listed_with_a_gap(tmp_path):
    bag = sealed(tmp_path, artefact("x", b"1"))
    Path(bag.path, "contents.json").write_bytes(b"{" * 100_000)
    (found,) = BagStore(tmp_path / "bags").sealed()
    assert "can't be read" in found.gaps[0].why


def test_the_key_is_one_secret_of_the_incident_and_in_no_bag(tmp_path):
    store = BagStore(tmp_path / "bags")
    key = store.key
    assert len(key) == 32
    assert BagStore(tmp_path / "bags").key == key
    assert BagStore(tmp_path / "other" / "bags").key != key
    assert stat.S_IMODE((tmp_path / "hmac.key").stat().st_mode) == 0o600
    assert not (tmp_path / "bags").exists()
    (tmp_path / "hmac.key").write_bytes(b"short")
    with pytest.raises(EvidenceError, match="damaged"):
        _ = BagStore(tmp_path / "bags").key
