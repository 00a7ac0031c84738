"""Both transcripts are what the commands print on a real control plane; the rights that the reference gives are enough."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.controlplane.controllers import controlling
from tests.controlplane.running import Running, running
from tests.docs import pages, transcript
from tests.e2e.running import Irkit

if TYPE_CHECKING:  # their clients take half a second
    from tests.components.openbao import OpenBao
    from tests.components.postgres import Postgres

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]


@pytest.fixture
def own_plane(control_plane: Running) -> Iterator[Running]:
    """One that nobody else uses: the transcript makes namespaces with fixed names."""
    with running(nodes=3) as plane:
        yield plane


def differences(played: str, shown: str) -> list[str]:
    """Where what was played is not what the page shows, in a few words each: a whole transcript can't be read in a log."""
    new, old = transcript.normalised(played).split(" "), transcript.normalised(shown).split(" ")
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [f"after {' '.join(old[max(0, a - 12):a])!r}: {' '.join(old[a:b])!r} is {' '.join(new[c:d])!r}"
            for kind, a, b, c, d in matcher.get_opcodes() if kind != "equal"]  # fmt: skip


def kept(page: Path, block: str) -> str:
    found = re.fullmatch(r"```console\n(.*)```\n", pages.block(page, block), re.DOTALL)
    assert found
    return found[1]


def test_the_transcript_is_what_is_printed(own_plane: Running, tmp_path: Path):
    assert differences(transcript.produce(own_plane, tmp_path), kept(transcript.PAGE, "transcript")) == []


def test_the_whole_incident_is_what_is_printed(own_plane: Running, external_secrets: Path, openbao: OpenBao, postgres: Postgres, tmp_path: Path):
    from tests.docs import chain

    with controlling(own_plane.home, "external-secrets"):
        assert differences(chain.produce(own_plane, openbao, postgres, tmp_path), kept(pages.README, "chain")) == []


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
