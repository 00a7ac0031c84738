"""Two listeners on a real node: what comes by webhook and from Slack becomes a Job, and one that ends is replaced."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from irkit import wiring
from irkit.model.order import Held
from tests.adapters.pki import Pair, served
from tests.controlplane import place
from tests.controlplane.cluster import make_ca, make_certificate
from tests.controlplane.running import Obj
from tests.deploy.chart import NAMESPACE
from tests.deploy.site import Site, checked, contained, described, started
from tests.slack.people import ANN, BOB, People
from tests.slack.server import APP, BOT, Server
from tests.slack.tlsfront import fronted
from tests.slack.world import said, until

pytestmark = pytest.mark.node
KEY = b"the key that falcosidekick signs with"


@dataclass
class Listeners:
    trust: ssl.SSLContext
    slack: Server


@pytest.fixture(scope="module")
def listeners(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listeners]:
    """Two listeners that run and are ready, with keys and tokens."""
    pki = tmp_path_factory.mktemp("pki")
    make_ca(pki)
    make_certificate(pki, "tls", "/CN=irkit-listener", f"subjectAltName=DNS:irkit-listener.irkit-system.svc,IP:{place.HOST_IP}")
    files = {name: (pki / name).read_bytes() for name in ("tls.crt", "tls.key", "ca.crt")}
    site.plane.apply(secret("irkit-webhooks", {**files, "falco": KEY}))
    site.plane.apply(secret("irkit-slack", {"SLACK_APP_TOKEN": APP.encode(), "SLACK_BOT_TOKEN": BOT.encode()}))
    with Server() as slack, fronted(slack, served(Pair(pki / "tls.crt", pki / "tls.key")), place.HOST_IP, 443):
        site.plane.kubectl("scale", "deployment/irkit-listener", "-n", NAMESPACE, "--replicas=2")
        try:
            done = site.plane.kubectl("rollout", "status", "deployment/irkit-listener", "-n", NAMESPACE, "--timeout=60s", check=False)
            assert done.returncode == 0, done.stderr + logged(site)
            yield Listeners(ssl.create_default_context(cafile=pki / "ca.crt"), slack)
            assert slack.violations == []
        finally:
            site.plane.kubectl("scale", "deployment/irkit-listener", "-n", NAMESPACE, "--replicas=0")


def secret(name: str, files: dict[str, bytes]) -> Obj:
    data = {key: base64.b64encode(content).decode() for key, content in files.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data}


def logged(site: Site) -> str:
    return site.plane.kubectl("logs", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=listener", "--tail=60", check=False).stdout


def listening(site: Site) -> list[Obj]:
    return site.plane.pods(NAMESPACE, "app.kubernetes.io/component=listener")


def alert(site: Site, trust: ssl.SSLContext, address: str, pod: str, key: bytes = KEY) -> int:
    """What Falco says of a pod, signed; the status of the answer."""
    fields = {"k8s.ns.name": site.namespace, "k8s.pod.name": pod, "proc.cmdline": "sh -c uptime"}
    event = {"rule": "Terminal shell in container", "priority": "Critical", "output": "A shell was spawned", "output_fields": fields}
    body, now = json.dumps(event).encode(), str(int(time.time()))
    signature = hmac.new(key, f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    request = urllib.request.Request(f"https://{address}:8443/hooks/falco", body, {"Irkit-Signature": f"t={now},v1={signature}"})
    trust.check_hostname = False  # it is asked by its pod's address; the certificate is the Service's
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    try:
        with opener.open(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def done_about(site: Site, pod: str, seconds: float) -> Held:
    """The one order about a pod, when it is over."""
    ports = wiring.ports(site.configured, lambda event: None)
    orders = wiring.orders(site.configured, ports.cluster)
    until = time.monotonic() + seconds
    while True:
        found = [h for h in orders.list() if h.order.target == pod]
        assert len(found) <= 1
        if found and found[0].status.over:
            return found[0]
        assert time.monotonic() < until, (found, logged(site), described(site))
        time.sleep(0.1)


def told(site: Site, slack: Server, word: str, order: str = "", seconds: float = 60) -> Obj:
    """The message in a thread that says so (of that order)."""
    found: Obj = until(
        lambda: next((m for m in list(slack.messages.values()) if m.get("thread_ts") and word in said(m) and order in said(m)), None), seconds,
        lambda: f"{[said(m) for m in slack.messages.values()]} {slack.whispers} {logged(site)} {described(site)}",
    )  # fmt: skip
    return found


def whispered(site: Site, slack: Server, word: str) -> Obj:
    found: Obj = until(lambda: next((w for w in list(slack.whispers) if word in said(w)), None), 20, lambda: f"{slack.whispers} {logged(site)}")
    return found


def test_a_command_in_slack_becomes_evidence_once(site: Site, listeners: Listeners, capsys: pytest.CaptureFixture[str]) -> None:
    slack, people = listeners.slack, People(listeners.slack)
    one, other = slack.connections(2)
    payload, times, sent = people.slash("collect web-5"), dict[str, float](), slack.now()
    times["acknowledged"] = slack.deliver("slash_commands", payload, to=one).seconds
    again = slack.deliver("slash_commands", payload, to=other, attempt=1)  # as Slack does where it saw no acknowledgement
    for what, look in {
        "first message": lambda: slack.messages,
        "first artefact": lambda: list(site.volume.glob("incidents/*web-5*/bags/1/data/pods/*/*/*")),
        "told that it is done": lambda: [m for m in list(slack.messages.values()) if "is done" in said(m)],
    }.items():
        until(look, 60, lambda: f"{[said(m) for m in slack.messages.values()]} {slack.whispers} {logged(site)} {described(site)}")
        times[what] = slack.now() - sent
    with capsys.disabled():
        print("\n/irkit collect on a real node: " + ", ".join(f"{what} {seconds * 1000:.0f} ms" for what, seconds in times.items()))
    assert max(times["acknowledged"], again.seconds) < 0.3
    held = done_about(site, "web-5", 5)
    assert (held.status.state, held.status.begun, held.order.origin.door, held.order.origin.sender) == ("done", 1, "slack", ANN)
    root, message = slack.messages.values()
    assert message["thread_ts"] == root["ts"]
    assert held.status.ended is not None
    assert held.status.ended.artefacts > 10
    assert f"{held.status.ended.artefacts} artefacts of evidence" in said(message)
    assert held.status.ended.manifest in said(message)
    checked(site, held)
    people.types("status")
    assert whispered(site, slack, "web-5")["by"] == "url"


def test_a_containment_waits_for_another_persons_button_and_is_carried_out_once(
    site: Site, listeners: Listeners, capsys: pytest.CaptureFixture[str]
) -> None:
    slack, people, pod = listeners.slack, People(listeners.slack), started(site, "cart")
    sent = slack.now()
    people.types(f"contain {pod}")
    message, planned = told(site, slack, "waits for approval"), slack.now()
    assert "scale Deployment" in said(message)
    people.presses(message, "irkit-approve", user=ANN)
    whispered(site, slack, "in none of the groups")
    press, pressed = people.click(message, "irkit-approve", user=BOB), slack.now()
    for number, connection in enumerate(slack.connections(2)):
        slack.deliver("interactive", press, accepts=False, to=connection, attempt=number)
    told(site, slack, "is done", pod)
    with capsys.disabled():
        print(f"\n/irkit contain on a real node: plan shown {planned - sent:.2f} s after it was asked for, done {slack.now() - pressed:.2f} s "
              "after it was approved")  # fmt: skip
    held = done_about(site, pod, 5)
    assert (held.status.state, held.order.playbook, [d.by.sender for d in held.status.decisions]) == ("done", "compromised-pod", [BOB])
    assert f"approved by <@{BOB}>" in said(message)
    contained(site, "cart", held)
    checked(site, held)


def test_packets_go_only_where_they_must(site: Site, listeners: Listeners) -> None:
    """The NetworkPolicies by packets: in from who may send webhooks, out to the API server and to Slack."""
    one, pod = listening(site)[0], site.plane.get("pod", "web-1", "-n", site.namespace)["status"]["podIP"]
    name, address = one["metadata"]["name"], one["status"]["podIP"]
    reach = ("exec", "web-1", "-n", site.namespace, "--", "nc", "-w", "2", address, "8443")
    assert site.plane.kubectl(*reach, check=False).returncode != 0, "a pod that may not send reached the listener"
    with socket.create_connection((address, 8443), 5):
        pass  # this machine may

    def outcome(host: str, port: int) -> str:
        program = f"import socket\ntry: socket.create_connection(('{host}', {port}), 2); print('open')\nexcept OSError as e: print(type(e).__name__)"
        return site.plane.kubectl("exec", name, "-n", NAMESPACE, "--", "/usr/bin/python3.11", "-I", "-c", program).stdout.strip()

    assert outcome(place.API_IP, 443) == "open"
    assert outcome(place.HOST_IP, 443) == "open"
    assert outcome(pod, 443) == "TimeoutError", "nothing answers there, but a packet that arrives is refused at once"


def test_an_alert_that_is_signed_becomes_evidence_and_a_listener_that_ends_is_replaced(site: Site, listeners: Listeners) -> None:
    addresses = [p["status"]["podIP"] for p in listening(site)]
    assert alert(site, listeners.trust, addresses[0], "web-3", b"another key") == 401
    assert [alert(site, listeners.trust, address, "web-3") for address in addresses] == [202, 200]  # one event, delivered twice
    held = done_about(site, "web-3", 60)
    assert held.status.state == "done", (held, logged(site), described(site))
    assert (held.order.origin.door, held.order.origin.sender, held.order.rule) == ("webhook", "falco", "evidence")
    checked(site, held)

    leader = site.plane.get("lease", "irkit-listener", "-n", NAMESPACE)["spec"]["holderIdentity"].partition("_")[0]
    (other,) = (p["status"]["podIP"] for p in listening(site) if p["metadata"]["name"] != leader)
    site.plane.kubectl("delete", "pod", leader, "-n", NAMESPACE, "--grace-period=0", "--force")
    assert alert(site, listeners.trust, other, "web-4") == 202
    held = done_about(site, "web-4", 45)
    assert held.status.state == "done", (held, logged(site), described(site))
    checked(site, held)
