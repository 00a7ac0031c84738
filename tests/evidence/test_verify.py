"""The verifier, beside the public ``bagit`` package: both accept what is whole, both refuse what was changed."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import bagit
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irkit.errors import UsageError
from irkit.evidence.manifests import decoded
from irkit.evidence.verify import verify
from irkit.model.evidence import Gap
from tests.evidence.bags import accepted, artefact, sealed


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    made = sealed(tmp_path, artefact("pods/a/app/current.log", b"one\ntwo\n", also=("incident-logs.txt",)), artefact("pods/a/pod.json", b"{}\n"))
    return Path(made.path)


def publicly_valid(bag: Path) -> bool:
    try:
        bagit.Bag(str(bag)).validate()
    except (bagit.BagError, OSError, ValueError):
        return False
    return True


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def relist(bag: Path) -> None:
    """As an attacker would who can compute checksums: tag manifests that fit again."""
    for algorithm in ("sha256", "sha512"):
        names = sorted(p.name for p in bag.iterdir() if p.is_file() and not p.name.startswith("tagmanifest"))
        lines = [f"{hashlib.new(algorithm, (bag / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
        (bag / f"tagmanifest-{algorithm}.txt").write_text("".join(lines))


def wrong_oxum(bag: Path) -> None:
    (bag / "bag-info.txt").write_text("Payload-Oxum: 1.1\n")
    relist(bag)


def no_manifest(bag: Path) -> None:
    for algorithm in ("sha256", "sha512"):
        (bag / f"manifest-{algorithm}.txt").unlink()


TAMPERED: dict[str, Callable[[Path], object]] = {
    "a byte of a log": lambda b: flip(b / "data/pods/a/app/current.log"),
    "a byte of bag-info": lambda b: flip(b / "bag-info.txt"),
    "a byte of the list of gaps": lambda b: (b / "missing.json").write_text("[ ]\n"),
    "a byte of a manifest": lambda b: flip(b / "manifest-sha512.txt"),
    "a byte of a tag manifest": lambda b: flip(b / "tagmanifest-sha256.txt"),
    "a file removed": lambda b: (b / "data/pods/a/pod.json").unlink(),
    "a file added": lambda b: (b / "data/pods/a/new").write_text("new"),
    "a file truncated": lambda b: (b / "data/pods/a/pod.json").write_bytes(b""),
    "a file renamed": lambda b: (b / "data/pods/a/pod.json").rename(b / "data/pods/a/pod.yaml"),
    "a tag file removed": lambda b: (b / "contents.json").unlink(),
    "no declaration": lambda b: (b / "bagit.txt").unlink(),
    "no payload": lambda b: shutil.rmtree(b / "data"),
    "no manifest": no_manifest,
    "an oxum that is not so": wrong_oxum,
}


@pytest.mark.parametrize("how", TAMPERED)
def test_both_refuse_what_was_changed(bag, how):
    accepted(bag)
    TAMPERED[how](bag)
    report = verify(bag)
    assert not report.valid
    assert all(": " in problem for problem in report.problems)
    assert not publicly_valid(bag)


def empty_manifest(bag: Path) -> None:
    """The RFC refuses this, too; the public package does not."""
    (bag / "manifest-sha256.txt").write_bytes(b"")
    relist(bag)


def linked_file(bag: Path) -> None:
    (bag / "data/pods/a/pod.json").rename(bag.parent / "x")
    (bag / "data/pods/a/pod.json").symlink_to(bag.parent / "x")


def linked_directory(bag: Path) -> None:
    (bag / "data/pods/a").rename(bag.parent / "y")
    (bag / "data/pods/a").symlink_to(bag.parent / "y")


def weak_manifest(bag: Path) -> None:
    for manifest in bag.glob("*manifest-*"):
        manifest.unlink()
    payload = sorted(p for p in (bag / "data").rglob("*") if p.is_file())
    lines = [f"{hashlib.md5(p.read_bytes()).hexdigest()}  {p.relative_to(bag)}\n" for p in payload]
    (bag / "manifest-md5.txt").write_text("".join(lines))


def uncovered_tag_file(bag: Path) -> None:
    (bag / "readme.html").write_text("<script>")


@pytest.mark.parametrize("tamper", [empty_manifest, linked_file, linked_directory, weak_manifest, uncovered_tag_file])
def test_evidence_asks_for_more_than_the_public_package(bag, tamper):
    tamper(bag)
    assert not verify(bag).valid


def test_a_bag_of_the_public_package_is_valid(tmp_path):
    directory = tmp_path / "theirs"
    (directory / "sub").mkdir(parents=True)
    for name in ("plain", "with space", "line\nbreak", "ünïcode"):
        (directory / "sub" / name).write_text(name)
    bagit.make_bag(str(directory), {"Contact-Name": "Ann\nBob"}, checksums=["sha256", "md5"])
    report = verify(directory)
    assert (report.problems, report.files, report.algorithms) == ((), 4, ("md5", "sha256"))


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../outside", "data/../../outside", "data/./x", "data//x", "~root/x", "C:/x", "data/%0D%0A../x", "data/\0x", "\\\\host\\x", ""],
)
def test_a_manifest_that_leaves_the_bag_is_refused(bag, name):
    (bag.parent / "outside").write_bytes(b"secret")
    for algorithm in ("sha256", "sha512"):
        with (bag / f"manifest-{algorithm}.txt").open("a") as stream:
            stream.write(f"{hashlib.new(algorithm, b'secret').hexdigest()}  {name}\n")
    relist(bag)
    problems = verify(bag).problems
    assert any("manifest-sha256.txt: can't be used: line 4" in problem or "data/\\r\\n../x" in problem for problem in problems), problems


def test_what_would_block_or_harm_the_reader_is_never_opened(bag):
    os.mkfifo(bag / "data/pipe")
    (bag / "manifest-sha256.txt").unlink()
    os.mkfifo(bag / "manifest-sha256.txt")
    (bag / "data/zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(bag / "data/socket"))
    problems = verify(bag).problems
    for name, what in (("data/pipe", "is neither"), ("data/zero", "is a link"), ("data/socket", "is neither"), ("manifest-sha256.txt", "is neither")):
        assert any(problem.startswith(f"{name}: {what}") for problem in problems)


def test_a_declaration_that_is_a_pipe_does_not_block(bag):
    (bag / "bagit.txt").unlink()
    os.mkfifo(bag / "bagit.txt")
    assert any(problem.startswith("bagit.txt: not a regular file") for problem in verify(bag).problems)


BYTE_ORDER_MARK = b"\xef\xbb\xbfBagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


@pytest.mark.parametrize("content", [b"\xff" * 100, b"x" * 20_000, b"", b"BagIt-Version: 1.0\n", BYTE_ORDER_MARK])
@pytest.mark.parametrize("name", ["bagit.txt", "manifest-sha256.txt", "bag-info.txt"])
def test_nonsense_in_a_tag_file_is_a_sentence(bag, name, content):
    (bag / name).write_bytes(content)
    assert not verify(bag).valid


def test_a_duplicate_entry_is_refused(bag):
    manifest = bag / "manifest-sha256.txt"
    manifest.write_text(manifest.read_text() * 2)
    assert any("again" in problem for problem in verify(bag).problems)


def test_what_is_said_is_safe_for_a_terminal(bag):
    (bag / "data" / "\x1b[2Jevil\u202e").write_text("x")
    (bag / os.fsdecode(b"data/\xff\xfe")).write_text("x")
    for problem in verify(bag).problems:
        assert problem.isprintable(), problem


def test_many_problems_are_cut(bag):
    for number in range(300):
        (bag / "data" / f"n{number}").write_text("x")
    problems = verify(bag).problems
    assert len(problems) == 201
    assert problems[-1].endswith("more problems")


def test_no_directory_is_a_mistake_of_the_caller(tmp_path):
    with pytest.raises(UsageError, match="is not a directory"):
        verify(tmp_path / "none")


def test_the_number_of_files_and_octets(bag):
    report = verify(bag)
    assert (report.files, report.octets, report.algorithms) == (3, 19, ("sha256", "sha512"))


@given(st.text(st.sampled_from("%0AaDd25\r\nx")))
def test_only_line_breaks_and_percent_signs_are_encoded(name):
    """RFC 8493 §2.1.3, and what bagit writes."""
    encoded = name.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    assert decoded(encoded) == name


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_any_flipped_bit_anywhere_is_found(tmp_path_factory, seed):
    dice = random.Random(seed)
    bag = Path(sealed(tmp_path_factory.mktemp("bag"), artefact("a", dice.randbytes(50), also=("x.txt",)), artefact("b/c", b"")).path)
    files = sorted(p for p in bag.rglob("*") if p.is_file() and p.stat().st_size)
    victim = dice.choice(files)
    content = bytearray(victim.read_bytes())
    content[dice.randrange(len(content))] ^= dice.choice([1, 2, 4, 8, 16, 64, 128])  # 32 is another case, which hex digits may have
    victim.write_bytes(content)
    assert not verify(bag).valid, victim


def test_gaps_are_sealed_in(tmp_path):
    from irkit.evidence.store import BagStore

    writer = BagStore(tmp_path / "bags").open(1)
    writer.gap(Gap(what="logs", why="refused"))
    bag = Path(writer.seal({}).path)
    (bag / "missing.json").write_text("[]\n")
    assert any(problem.startswith("missing.json: was changed") for problem in verify(bag).problems)
