"""From a report to its end, as processes: opened with what was noticed, mailed, listed, shown, drafted, closed."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from irkit.sandbox import Sandbox
from tests.components.smtp import Mailbox
from tests.e2e.running import Irkit

CANARY = "c4nary-of-the-smtp-password"
NOTICED = ("--reported-by", "SOC", "--summary", "odd <b>egress</b>", "--severity", "high", "--started-at", "2h ago")


def test_an_incident_from_report_to_end(tmp_path: Path, mailbox: Callable[..., Mailbox]) -> None:
    box = mailbox(starttls=True, login=("irkit", CANARY))
    (tmp_path / "password").write_text(CANARY)
    mail = {"host": "127.0.0.1", "port": box.port, "from": "irkit@example.com", "user": "irkit", "password-file": str(tmp_path / "password"),
            "ca-file": str(box.ca)}  # fmt: skip
    with Sandbox(home=tmp_path / "sandbox") as cluster:
        namespace, pod = cluster.suspect
        lead = {"name": "lead", "address": "lead@example.com", "roles": ["security-lead"]}
        irkit = Irkit(cluster.kubeconfig, tmp_path / "home").configured(tmp_path / "config.yaml", contacts=[lead], notify={"smtp": mail})
        said = irkit.run("contain", pod, "-n", namespace, "--yes", *NOTICED).ended(0)
        assert [m.message["Subject"] for m in box.received] == [f"[irkit] high incident {_newest(irkit)[-6:]}: {namespace}/{pod}"]
        assert "mailed by 127.0.0.1" in said.stderr
        assert irkit.json("incident", "list")["items"][0]["severity"] == "high"
        shown = irkit.json("incident", "show")
        assert (shown["reportedBy"], shown["summary"], shown["status"]) == ("SOC", "odd <b>egress</b>", "contained")
        assert "  left " in irkit.run("incident", "show").ended(0).stdout
        refused = irkit.run("incident", "close", "--yes").ended(5)
        assert "is not closed: 2 things left" in refused.stderr
        assert irkit.json("incident", "close", "--yes", code=5)["error"]["code"] == 5
        irkit.run("lift", "--yes").ended(0)
        document = irkit.json("incident", "report")
        page, text = Path(document["html"]), Path(document["markdown"])
        assert stat.S_IMODE(page.stat().st_mode) == 0o600
        assert "odd &lt;b&gt;egress&lt;/b&gt;" in page.read_text()
        assert "odd \\<b\\>egress\\</b\\>" in text.read_text()
        assert document["left"] == []
        assert irkit.run("incident", "close").ended(3).stderr.startswith("3: ")  # nobody can be asked
        assert irkit.json("incident", "close", "--yes")["outcome"] == "closed"
        assert irkit.json("incident", "list")["items"][0]["status"] == "closed"
    kept = b"".join(p.read_bytes() for p in (tmp_path / "home").rglob("*") if p.is_file())
    assert CANARY.encode() not in kept + said.said.encode()


def _newest(irkit: Irkit) -> str:
    found: str = irkit.json("incident", "list")["items"][0]["id"]
    return found


@pytest.mark.parametrize(("words", "says"), [
    (("--started-at", "soon"), "--started-at takes a time with its zone"), (("--severity", "hihg"), "did you mean high?"),
])  # fmt: skip
def test_what_can_not_be_meant_is_refused_before_the_cluster_is_asked(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    irkit = Irkit(tmp_path / "none", tmp_path / "home")
    cluster = {"name": "x", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "x", "context": {"cluster": "x"}}
    config = {"apiVersion": "v1", "kind": "Config", "current-context": "x", "clusters": [cluster], "users": [], "contexts": [context]}
    (tmp_path / "none").write_text(json.dumps(config))
    assert says in irkit.run("contain", "pod", "-n", "x", *words).ended(2).stderr


def test_nothing_to_report(tmp_path: Path) -> None:
    irkit = Irkit(tmp_path / "none", tmp_path / "home")
    assert "no incidents on this machine" in irkit.run("incident", "report").ended(2).stderr
