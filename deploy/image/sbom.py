"""What is in the image, as SPDX 2.3 (https://spdx.github.io/spdx-spec/v2.3/): every Debian package and every Python distribution, by digest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deploy.image.lock import Deb, Debian, Wheel
from deploy.image.pack import SITE

Obj = dict[str, Any]
# A licence expression of identifiers that SPDX knows; what else a package declares is told as its own words.
KNOWN = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "ISC", "LGPL-3.0-only", "LGPL-3.0-or-later", "MIT", "MIT-0", "MPL-2.0",
    "PSF-2.0", "Python-2.0", "Unlicense",
}  # fmt: skip
NOTHING = "NOASSERTION"


def document(root: Path, debian: Debian, wheels: Sequence[Wheel], version: str, digest: str) -> str:
    """The SBOM of the image with that digest, whose files are in ``root``; the same text each time."""
    image = _package(
        "image", "irkit-image", version, f"pkg:oci/irkit@{quote(digest, safe='')}?arch=amd64&tag={version}", digest.removeprefix("sha256:")
    )
    image |= {"primaryPackagePurpose": "CONTAINER", "licenseDeclared": "Apache-2.0"}
    parts = [_package("irkit", "irkit", version, f"pkg:pypi/irkit@{version}") | {"licenseDeclared": "Apache-2.0"}]
    parts += [_deb(root, deb) for deb in debian.packages]
    parts += [_wheel(root, wheel) for wheel in wheels]
    relations = [_relation("DOCUMENT", "DESCRIBES", "image"), *(_relation("image", "CONTAINS", p["SPDXID"].removeprefix("SPDXRef-")) for p in parts)]
    body = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"irkit-{version}",
        "documentNamespace": f"https://irkit.dev/spdx/irkit-{version}-{digest.removeprefix('sha256:')}",
        "creationInfo": {"created": debian.created, "creators": [f"Tool: irkit-image-{version}"]},
        "packages": [image, *parts],
        "relationships": relations,
    }
    return json.dumps(body, indent=1) + "\n"


def _relation(one: str, kind: str, other: str) -> Obj:
    return {"spdxElementId": f"SPDXRef-{one}", "relationshipType": kind, "relatedSpdxElement": f"SPDXRef-{other}"}


def _package(identifier: str, name: str, version: str, purl: str, sha256: str = "") -> Obj:
    found: Obj = {
        "SPDXID": f"SPDXRef-{identifier}",
        "name": name,
        "versionInfo": version,
        "downloadLocation": NOTHING,
        "filesAnalyzed": False,
        "licenseConcluded": NOTHING,
        "licenseDeclared": NOTHING,
        "copyrightText": NOTHING,
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}],
    }
    return found | ({"checksums": [{"algorithm": "SHA256", "checksumValue": sha256}]} if sha256 else {})


def _deb(root: Path, deb: Deb) -> Obj:
    purl = f"pkg:deb/debian/{deb.name}@{quote(deb.version, safe='.~-')}?arch={deb.architecture}&distro=debian-12&upstream={deb.source}"
    found = _package(f"deb-{_id(deb.name)}", deb.name, deb.version, purl, deb.sha256)
    path = root / f"usr/share/doc/{deb.name}/copyright"
    if path.is_file():
        text = path.read_text(errors="replace")
        names = sorted({line.removeprefix("License:").strip() for line in text.splitlines() if line.startswith("License:")} - {""})
        found["licenseComments"] = f"debian/copyright says: {', '.join(names)}" if names else f"in /usr/share/doc/{deb.name}/copyright"
    return found | {"supplier": "Organization: Debian"}


def _wheel(root: Path, wheel: Wheel) -> Obj:
    name = re.sub(r"[-_.]+", "-", wheel.name).lower()
    found = _package(f"wheel-{_id(name)}", name, wheel.version, f"pkg:pypi/{name}@{wheel.version}", wheel.sha256)
    found["packageFileName"] = wheel.filename
    about = HeaderParser().parsestr(_metadata(root, wheel), headersonly=True)
    declared = str(about.get("License-Expression") or "")
    if declared and set(re.findall(r"[A-Za-z0-9.-]+", declared)) - {"AND", "OR", "WITH"} <= KNOWN:
        return found | {"licenseDeclared": declared}
    said = [declared or str(about.get("License") or "").split("\n")[0]]
    said += [c.rpartition("::")[2].strip() for c in about.get_all("Classifier") or () if c.startswith("License ::")]
    words = ", ".join(dict.fromkeys(s for s in said if s))
    return found | ({"licenseComments": f"its metadata says: {words}"} if words else {})


def _metadata(root: Path, wheel: Wheel) -> str:
    """METADATA of the installed distribution: the directory is named as the file is (PEP 427)."""
    name, version = wheel.filename.split("-")[:2]
    return (root / SITE / f"{name}-{version}.dist-info/METADATA").read_text(errors="replace")


def _id(name: str) -> str:
    """An SPDX identifier has letters, digits, dots and dashes alone; what has more gets a digest, so that two stay two."""
    plain = re.sub(r"[^A-Za-z0-9.-]", "-", name)
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
