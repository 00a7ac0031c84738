"""README's transcript is what the commands print on a real control plane; the rights that the reference gives are enough."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.controlplane.running import Running, running
from tests.docs import pages, transcript
from tests.e2e.running import Irkit

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]


@pytest.fixture
def own_plane(control_plane: Running) -> Iterator[Running]:
    """One that nobody else uses: the transcript makes namespaces with fixed names."""
    with running(nodes=3) as plane:
        yield plane


def test_the_transcript_is_what_is_printed(own_plane: Running, tmp_path: Path):
    shown = re.fullmatch(r"```console\n(.*)```\n", pages.block(pages.README, "transcript"), re.DOTALL)
    assert shown
    assert transcript.normalised(transcript.produce(own_plane, tmp_path)).split(" $ ") == transcript.normalised(shown[1]).split(" $ ")


def test_the_rights_of_the_reference_are_enough_to_share_an_incident(own_plane: Running, tmp_path: Path):
    page = (pages.REFERENCE / "rbac.md").read_text()
    shared = next(yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) if "irkit-system" in text)
    role = pages.block(pages.REFERENCE / "rbac.md", "role").removeprefix("```yaml\n").removesuffix("```\n")
    own_plane.kubectl("create", "namespace", "irkit-system")
    own_plane.apply(transcript.MANIFESTS.read_text())
    suspect = own_plane.pods("todo-app", "app=backend", count=3)[0]["metadata"]["name"]
    person = Irkit(own_plane.user(role, shared).kubeconfig, tmp_path / "home")
    answer = person.run("contain", suspect, "-n", "todo-app", "--yes").ended(0)
    assert "nobody else can take this incident over" not in answer.said
    assert len(own_plane.get("leases", "-n", "irkit-system")["items"]) == 1
    incident = next(path.name for path in (tmp_path / "home" / "incidents").iterdir())
    colleague = person.elsewhere(tmp_path / "another")
    assert colleague.json("lift", incident, "--pod", "return", "--yes")["outcome"] == "lifted"
