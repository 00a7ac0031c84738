"""A bag as one tar: the same octets each time, read by any tar; and a hostile tar writes nothing where it should not."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import bagit
import pytest

from irkit.errors import EvidenceError
from irkit.evidence.packing import Packed, unpack
from irkit.evidence.verify import verify
from tests.evidence.bags import artefact, sealed


def a_bag(where: Path) -> Path:
    long = "/".join(["a-rather-long-part-of-a-name" * 6] * 3)
    artefacts = (artefact("x.log", b"1" * 70_000), artefact(long, b"x"), artefact("Ünï/\n", b""), artefact("big", b"7" * 3_000_001))
    return Path(sealed(where, *artefacts).path)


def octets(bag: Path, piece: int = 1 << 20) -> bytes:
    packed = Packed(bag, "name")
    found = b"".join(iter(lambda: packed.read(piece) or b"", b""))
    assert len(found) == packed.octets
    return found


def test_a_bag_packs_to_the_same_octets_wherever_it_lies(tmp_path):
    one = a_bag(tmp_path / "one")
    two = tmp_path / "two"
    shutil.copytree(one, two)
    os.utime(two / "bagit.txt", (1, 1))
    (two / "bagit.txt").chmod(0o644)
    assert octets(one) == octets(two, 777)
    assert octets(one)[-1024:] == bytes(1024)


def test_any_tar_unpacks_it_and_any_bagit_tool_verifies_it(tmp_path):
    (tmp_path / "bag.tar").write_bytes(octets(a_bag(tmp_path)))
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", str(tmp_path / "bag.tar"), "-C", str(tmp_path / "out")], check=True)
    assert bagit.Bag(str(tmp_path / "out" / "name")).is_valid()
    assert verify(tmp_path / "out" / "name").valid


def test_and_back(tmp_path):
    bag = a_bag(tmp_path)
    (tmp_path / "back").mkdir()
    back = unpack(io.BytesIO(octets(bag)), tmp_path / "back")
    assert verify(back).valid
    assert octets(back) == octets(bag)
    assert (back / "bagit.txt").stat().st_mode & 0o777 == 0o600


def test_a_file_that_changes_meanwhile_is_told(tmp_path):
    bag = a_bag(tmp_path)
    packed = Packed(bag, "name")
    packed.read(10)
    with (bag / "data" / "big").open("ab") as file:
        file.write(b"more")
    (bag / "data" / "x.log").unlink()
    (bag / "data" / "x.log").symlink_to("/etc/passwd")
    with pytest.raises(EvidenceError, match=r"big of the bag changed|x\.log of the bag can't be read"):
        packed.readall()


def made(*members: tuple[str, dict[str, object]], top: str = "name") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, more in members:
            info = tarfile.TarInfo(name)
            content = b"x"
            info.size = 1
            for key, value in more.items():
                setattr(info, key, value)
            if not info.isreg():
                info.size, content = 0, b""
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


HOSTILE = {
    "a way out": made(("name/../../evil", {})), "absolute": made(("/evil", {})), "top is ..": made(("../evil", {})),
    "a link": made(("name/evil", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"})),
    "through a link": made(("name/d", {"type": tarfile.SYMTYPE, "linkname": "/tmp"}), ("name/d/evil", {})),
    "a hard link": made(("name/evil", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})),
    "a device": made(("name/evil", {"type": tarfile.CHRTYPE})), "a pipe": made(("name/evil", {"type": tarfile.FIFOTYPE})),
    "twice": made(("name/evil", {}), ("name/evil", {})), "two bags": made(("name/a", {}), ("other/a", {})),
    "a file as directory": made(("name/a", {}), ("name/a/b", {})), "no directory": made(("evil", {})),
    "sparse": made(("name/a", {"type": tarfile.GNUTYPE_SPARSE})), "dots": made(("name/./evil", {})), "nothing": made(), "no tar": b"junk" * 500,
    "cut": made(("name/a", {}))[:700], "empty": b"",
}  # fmt: skip


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_tar_is_refused_and_writes_nothing_outside(tmp_path, how):
    inside = tmp_path / "deep" / "inside"
    inside.mkdir(parents=True)
    with pytest.raises(EvidenceError, match="tar"):
        unpack(io.BytesIO(HOSTILE[how]), inside)
    assert [p for p in tmp_path.rglob("*") if p.is_symlink() or (p.is_file() and inside not in p.parents)] == []
    assert not Path("/tmp/evil").exists()
