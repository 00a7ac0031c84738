"""The picture of the report in README: ``python -m tests.docs.screenshot`` makes it anew (needs Chromium).

It is the report of a real run: the whole playbook compromised-pod on the rehearsal cluster, with a person who answers.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from irkit.app import report
from irkit.app.respond import respond
from irkit.model.incident import Reported
from tests.components import browser
from tests.docs import pages
from tests.engine.harness import bench

IMAGES = pages.ROOT / "docs" / "images"
SEEN = Reported(by="Falco", started_at="25 min ago", summary="A shell was started in a backend pod, and it connects to an address that nobody knows.")


def drafted(directory: Path) -> Path:
    """The HTML report of a run through all phases."""
    with bench(directory) as b:
        b.approver.secrets = {"backend-secret/GROQ_API_KEY": "the-vendor-s-new-key-0001"}
        respond(b.ports, b.request(command="respond", phase="", reported=SEEN, parameters={"image": b.box.scenario.images["patched"]}))
        return Path(report.write(b.ports.settings, b.ports.clock, None, directory)["html"])


def main() -> None:
    program = browser.find()
    if program is None:
        sys.exit("no browser is on PATH: apt-get install chromium")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        shot = browser.Browser(program).screenshot(drafted(Path(directory)), IMAGES / "report.png", width=1040, height=1305)
    print(f"{shot}: {shot.stat().st_size} bytes")


if __name__ == "__main__":
    main()
