"""TLS: whose certificate is believed, what is shown to the server, and the sentence when it fails."""

from __future__ import annotations

import base64
import glob
import os
import ssl
import tempfile
from pathlib import Path

import pytest

from irkit.adapters import tls
from irkit.errors import IrkitError, KubeconfigError, UnreachableError
from irkit.model.kube import PODS, ObjectRef
from tests.adapters.pki import Pki, encrypted, served
from tests.adapters.proxy import Proxy
from tests.adapters.scripted import Scripted, answer, cluster_at
from tests.adapters.test_execplugin import program
from tests.clocks import StepClock

POD = ObjectRef(resource=PODS, name="web", namespace="shop")
OK = answer(body={"kind": "Pod"})


def test_the_authority_of_the_kubeconfig_is_believed(tmp_path: Path, pki: Pki) -> None:
    with Scripted((OK,), served(pki.server)) as server:
        assert cluster_at(tmp_path, server.url, cluster=pki.ours.cluster).get(POD) == {"kind": "Pod"}
        (tmp_path / "ca.pem").write_bytes(b"some words\n" + pki.ours.pair.certificate.read_bytes())
        assert cluster_at(tmp_path, server.url, cluster={"certificate-authority": "ca.pem"}).get(POD) == {"kind": "Pod"}
    assert server.connections == 2


def refused(directory: Path, server: Scripted, **more: object) -> IrkitError:
    clock = StepClock()
    with pytest.raises(UnreachableError) as caught:
        cluster_at(directory, server.url, clock=clock, **more).get(POD)  # type: ignore[arg-type]
    assert clock.slept == [], "a certificate does not get better by waiting"
    assert "\n" not in caught.value.message
    return caught.value


def test_another_authority(tmp_path: Path, pki: Pki) -> None:
    with Scripted((OK,), served(pki.server)) as server:
        for cluster in (pki.others.cluster, {}):
            error = refused(tmp_path, server, cluster=cluster)
            assert error.message.startswith(f"the certificate of {server.url} is from another authority than the kubeconfig's")
    assert server.requests == [], "no token was sent to somebody else"


def test_another_name(tmp_path: Path, pki: Pki) -> None:
    with Scripted((OK,), served(pki.stray)) as server:
        error = refused(tmp_path, server, cluster=pki.ours.cluster)
        assert error.message == f"the certificate of {server.url} is not for 127.0.0.1"
        assert "tls-server-name" in error.next
        named = {**pki.ours.cluster, "tls-server-name": "other.example"}
        assert cluster_at(tmp_path, server.url, cluster=named).get(POD) == {"kind": "Pod"}
        assert "is not for else.example" in refused(tmp_path, server, cluster={**named, "tls-server-name": "else.example"}).message


def test_an_expired_certificate(tmp_path: Path, pki: Pki) -> None:
    with Scripted((OK,), served(pki.old)) as server:
        assert refused(tmp_path, server, cluster=pki.ours.cluster).message == f"the certificate of {server.url} has expired"


def test_no_check_where_that_was_asked_for(tmp_path: Path, pki: Pki) -> None:
    with Scripted((OK,), served(pki.old)) as server:
        cluster = cluster_at(tmp_path, server.url, cluster={"insecure-skip-tls-verify": True})
        assert cluster.get(POD) == {"kind": "Pod"}
        assert "is not checked" in cluster.about.warnings[0]


def test_an_anchor_need_not_be_a_root(tmp_path: Path, pki: Pki) -> None:
    """Go, and so kubectl, believes any certificate that the kubeconfig gives, the server's own too."""
    own = {"certificate-authority-data": base64.b64encode(pki.server.certificate.read_bytes()).decode()}
    with Scripted((OK,), served(pki.server)) as server:
        assert cluster_at(tmp_path, server.url, cluster=own).get(POD) == {"kind": "Pod"}


def test_a_server_without_tls(tmp_path: Path, pki: Pki) -> None:
    with Scripted((OK,)) as server, pytest.raises(UnreachableError, match="does not speak TLS"):
        cluster_at(tmp_path, server.url.replace("http:", "https:"), cluster=pki.ours.cluster).get(POD)


def test_a_client_certificate_as_data_and_as_file(tmp_path: Path, pki: Pki) -> None:
    files = {"client-certificate": str(pki.client.certificate), "client-key": os.path.relpath(pki.client.key, tmp_path)}
    with Scripted((OK,), served(pki.server, clients=pki.ours)) as server:
        for user in (pki.client.user, files):
            assert cluster_at(tmp_path, server.url, cluster=pki.ours.cluster, user=user).get(POD) == {"kind": "Pod"}
        assert "authorization" not in server.requests[0].headers


def test_a_client_certificate_that_is_missing_or_anothers(tmp_path: Path, pki: Pki) -> None:
    with Scripted((OK,), served(pki.server, clients=pki.ours)) as server:
        for user in ({"token": "t"}, pki.others.issue("mallory").user):
            clock = StepClock()
            with pytest.raises(UnreachableError) as caught:
                cluster_at(tmp_path, server.url, cluster=pki.ours.cluster, user=user, clock=clock, budget=1).get(POD)
            assert "refuses the client certificate" in caught.value.message or "broke" in caught.value.message


def test_the_key_leaves_no_descriptor_behind(tmp_path: Path, pki: Pki) -> None:
    with Scripted((OK,), served(pki.server, clients=pki.ours)) as server:
        cluster = cluster_at(tmp_path, server.url, cluster=pki.ours.cluster, user=pki.client.user)
        cluster.get(POD)
        cluster.close()
    links = [os.readlink(fd) for fd in glob.glob("/proc/self/fd/*") if os.path.lexists(fd)]  # noqa: PTH115, PTH207
    assert links
    assert not [link for link in links if "memfd:irkit" in link or "irkit-" in link.rpartition("/")[2]]


