"""The image, built from this checkout, and a look inside it without a container runtime."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Obj = dict[str, Any]


@dataclass
class Image:
    """``digest``: of its manifest, as the builder printed it."""

    archive: Path
    sbom: Path
    digest: str

    @cached_property
    def blobs(self) -> dict[str, bytes]:
        with tarfile.open(self.archive) as archive:
            return {entry.name: file.read() for entry in archive if (file := archive.extractfile(entry)) is not None}

    @cached_property
    def index(self) -> Obj:
        return json.loads(self.blobs["index.json"])  # type: ignore[no-any-return]

    def document(self, digest: str) -> Obj:
        return json.loads(self.blobs[f"blobs/sha256/{digest.removeprefix('sha256:')}"])  # type: ignore[no-any-return]

    @cached_property
    def manifest(self) -> Obj:
        return self.document(self.index["manifests"][0]["digest"])

    @cached_property
    def config(self) -> Obj:
        return self.document(self.manifest["config"]["digest"])

    @cached_property
    def layers(self) -> list[bytes]:
        return [gzip.decompress(self.blobs[f"blobs/sha256/{layer['digest'].removeprefix('sha256:')}"]) for layer in self.manifest["layers"]]

    @cached_property
    def entries(self) -> dict[str, tarfile.TarInfo]:
        found = {}
        for layer in self.layers:
            with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
                found.update({entry.name: entry for entry in archive})
        return found

    def unpack(self, root: Path) -> None:
        for layer in self.layers:
            with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
                archive.extractall(root, filter="tar", numeric_owner=True)
