"""Whoever can't be told stops nothing: the run says it and ends as it would have, and resume tells only them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from irkit.app.going_on import resume
from irkit.app.respond import respond
from irkit.errors import UndeliveredError
from irkit.model.incident import Incident
from irkit.settings.notify import Contact
from tests.engine.harness import Bench, bench

CONTACTS = (Contact("lead", "lead@example.com", roles=("security-lead",)), Contact("boss", "boss@example.com", roles=("management",)))
PLAYBOOK = """apiVersion: irkit.dev/v1
kind: Playbook
metadata: {name: telling, title: Telling, severity: low, runbook: telling.md}
parameters:
  pod: {type: pod, required: true, help: The pod}
phases:
  detection:
  - {id: tell, step: notify, with: {message: "Pod ${pod.name}", to: [security-lead, management]}}
  containment:
  - {id: cut, step: quarantine, with: {pod: "${pod}"}}
"""


class Deaf:
    """A notifier that reaches nobody at ``lost``."""

    def __init__(self, *lost: str) -> None:
        self.lost, self.told = set(lost), list[str]()

    def send(self, to: Sequence[str], message: str, incident: Incident) -> str:
        if self.lost & set(to):
            raise UndeliveredError(f"not delivered to {to[0]}: no answer")
        self.told += to
        return "mailed"


def run(b: Bench, tmp_path, notifier: Deaf):
    file = tmp_path / "telling.yaml"
    file.write_text(PLAYBOOK)
    file.with_suffix(".md").write_text("# Telling\n")
    ports = msgspec.structs.replace(b.ports, notifier=notifier, settings=msgspec.structs.replace(b.ports.settings, contacts=CONTACTS))
    return ports, respond(ports, b.request(playbook=str(file), phase=""))


def test_who_is_not_told_stops_nothing_and_is_told_by_resume(tmp_path):
    with bench(tmp_path) as b:
        deaf = Deaf("lead <lead@example.com>")
        ports, result = run(b, tmp_path, deaf)
        assert result.exit_code == 0
        assert [(s.id, s.outcome) for s in result.steps] == [("tell", "skipped"), ("cut", "done")]
        assert result.steps[0].why == "not delivered to lead <lead@example.com>: no answer"
        assert deaf.told == ["boss <boss@example.com>"]
        deaf.lost.clear()
        again = resume(ports, None)
        assert (again.exit_code, again.steps[0].outcome) == (0, "done")
        assert deaf.told == ["boss <boss@example.com>", "lead <lead@example.com>"]
        resume(ports, again.incident)
        assert len(deaf.told) == 2
