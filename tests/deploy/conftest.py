from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.plugin import built
from tests.controlplane.running import Running, running
from tests.deploy.chart import ACTOR, NAMESPACE, Chart, config_map, installed
from tests.deploy.image import ROOT, Image
from tests.deploy.site import Site, opened


@pytest.fixture(scope="session")
def chart() -> Iterator[Chart]:
    """The chart on a control plane of its own: other tests want one without namespace irkit-system."""
    built("kwok"), built("kube-apiserver")
    people = {"approvers": {"groups": ["leads"]}, "responders": {"groups": ["oncall"]}}
    with running(nodes=1) as plane:
        plane.kubectl("create", "namespace", "shop")
        with installed(plane, {**people, "namespaces": ["shop"]}, helm=True) as found:
            plane.kubectl("wait", "--for=create", "serviceaccount/irkit-listener", "-n", NAMESPACE, "--timeout=20s")
            _enforced(found)
            yield found


def _enforced(chart: Chart, seconds: float = 30) -> None:
    """Policies take a moment from their creation until they are enforced: wait until the last of them is."""
    until = time.monotonic() + seconds
    while not chart.as_(ACTOR, "create", "--dry-run=server", "-f", "-", stdin=config_map("irkit-settings-2", {})).refused:
        assert time.monotonic() < until, "the admission policies are not enforced"
        time.sleep(0.2)


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image of this checkout. What it is made of is fetched once and kept outside."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("the image is made on Linux on amd64")
    folder = tmp_path_factory.mktemp("image")
    return build_image(copied(ROOT, folder / "sources"), folder)


def copied(sources: Path, folder: Path) -> Path:
    """All that the image is made from, somewhere else."""
    for name in ("irkit", "playbooks", "runbooks", "deploy"):
        shutil.copytree(sources / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "uv.lock", "README.md", "LICENSE", ".gitignore"):
        shutil.copyfile(sources / name, folder / name)
    return folder


def build_image(sources: Path, folder: Path) -> Image:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, str(sources / "deploy/image/build.py"), str(folder / "dist")]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode == 3:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    (archive,), (sbom,) = (folder / "dist").glob("*.oci.tar"), (folder / "dist").glob("*.spdx.json")
    return Image(archive, sbom, done.stdout.strip())


@pytest.fixture(scope="package")
def site(real_node: Running, image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The chart on the real node, without a listener as yet."""
    with opened(real_node, image, tmp_path_factory.mktemp("site")) as found:
        yield found
