"""`irkit slack setup` and `manifest`: what is to be done, whether it would work, and the least that the app must be allowed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml

from irkit.listeners.slack.manifest import manifest, scopes
from irkit.listeners.slack.setup import examine
from irkit.settings import Settings
from irkit.settings.slack import SlackSettings
from tests.slack.server import LEAST, Server
from tests.slack.world import SETTINGS, World


@pytest.fixture
def world(slack: Server, tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, slack, cluster=False) as made:
        yield made


ROOT = Path(__file__).parents[2]


def test_the_manifest_in_deploy_is_the_printed_one(world: World) -> None:
    assert (ROOT / "deploy" / "slack-manifest.yaml").read_text() == manifest(SlackSettings())
    assert world.irkit("slack", "manifest").stdout == manifest(SlackSettings())


def test_the_manifest_has_the_least_scopes_and_socket_mode() -> None:
    found = yaml.safe_load(manifest(SlackSettings()))
    assert tuple(found["oauth_config"]["scopes"]["bot"]) == LEAST
    assert "user" not in found["oauth_config"]["scopes"]
    assert found["settings"]["socket_mode_enabled"] is True
    assert "request_url" not in manifest(SlackSettings())
    assert [c["command"] for c in found["features"]["slash_commands"]] == ["/irkit"]
    assert [s["callback_id"] for s in found["features"]["shortcuts"]] == ["irkit-collect"]
    assert len(found["display_information"]["description"]) <= 140
    assert all(len(s["name"]) <= 24 for s in found["features"]["shortcuts"])
    assert set(scopes(SlackSettings(bag_channel="C1", incident_channels=True))) - set(LEAST) == {"files:write", "groups:write"}


def test_setup_says_that_all_is_well(world: World) -> None:
    done = world.irkit("slack", "setup")
    assert (done.returncode, done.stderr) == (0, "")
    assert "both tokens are good: irkit in workspace Example (T0TEAM)" in done.stdout
    assert "the bot's token has the scopes of the manifest, and no other" in done.stdout
    assert "irkit is in channel C0INC (c0inc)" in done.stdout
    assert done.stdout.rstrip().endswith("next:      irkit slack")
    assert world.slack.messages == {}


@pytest.mark.parametrize(("wrong", "code", "said"), [
    ("app", 4, "Slack's answer to apps.connections.open: invalid_auth"),
    ("bot", 4, "Slack's answer to auth.test: invalid_auth"),
    ("scopes", 4, "the bot's token lacks chat:write: put irkit slack manifest into the app"),
    ("more", 0, "the bot's token may more than irkit needs: admin"),
    ("team", 8, "the tokens are of workspace T0TEAM, and slack.team is T0ELSE"),
    ("out", 7, "HTTP 503"),
    ("member", 2, "irkit is not in channel C0INC (c0inc): /invite @irkit"),
    ("unknown", 2, "channel C0OPS is not there, or private and irkit is not in it"),
    ("archived", 2, "channel C0INC (c0inc) is archived"),
    ("shared", 8, "channel C0BAGS (c0bags) is shared with other organisations, and bags would go there"),
    ("nobody", 2, "nobody may ask anything"),
    ("playbook", 2, "slack.approvers: no playbook 'compromised-pods'; did you mean compromised-pod"),
])  # fmt: skip
def test_setup_names_what_is_left(world: World, wrong: str, code: int, said: str) -> None:
    slack = world.slack
    environment = world.environment
    match wrong:
        case "app" | "bot":
            slack.tokens[wrong] += "x"
        case "scopes":
            slack.scopes.discard("chat:write")
        case "more":
            slack.scopes.add("admin")
        case "team":
            world.settings["team"] = "T0ELSE"
        case "out":
            slack.down = True
        case "member":
            slack.channels["C0INC"]["is_member"] = False
        case "unknown":
            del slack.channels["C0OPS"]
        case "archived":
            slack.channels["C0INC"]["is_archived"] = True
        case "shared":
            world.settings["bag-channel"] = "C0BAGS"
            slack.scopes.add("files:write")
            slack.channels["C0BAGS"]["is_ext_shared"] = True
        case "playbook":
            world.settings["approvers"] = {"compromised-pods": ["approvers"]}
        case "nobody":
            world.settings["users"] = {}
    assert environment["SLACK_APP_TOKEN"]
    done = world.irkit("slack", "setup")
    assert re.sub(r"\s+", " ", done.stdout).count(said) == 1, done.stdout + done.stderr
    assert (done.returncode, done.stderr) == (code, "")
    assert "xapp-1" not in done.stdout
    assert "xoxb-1" not in done.stdout


@pytest.mark.parametrize("command", ["setup", ""])
def test_tokens_that_are_not_set_are_said(world: World, command: str) -> None:
    import subprocess
    import sys

    for name, like in (("SLACK_APP_TOKEN", "xapp-"), ("SLACK_BOT_TOKEN", "xoxb-")):
        for value in ("", "xoxp-secret"):
            words = [sys.executable, "-m", "irkit", "slack", *([command] if command else [])]
            done = subprocess.run(words, env={**world.environment, name: value}, capture_output=True, text=True, timeout=30)
            assert done.returncode == 2
            assert f"{name} is not set to a token that begins with {like}" in done.stdout + done.stderr
            assert "secret" not in done.stdout + done.stderr


def test_a_workspace_that_is_not_the_settings_one_is_refused_at_the_start(world: World) -> None:
    world.settings["team"] = "T0ELSE"
    done = world.irkit("slack")
    assert done.returncode == 8
    assert "the tokens are of workspace T0TEAM, and slack.team is T0ELSE" in done.stderr


def test_settings_without_a_workspace_are_refused_at_the_start(world: World) -> None:
    world.settings = {}
    done = world.irkit("slack")
    assert done.returncode == 2
    assert "the settings name no workspace: slack.team" in done.stderr


def test_nobody_who_may_approve_is_said(slack: Server) -> None:
    from irkit.adapters.slack import SlackChat
    from irkit.adapters.slackhost import base

    chat = SlackChat(slack.tokens["app"], slack.tokens["bot"], base({"IRKIT_SLACK_BASE_URL": slack.address}))
    settings = Settings(slack=msgspec.convert({**SETTINGS, "approvers": {}}, SlackSettings))
    assert "nobody may approve in Slack (slack.approvers): irkit approve at a terminal does" in [f.text for f in examine(chat, settings)]
