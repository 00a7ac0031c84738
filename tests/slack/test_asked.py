"""What is asked for in Slack is done once, shown in one message, and approved by whoever may: in real processes, on irkit's own cluster."""

from __future__ import annotations

import time

import pytest

from tests.slack.people import ANN, BOB
from tests.slack.world import World, said, until


def test_evidence_is_collected_and_told_in_one_message_of_a_thread(world: World) -> None:
    irkit, pod = world.starts(), world.pods()[0]
    sent = time.monotonic()
    ack = world.people.types(f"collect {pod}")
    root = until(lambda: next(iter(world.slack.messages.values()), None), 10, lambda: "no message")
    first = time.monotonic() - sent
    message = world.live("is done")
    told = time.monotonic() - sent
    print(f"command to acknowledgement {ack.seconds * 1000:.0f} ms, to first message {first * 1000:.0f} ms, to the evidence {told:.2f} s")
    assert ack.seconds < 3.0
    assert len(world.slack.messages) == 2
    assert message["thread_ts"] == root["ts"]
    [order] = world.orders()
    ended = order["status"]["ended"]
    assert (order["status"]["state"], order["order"]["origin"]["sender"]) == ("done", ANN)
    assert ended["manifest"] in said(message)
    assert f"{ended['artefacts']} artefacts of evidence" in said(message)
    assert not world.slack.files  # no channel is set up for bags
    assert irkit.end() == 0


def test_a_containment_waits_for_an_approver_and_shows_who_it_was(world: World) -> None:
    irkit, pod = world.starts(), world.pods()[0]
    world.people.types(f"contain {pod} -n todo-app")
    message = world.live("waits for approval")
    assert f"for <@{BOB}> to approve or decline" in said(world.slack.messages["C0INC", message["thread_ts"]])
    assert "create NetworkPolicy todo-app/irkit-" in said(message)
    assert "scale Deployment todo-app/backend 3 → 0; ends 2 pods" in said(message)
    world.people.presses(message, "irkit-approve", user=ANN)
    assert "in none of the groups" in said(world.whisper("may approve"))
    assert not world.orders()[0]["status"].get("decisions")
    world.people.presses(message, "irkit-approve", user=BOB)
    world.live("is done")
    assert "isolation: isolated" in said(message)
    assert f"approved by <@{BOB}>" in said(message)
    assert not [b for b in message["blocks"] if b["type"] == "actions"]
    [order] = world.orders()
    assert [d["by"]["sender"] for d in order["status"]["decisions"]] == [BOB]
    shown = world.irkit("incident", "show", order["status"]["incident"]).stdout
    assert f"approved by bob (slack {BOB})" in shown
    assert irkit.events("interaction-refused")[0]["user"] == ANN
    world.people.types(f"verify {order['status']['incident']}")
    assert "stopped: holds" in said(world.whisper("isolation: isolated"))


def test_two_irkits_on_one_token_do_what_is_asked_once(world: World) -> None:
    one, other, pod = world.starts(), world.starts(connections=2), world.pods()[0]
    payload = world.people.slash(f"collect {pod}")
    for connection in world.slack.connections(2) * 2:
        world.slack.deliver("slash_commands", payload, to=connection)
    world.live("is done")
    assert len(world.orders()) == 1
    assert len(world.slack.messages) == 2
    assert len(one.events("ordered") + other.events("ordered")) == 1


@pytest.mark.slow
def test_who_leads_is_killed_and_the_other_goes_on_with_the_same_message(world: World) -> None:
    one, pod = world.starts(), world.pods()[0]
    world.people.types(f"contain {pod}")
    message = world.live("waits for approval")
    other = world.starts(connections=2)
    one.end(kill=True)
    world.slack.connections(1)
    world.people.presses(message, "irkit-approve", user=BOB)
    world.live("is done")
    assert f"approved by <@{BOB}>" in said(message)
    assert len(world.slack.messages) == 2
    assert other.end() == 0


@pytest.mark.slow
def test_slack_goes_out_and_the_order_is_carried_out_all_the_same(world: World) -> None:
    irkit = world.starts()
    pod = world.pods()[0]
    world.people.types(f"contain {pod}")
    message = world.live("waits for approval")
    world.people.presses(message, "irkit-approve", user=BOB)
    world.slack.down = True
    world.slack.cut()
    done = until(lambda: [o for o in world.orders() if o["status"]["state"] == "done"], 30, lambda: f"not done: {world.orders()} {irkit.said}")
    assert "is done" not in said(message)
    world.slack.down = False
    world.live("is done", 40)
    world.slack.connections(1, 40)
    assert done[0]["status"]["ended"]["exit_code"] == 0
    assert len(world.slack.messages) == 2


