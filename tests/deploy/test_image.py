"""The image: the same to the last byte each time, as little in it as will do, and an SBOM that names all of it."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path

import jsonschema_rs
import pytest

from deploy.image import lock
from irkit import __version__
from tests.deploy.conftest import build_image, copied
from tests.deploy.image import ROOT, Image, Obj

pytestmark = pytest.mark.slow
USER = "65532:65532"


def test_two_builds_are_the_same_to_the_last_byte(image: Image, tmp_path: Path) -> None:
    sources = copied(image.archive.parents[1] / "sources", tmp_path / "elsewhere")
    for path in sources.rglob("*"):
        os.utime(path, (1e9, 1e9))
    again = build_image(sources, tmp_path)
    assert again.digest == image.digest
    assert again.archive.read_bytes() == image.archive.read_bytes()
    assert again.sbom.read_bytes() == image.sbom.read_bytes()


def test_every_blob_is_what_its_name_says_and_the_digest_is_the_manifests(image: Image) -> None:
    import hashlib

    for name, content in image.blobs.items():
        if name.startswith("blobs/"):
            assert hashlib.sha256(content).hexdigest() == name.rpartition("/")[2]
    assert image.index["manifests"][0]["digest"] == image.digest
    assert [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in image.layers] == image.config["rootfs"]["diff_ids"]


def test_it_runs_irkit_as_nobody_in_particular(image: Image) -> None:
    settings = image.config["config"]
    assert settings["User"] == USER
    assert settings["Entrypoint"] == ["/usr/bin/irkit"]
    assert (image.config["os"], image.config["architecture"]) == ("linux", "amd64")


def test_nothing_in_it_is_more_than_it_must_be(image: Image) -> None:
    epoch, own = lock.debian().epoch, {"home/irkit", "var/lib/irkit"}
    programs = [name for name in image.entries if name.startswith(("usr/bin/", "usr/sbin/"))]
    assert sorted(programs) == ["usr/bin/irkit", "usr/bin/python3.11"], "no shell, no package manager, no second program"
    for name, entry in image.entries.items():
        assert entry.mtime == epoch, name
        assert (entry.uid, entry.gid) == ((65532, 65532) if name in own else (0, 0)), name
        assert not entry.mode & (stat.S_ISUID | stat.S_ISGID), name
        assert entry.issym() or name == "tmp" or not entry.mode & 0o022, f"{name} can be written by others"
        assert entry.isdir() or entry.isreg() or entry.issym(), name


def test_every_source_of_irkit_is_compiled(image: Image) -> None:
    """The root is read-only and the user owns none of it: nothing could be compiled later."""
    sources = [n for n in image.entries if re.search(r"dist-packages/(irkit|msgspec|typer|yaml)/.*\.py$", n)]
    assert len(sources) > 400
    for name in sources:
        folder, _, file = name.rpartition("/")
        assert f"{folder}/__pycache__/{file[:-3]}.cpython-311.pyc" in image.entries, name


def test_every_library_in_it_finds_those_that_it_needs(image: Image, tmp_path: Path) -> None:
    image.unpack(tmp_path)
    libraries = tmp_path / "usr/lib/x86_64-linux-gnu"
    loader = [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries), "--list"]
    checked = 0
    for name, entry in image.entries.items():
        path = tmp_path / name
        if not entry.isreg() or path.read_bytes()[:4] != b"\x7fELF" or path.name.startswith("ld-linux"):
            continue
        said = subprocess.run([*loader, str(path)], capture_output=True, text=True, check=False).stdout
        places = [line.partition("=>")[2].split("(")[0].strip() for line in said.splitlines() if "=>" in line]
        outside = [p for p in places if not Path(p).resolve().is_relative_to(tmp_path.resolve())]
        assert not outside, f"{name} needs {outside}"
        checked += 1
    assert checked > 80


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root; the real node runs it, too")
def test_it_runs_by_itself(image: Image, tmp_path: Path) -> None:
    image.unpack(tmp_path)
    tmp_path.chmod(0o755)

    def run(*arguments: str) -> str:
        environment = dict(e.split("=", 1) for e in image.config["config"]["Env"])
        done = subprocess.run(
            ["/usr/sbin/chroot", f"--userspec={USER}", str(tmp_path), *arguments], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("/usr/bin/irkit", "--version") == f"irkit {__version__}\n"
    assert "compromised-pod" in run("/usr/bin/irkit", "playbook", "list")
    imports = "ssl, zoneinfo, kubernetes.client, hvac, slack_sdk, psycopg, cryptography.x509, h11, yaml, minio"
    program = f"import {imports}; print(len(ssl.create_default_context().get_ca_certs()), zoneinfo.ZoneInfo('Europe/Berlin'), psycopg.pq.__impl__)"
    count, zone, implementation = run("/usr/bin/python3.11", "-I", "-c", program).split()
    assert int(count) > 100
    assert (zone, implementation) == ("Europe/Berlin", "binary")


# The part of SPDX 2.3's JSON that is used here, as the specification has it.
SPDXID = {"type": "string", "pattern": "^SPDXRef-[A-Za-z0-9.-]+$"}
PACKAGE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["SPDXID", "name", "downloadLocation", "versionInfo", "filesAnalyzed", "licenseConcluded", "licenseDeclared", "copyrightText"],
    "properties": {
        "SPDXID": SPDXID,
        "name": {"type": "string", "minLength": 1},
        "versionInfo": {"type": "string", "minLength": 1},
        "packageFileName": {"type": "string"},
        "supplier": {"type": "string", "pattern": "^(Person|Organization): .+$"},
        "downloadLocation": {"const": "NOASSERTION"},
        "filesAnalyzed": {"const": False},
        "checksums": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["algorithm", "checksumValue"],
                "properties": {"algorithm": {"const": "SHA256"}, "checksumValue": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
            },
        },
        "licenseConcluded": {"const": "NOASSERTION"},
        "licenseDeclared": {"type": "string", "minLength": 1},
        "licenseComments": {"type": "string"},
        "copyrightText": {"const": "NOASSERTION"},
        "primaryPackagePurpose": {"enum": ["CONTAINER"]},
        "externalRefs": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["referenceCategory", "referenceType", "referenceLocator"],
                "properties": {
                    "referenceCategory": {"const": "PACKAGE-MANAGER"},
                    "referenceType": {"const": "purl"},
                    "referenceLocator": {"type": "string", "pattern": "^pkg:(deb/debian|pypi|oci)/[a-z0-9.+-]+@[^?]+(\\?[a-z0-9_=&%.+-]+)?$"},
                },
            },
        },
    },
}
SPDX = {
    "type": "object",
    "additionalProperties": False,
    "required": ["spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo", "packages", "relationships"],
    "properties": {
        "spdxVersion": {"const": "SPDX-2.3"},
        "dataLicense": {"const": "CC0-1.0"},
        "SPDXID": {"const": "SPDXRef-DOCUMENT"},
        "name": {"type": "string"},
        "documentNamespace": {"type": "string", "pattern": "^https://[^#]+$"},
        "creationInfo": {
            "type": "object",
            "required": ["created", "creators"],
            "properties": {
                "created": {"type": "string", "pattern": "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$"},
                "creators": {"type": "array", "items": {"type": "string", "pattern": "^(Tool|Person|Organization): "}},
            },
        },
        "packages": {"type": "array", "items": PACKAGE},
        "relationships": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["spdxElementId", "relationshipType", "relatedSpdxElement"],
                "properties": {"spdxElementId": SPDXID, "relationshipType": {"enum": ["DESCRIBES", "CONTAINS"]}, "relatedSpdxElement": SPDXID},
            },
        },
    },
}


@pytest.fixture
def sbom(image: Image) -> Obj:
    return json.loads(image.sbom.read_text())  # type: ignore[no-any-return]


def test_the_sbom_is_spdx(sbom: Obj) -> None:
    jsonschema_rs.Draft7Validator(SPDX).validate(sbom)
    known = {"SPDXRef-DOCUMENT", *(p["SPDXID"] for p in sbom["packages"])}
    assert len(known) == 1 + len(sbom["packages"]), "each has an identifier of its own"
    assert all({r["spdxElementId"], r["relatedSpdxElement"]} <= known for r in sbom["relationships"])


def test_the_sbom_names_the_image_and_every_distribution_and_debian_package_in_it(image: Image, sbom: Obj) -> None:
    named = {(p["name"], p["versionInfo"]) for p in sbom["packages"]}
    inside = {("irkit-image", __version__)}
    for name in image.entries:
        if match := re.search(r"dist-packages/([^/]+)-([^/]+)\.dist-info/METADATA$", name):
            inside.add((re.sub(r"[-_.]+", "-", match[1]).lower(), match[2]))
        if name.startswith("var/lib/dpkg/status.d/") and not image.entries[name].isdir():
            inside.add((name.rpartition("/")[2], next(d.version for d in lock.debian().packages if d.name == name.rpartition("/")[2])))
    assert named == inside
    described = next(p for p in sbom["packages"] if p["SPDXID"] == "SPDXRef-image")
    assert f"sha256:{described['checksums'][0]['checksumValue']}" == image.digest
    unknown = [p["name"] for p in sbom["packages"] if "licenseComments" not in p and p["licenseDeclared"] == "NOASSERTION"]
    assert not unknown, "something is known of each licence"


def test_the_dockerfile_makes_the_same_image(image: Image) -> None:
    text = (ROOT / "deploy/image/Dockerfile").read_text()
    final = text[text.index("FROM scratch") :]
    settings = image.config["config"]
    assert f"\nUSER {settings['User']}\n" in final
    assert f"\nWORKDIR {settings['WorkingDir']}\n" in final
    assert f"\nENTRYPOINT {json.dumps(settings['Entrypoint'])}\n" in final
    assert set(re.search(r"^ENV (.*)$", final, re.MULTILINE)[1].split()) == set(settings["Env"])  # type: ignore[index]
    assert "deploy/image/build.py --root /out" in text, "its files are laid out by the same program"
    owned = {name for name, entry in image.entries.items() if entry.uid}
    assert {path.lstrip("/") for path in re.findall(r"--chown=65532:65532 \S+ (\S+)", final)} == owned
