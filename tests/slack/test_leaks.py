"""What pods logged, and what Secrets hold, is in the bag's files or nowhere: no message, no private answer and no tab has a word of it."""

from __future__ import annotations

import json

import pytest

from tests.slack.people import ANN, BOB
from tests.slack.world import World, until


@pytest.mark.slow
def test_no_line_of_a_log_and_no_value_of_a_secret_is_ever_in_slack(world: World) -> None:
    irkit, pod = world.starts(), world.pods()[0]
    values = {value for secret in world.secrets() for value in secret if len(value) > 3}
    world.people.types(f"contain {pod}")
    message = world.live("waits for approval")
    world.people.presses(message, "irkit-approve", user=BOB)
    world.live("is done")
    for text, word in ((f"status {world.orders()[0]['status']['incident']}", "contained"), (f"blast-radius {pod}", "could be reached")):
        world.people.types(text)
        world.whisper(word)
    world.people.opens_home()
    until(lambda: world.slack.homes.get(ANN), 20, lambda: str(irkit.lines))
    logs = [log.read_text(errors="replace") for log in world.irkit_home.glob("incidents/*/bags/*/data/pods/*/*/*/*.log")]
    lines = {line.partition(" ")[2] for log in logs for line in log.splitlines() if len(line.partition(" ")[2]) > 12}  # without the time
    told = [*world.slack.messages.values(), *world.slack.whispers, *world.slack.homes.values()]
    seen = "\n".join(json.dumps(one, ensure_ascii=False, default=str) for one in told)
    audit = "".join(irkit.said)
    assert len(told) >= 5
    assert len(values) > 3
    assert len(lines) > 10
    assert [value for value in values if value in seen or value in audit] == []
    assert [line for line in lines if json.dumps(line, ensure_ascii=False)[1:-1] in seen or line in audit] == []
