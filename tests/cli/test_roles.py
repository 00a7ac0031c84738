"""Who has which role: on record, handed over with its time, seen by colleagues and in the post-mortem."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit.sandbox import Sandbox
from tests.e2e.running import Irkit

pytestmark = pytest.mark.slow
EVIL = "eve\x1b[2J\n<b>boss</b>"


def test_roles_are_on_record_and_handed_over(tmp_path: Path) -> None:
    with Sandbox(home=tmp_path / "sandbox") as cluster:
        namespace, pod = cluster.suspect
        irkit = Irkit(cluster.kubeconfig, tmp_path / "home")
        incident = irkit.json("contain", pod, "-n", namespace, "--yes")["incident"]
        before = irkit.json("incident", "show", incident)["status"]
        assert "did you mean scribe?" in irkit.run("incident", "role", incident, "scrib", "ann").ended(2).stderr
        irkit.run("incident", "role", "20261122T000000Z-none-zzzzzz", "scribe", "ann").ended(2)
        irkit.run("incident", "role", incident, "scribe", "x" * 201).ended(2)
        said = irkit.run("incident", "role", incident, "incident-commander", "ann").ended(0).stdout
        assert "incident-commander    ann" in said
        assert "scribe                nobody" in said
        irkit.json("incident", "role", incident, "scribe", EVIL)
        assert irkit.json("incident", "role", incident, "incident-commander", "bob")["roles"]["incident-commander"] == "bob"
        shown = irkit.json("incident", "show", incident)
        assert shown["roles"]["incident-commander"] == "bob"
        assert shown["status"] == before, "a role goes on with nothing"
        timeline = [line["text"] for line in shown["timeline"] if line["text"].startswith("incident-commander")]
        assert [t.partition(", by ")[0] for t in timeline] == ["incident-commander: ann", "incident-commander: bob"]
        assert irkit.json("incident", "list")["items"][0]["roles"]["incident-commander"] == "bob"
        assert "\x1b" not in irkit.run("incident", "show", incident).ended(0).stdout
        document = irkit.json("incident", "report", incident)
        assert "bob" in Path(document["markdown"]).read_text()
        assert "<b>boss" not in Path(document["html"]).read_text()
        count = len(shown["timeline"])
        irkit.json("incident", "role", incident, "incident-commander", "bob")
        assert len(irkit.json("incident", "show", incident)["timeline"]) == count, "nothing new, nothing on record"
        irkit.json("incident", "role", incident, "scribe", "")
        assert "scribe" not in irkit.json("incident", "show", incident)["roles"]
        irkit.json("incident", "close", incident, "--anyway", "an exercise", "--yes")
        irkit.run("incident", "role", incident, "scribe", "ann").ended(8)