@pytest.mark.slow
def test_questions_are_answered_to_whoever_asked_alone(world: World) -> None:
    world.starts()
    pod = world.pods()[0]
    for text, word in (
        (f"blast-radius {pod}", "Secret todo-app/backend-secret (GROQ_API_KEY), issuer-made"),
        (f"verify {pod}", "isolation: leaks"),
        ("blast-radius nobody-knows", "2: there is no pod nobody-knows in namespace todo-app"),
        ("rehearse", "A containment was played in irkit's own cluster: done, exit code 0."),
        ("status", "0 open orders"),
    ):
        world.people.types(text)
        assert world.whisper(word)["by"] == "url"
    assert world.slack.messages == {}
    assert world.orders() == []
    values = {v for s in world.secrets() for v in s}
    assert values
    assert not [v for v in values if any(v in said(w) for w in world.slack.whispers)]


@pytest.mark.slow
def test_an_end_while_a_question_is_answered_takes_no_minutes(world: World) -> None:
    irkit = world.starts()
    world.people.types("rehearse")
    until(lambda: irkit.events("asked"), 10, lambda: "not asked")
    began = time.monotonic()
    assert irkit.end() == 0
    assert time.monotonic() - began < 10


@pytest.mark.slow
def test_two_machines_share_a_queue_in_the_cluster(world: World) -> None:
    from irkit import wiring
    from irkit.model.kube import NAMESPACES

    with wiring.cluster(wiring.settings(kubeconfig=world.environment["KUBECONFIG"])) as cluster:
        cluster.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "irkit-system"}})
    pod = world.pods()[0]
    one = world.starts()
    until(lambda: [e for e in one.events("leader") if e["what"] == "leads"], 20, lambda: str(one.lines))
    world.irkit_home = world.home / "other"
    other = world.starts(connections=2)
    payload = world.people.slash(f"contain {pod}")
    for connection in world.slack.connections(2):
        world.slack.deliver("slash_commands", payload, to=connection)
    message = world.live("waits for approval")
    world.people.presses(message, "irkit-approve", user=BOB)
    world.live("is done")
    assert len(world.orders()) == 1
    assert len(world.slack.messages) == 2
    assert (one.end(), other.end()) == (0, 0)


def test_tokens_are_in_no_argument_no_log_and_no_other_process(world: World) -> None:
    irkit, pod = world.starts(), world.pods()[0]
    world.people.types(f"collect {pod}")
    children = until(lambda: _below(irkit.process.pid), 20, lambda: "no worker ran")
    for process, environment in children.items():
        assert not [word for word in (b"xapp-", b"xoxb-", b"SLACK_APP", b"SLACK_BOT") if word in environment], process
    world.live("is done")
    assert irkit.end() == 0
    assert not [word for word in ("xapp-", "xoxb-") if word in "".join(irkit.said)]
    left = [p for p in world.irkit_home.rglob("*") if p.is_file() and (b"xapp-" in p.read_bytes() or b"xoxb-" in p.read_bytes())]
    assert left == []


def _below(parent: int) -> dict[str, bytes]:
    """Command line and environment of each process that it started."""
    from pathlib import Path

    found = {}
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        for child in task.read_text().split():
            try:
                line = Path(f"/proc/{child}/cmdline").read_bytes().decode().replace("\0", " ")
                environment = Path(f"/proc/{child}/environ").read_bytes()
            except OSError:
                continue
            if "order work" in line and environment:
                assert not [word for word in ("xapp-", "xoxb-") if word in line]
                found[line] = environment
    return found


@pytest.mark.parametrize(("token", "word"), [("app", "apps.connections.open"), ("bot", "auth.test")])
def test_a_token_that_slack_refuses_is_said_at_once(world: World, token: str, word: str) -> None:
    environment = world.environment
    world.slack.tokens[token] = "x" + world.slack.tokens[token]
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-m", "irkit", "slack"], env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 4
    assert f"Slack's answer to {word}: invalid_auth" in done.stderr
    assert not [word for word in ("Traceback", "xapp-1", "xoxb-1") if word in done.stderr]
