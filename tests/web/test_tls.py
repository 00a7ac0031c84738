"""TLS, and clients' certificates: whose they are is what counts, not that there is one."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from irkit.adapters.httptls import Certificates
from irkit.errors import UsageError
from irkit.model.http import Bounds
from irkit.settings.serve import TlsSettings
from tests.adapters.pki import Authority, Pair, Pki, encrypted, made
from tests.clocks import StepClock
from tests.web.desk import Server, World, configured, firing, serving, token_settings

Begin = Callable[[Pair | None], ssl.SSLContext]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return made(tmp_path_factory.mktemp("pki"))


def tls(pki: Pki, clients: Authority | None = None) -> dict[str, str]:
    found = {"certificate": str(pki.server.certificate), "key": str(pki.server.key)}
    return {**found, "client-ca": str((clients or pki.ours).pair.certificate)}


def client(pki: Pki, shown: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pki.ours.pair.certificate))
    if shown is not None:
        context.load_cert_chain(shown.certificate, shown.key)
    return context


@contextmanager
def behind(tmp_path: Path, pki: Pki, shown: Pair | None, *names: str) -> Iterator[Server]:
    sources = {"am": {"format": "alertmanager", "mtls": {"names": list(names)}}, "open": token_settings(format="alertmanager")}
    world = World(configured(tmp_path, sources=sources, tls=tls(pki)))
    assert world.settings.serve.tls is not None
    with serving(world, tls=Certificates(world.settings.serve.tls).context, client=client(pki, shown)) as server:
        yield server


@pytest.mark.parametrize("name", ["CN=jane", "DNS=jane.example", "URI=spiffe://cluster/ns/falco/sa/falco"])
def test_a_certificate_that_names_the_sender_is_believed(tmp_path: Path, pki: Pki, name: str) -> None:
    jane = pki.ours.issue("jane", "DNS:jane.example", "URI:spiffe://cluster/ns/falco/sa/falco")
    with behind(tmp_path, pki, jane, "CN=other", name) as server:
        assert server.post("am", firing(), {}).status == 202
        assert server.world.held[0].order.origin.shown == name


def test_a_certificate_of_somebody_else_is_401(tmp_path: Path, pki: Pki) -> None:
    mallory = pki.ours.issue("mallory", "DNS:mallory.example")
    with behind(tmp_path, pki, mallory, "CN=jane") as server:
        answer = server.post("am", firing(), {})
        assert (answer.status, answer.document["error"]) == (401, "the client certificate is not one of this source: CN=mallory, DNS=mallory.example")
        assert server.world.held == []


def test_without_a_certificate_only_other_sources_are_open(tmp_path: Path, pki: Pki) -> None:
    with behind(tmp_path, pki, None, "CN=jane") as server:
        assert server.post("am", firing(), {}).document["error"] == "this source takes a client certificate, and none was shown"
        assert server.post("open", firing()).status == 202


def test_a_certificate_of_another_authority_and_an_expired_one_get_no_answer(tmp_path: Path, pki: Pki) -> None:
    for shown in (pki.others.issue("jane"), pki.ours.issue("late", days=-1)):
        with behind(tmp_path, pki, shown, "CN=jane", "CN=late") as server:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                server.post("am", firing(), {})
            assert server.world.said("no TLS with it")
            assert server.world.held == []


def test_a_certificate_that_expires_is_not_believed_any_more_on_a_connection_that_outlives_it(tmp_path: Path, pki: Pki) -> None:
    jane = pki.ours.issue("jane", days=1)
    with behind(tmp_path, pki, jane, "CN=jane") as server, server.connect() as sock:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.sock = sock
        answers = []
        for days in (0, 4000):
            assert isinstance(server.world.clock, StepClock)
            server.world.clock.sleep(days * 86400.0)
            connection.request("POST", "/hooks/am", json.dumps(firing()))
            reply = connection.getresponse()
            answers.append((reply.status, reply.read()))
        assert [status for status, _ in answers] == [202, 401]
        assert b"has expired" in answers[1][1]


def test_plain_http_to_a_tls_port_is_refused_and_hangs_nobody(tmp_path: Path, pki: Pki) -> None:
    with behind(tmp_path, pki, None, "CN=jane") as server:
        plain = Server(server.world, server.port)
        assert b"HTTP/1.1 2" not in plain.raw(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")


def test_a_handshake_that_never_comes_and_an_end_that_is_never_answered_hold_nothing(tmp_path: Path, pki: Pki) -> None:
    world = World(configured(tmp_path, tls=tls(pki)))
    assert world.settings.serve.tls is not None
    brief = Bounds(request=0.3, idle=0.3, connections=2, connections_per_peer=2, farewell=2.0)
    with serving(world, brief, tls=Certificates(world.settings.serve.tls).context, client=client(pki)) as server, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10)) for _ in range(2)]
        assert [sock.recv(1) for sock in silent] == [b"", b""]
        for _ in range(4):
            held = stack.enter_context(server.connect())  # says nothing, and never answers the end
            held.settimeout(10)
            assert held.recv(1) == b""
        assert server.ask("GET", "/metrics").status == 200


def settings(certificate: Path, key: Path, ca: Path | None = None) -> TlsSettings:
    return TlsSettings(certificate=certificate, key=key, client_ca=ca)


def test_a_certificate_that_cannot_be_used_is_one_sentence(tmp_path: Path, pki: Pki) -> None:
    nothing, text = tmp_path / "none.pem", tmp_path / "text.pem"
    text.write_text("no certificate\n")
    cases = [
        (settings(nothing, pki.server.key), r"serve\.tls\.certificate: there is no file"),
        (settings(pki.server.certificate, nothing), r"serve\.tls\.key: there is no file"),
        (settings(text, pki.server.key), "can't be used"),
        (settings(pki.server.certificate, pki.stray.key), "the key is not that of the certificate"),
        (settings(pki.server.certificate, encrypted(pki.server).key), "can't be used"),
        (settings(pki.server.certificate, pki.server.key, text), r"serve\.tls\.client-ca: .* can't be used"),
    ]
    for wrong, why in cases:
        with pytest.raises(UsageError, match=why) as caught:
            Certificates(wrong)
        assert "\n" not in caught.value.message


def test_a_new_certificate_is_read_while_it_serves_and_a_broken_one_is_not(tmp_path: Path, pki: Pki) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_bytes(pki.server.certificate.read_bytes())
    key.write_bytes(pki.server.key.read_bytes())
    world = World(configured(tmp_path, tls={"certificate": str(certificate), "key": str(key)}))
    assert world.settings.serve.tls is not None
    found = Certificates(world.settings.serve.tls)
    with serving(world, tls=found.context, client=client(pki)) as server:
        before = serial(server)
        assert not found.refresh()
        new = pki.ours.issue("renewed", "IP:127.0.0.1")
        certificate.write_bytes(new.certificate.read_bytes())
        with pytest.raises(UsageError, match="the key is not that of the certificate"):
            found.refresh()
        assert serial(server) == before
        key.write_bytes(new.key.read_bytes())
        assert found.refresh()
        assert serial(server) != before


def serial(server: Server) -> object:
    with server.connect() as sock:
        assert isinstance(sock, ssl.SSLSocket)
        shown = sock.getpeercert()
        assert shown is not None
        return shown["serialNumber"]