def test_the_key_leaves_no_file_behind_where_there_is_no_memory_file(pki: Pki) -> None:
    directory = Path(tempfile.gettempdir())
    before = set(directory.glob("irkit-*"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls._through_a_file(context, pki.client.certificate.read_bytes() + pki.client.key.read_bytes())
    with pytest.raises(ssl.SSLError):
        tls._through_a_file(context, b"no pem")
    assert set(directory.glob("irkit-*")) <= before


@pytest.mark.parametrize("wrong", ["no pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ""])
def test_certificates_that_are_none(tmp_path: Path, pki: Pki, wrong: str) -> None:
    data = base64.b64encode((wrong or " ").encode()).decode()
    with Scripted((OK,), served(pki.server)) as server:
        with pytest.raises(KubeconfigError, match="context here: the certificate authority is not a PEM certificate"):
            cluster_at(tmp_path, server.url, cluster={"certificate-authority-data": data}).get(POD)
        with pytest.raises(KubeconfigError, match="context here: the client certificate and its key are not a usable PEM pair"):
            cluster_at(tmp_path, server.url, cluster=pki.ours.cluster, user={**pki.client.user, "client-key-data": data}).get(POD)


def test_a_key_with_a_password_is_refused_and_not_asked_for(tmp_path: Path, pki: Pki) -> None:
    with Scripted((OK,), served(pki.server)) as server, pytest.raises(KubeconfigError, match="not a usable PEM pair"):
        cluster_at(tmp_path, server.url, cluster=pki.ours.cluster, user=encrypted(pki.client).user).get(POD)


def test_a_plugin_may_give_a_client_certificate_and_change_it(tmp_path: Path, pki: Pki) -> None:
    eve = pki.others.issue("eve")
    pairs = [[str(p.certificate), str(p.key)] for p in (eve, pki.client)]
    body = f"certificate, key = ({pairs!r})[min(call, 2) - 1]\n"
    body += "out(clientCertificateData=pathlib.Path(certificate).read_text(), clientKeyData=pathlib.Path(key).read_text())"
    program(tmp_path, body)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "command": "./plugin"}}
    with Scripted((answer(401), answer(body={"kind": "Pod"})), served(pki.server)) as server:
        assert cluster_at(tmp_path, server.url, cluster=pki.ours.cluster, user=user, environ=dict(os.environ)).get(POD) == {"kind": "Pod"}
    assert server.connections == 2, "another certificate needs another connection"


# proxies


def test_through_a_proxy_with_a_login(tmp_path: Path, pki: Pki) -> None:
    with Scripted((OK,), served(pki.server)) as server, Proxy("http", ("127.0.0.1", server.port)) as proxy:
        cluster = {**pki.ours.cluster, "tls-server-name": "kubernetes", "proxy-url": f"http://u:p%40w@127.0.0.1:{proxy.port}"}
        assert cluster_at(tmp_path, "https://api.example.test:6443", cluster=cluster).get(POD) == {"kind": "Pod"}
    assert proxy.asked == [("api.example.test", 6443)]
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"u:p@w") in proxy.heads[0]
    assert b"t0ken" not in b"".join(proxy.heads)


def test_through_the_proxy_of_the_environment(tmp_path: Path) -> None:
    with Scripted((OK,)) as server, Proxy("http", ("127.0.0.1", server.port)) as proxy:
        environ = {"HTTP_PROXY": f"127.0.0.1:{proxy.port}"}
        assert cluster_at(tmp_path, "http://[fd00::1]:6443", environ=environ).get(POD) == {"kind": "Pod"}
    assert proxy.asked == [("fd00::1", 6443)]


@pytest.mark.parametrize("login", ["", "u:pw@"])
def test_through_a_socks_proxy(tmp_path: Path, pki: Pki, login: str) -> None:
    with Scripted((OK,), served(pki.server)) as server, Proxy("socks5", ("127.0.0.1", server.port)) as proxy:
        cluster = {**pki.ours.cluster, "tls-server-name": "kubernetes", "proxy-url": f"socks5://{login}127.0.0.1:{proxy.port}"}
        assert cluster_at(tmp_path, "https://api.example.test", cluster=cluster).get(POD) == {"kind": "Pod"}
    assert proxy.asked == [("api.example.test", 443)]


def test_a_proxy_that_refuses(tmp_path: Path) -> None:
    with Proxy("http", answer=b"HTTP/1.1 407 \x1b[31mLog in\r\n\r\n") as proxy:
        with pytest.raises(UnreachableError) as caught:
            cluster_at(tmp_path, "https://api.example.test", cluster={"proxy-url": f"http://127.0.0.1:{proxy.port}"}).get(POD)
        assert caught.value.message == (
            "https://api.example.test:443 can't be reached through the proxy 127.0.0.1: the proxy answered 407 \\x1b[31mLog in"
        )
    with Proxy("socks5") as proxy, pytest.raises(UnreachableError, match="the SOCKS proxy refuses the password"):
        cluster_at(tmp_path, "https://api.example.test", cluster={"proxy-url": f"socks5://x:y@127.0.0.1:{proxy.port}"}).get(POD)
    with pytest.raises(UnreachableError, match=r"through the proxy 127\.0\.0\.1: Connection refused"):
        cluster_at(tmp_path, "https://api.example.test", cluster={"proxy-url": f"socks5://127.0.0.1:{proxy.port}"}).get(POD)


def test_a_host_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match=r"https://api\.invalid:443: the name of the host is not known"):
        cluster_at(tmp_path, "https://api.invalid").get(POD)
