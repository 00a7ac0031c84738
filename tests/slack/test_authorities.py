"""Slack behind a proxy that looks inside, or a Slack of one's own: whose certificates are trusted is said in the environment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.adapters.pki import Pki, made, served
from tests.adapters.proxy import Proxy
from tests.slack.server import Server
from tests.slack.tlsfront import fronted
from tests.slack.world import World


def setup(world: World, authorities: Path | None) -> tuple[int, str]:
    """``irkit slack setup``: its exit code, and what it said."""
    environment = {**world.environment, **({"SSL_CERT_FILE": str(authorities)} if authorities else {})}
    command = [sys.executable, "-m", "irkit", "slack", "setup"]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_a_slack_of_ones_own_authority_is_reached(slack: Server, tmp_path: Path) -> None:
    pki = made(tmp_path)
    with fronted(slack, served(pki.server), "127.0.0.1"), World(tmp_path, slack, cluster=False) as world:
        code, text = setup(world, pki.ours.pair.certificate)
    assert (code, "both tokens are good" in text) == (0, True), text


UNTRUSTED: dict[str, Callable[[Pki], Path | None]] = {"none": lambda pki: None, "another": lambda pki: pki.others.pair.certificate}


@pytest.mark.parametrize("named", UNTRUSTED)
def test_a_slack_of_no_authority_that_is_named_gets_no_token(named: str, slack: Server, tmp_path: Path) -> None:
    pki = made(tmp_path)
    with fronted(slack, served(pki.server), "127.0.0.1"), World(tmp_path, slack, cluster=False) as world:
        code, text = setup(world, UNTRUSTED[named](pki))
    assert (code, "is not trusted: unable to get local issuer certificate; SSL_CERT_FILE names" in text) == (7, True), text
    assert slack.calls == []


def test_a_slack_whose_certificate_is_for_another_name_gets_no_token(slack: Server, tmp_path: Path) -> None:
    pki = made(tmp_path)
    with fronted(slack, served(pki.stray), "127.0.0.1"), World(tmp_path, slack, cluster=False) as world:
        code, text = setup(world, pki.ours.pair.certificate)
    assert (code, "is not trusted: IP address mismatch" in text) == (7, True), text
    assert slack.calls == []


class Behind(World):
    """That World with more in the environment."""

    more: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **self.more}


def test_calls_socket_and_answers_go_through_the_proxy_by_tls(slack: Server, tmp_path: Path) -> None:
    pki = made(tmp_path)
    with fronted(slack, served(pki.ours.issue("slack", "DNS:slack.test")), "127.0.0.1"):
        front = int(slack.address.rpartition(":")[2])
        slack.address = "https://slack.test"  # a name that is nowhere (RFC 6761): only the proxy leads there
        with Proxy("http", ("127.0.0.1", front)) as proxy, Behind(tmp_path, slack) as world:
            world.more = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}", "SSL_CERT_FILE": str(pki.ours.pair.certificate)}
            irkit = world.starts()
            assert world.people.types("status").payload == {}
            assert world.whisper("")["by"] == "url"
            assert irkit.end() == 0
    assert set(proxy.asked) == {("slack.test", 443)}
    assert len(proxy.asked) >= 4, "two calls, the socket, the answer"
