"""From an entry of a kubeconfig to a server, a trust, a credential."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from irkit.adapters import kubeconfig
from irkit.adapters.access import Access, Endpoint
from irkit.errors import KubeconfigError

SECRET = "hunter2-hunter2"


def load(
    directory: Path, cluster: Mapping[str, Any] | None = None, user: Mapping[str, Any] | None = None, context: str = "", **environ: str
) -> Access:
    document = {
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": "https://10.0.0.1:6443", **(cluster or {})}}],
        "users": [{"name": "me", "user": dict(user or {})}],
        "contexts": [
            {"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "shop"}},
            {"name": "anonymous", "context": {"cluster": "here"}},
            {"name": "broken", "context": {"cluster": "nowhere", "user": "me"}},
            {"name": "nobody", "context": {"cluster": "here", "user": "them"}},
        ],
    }
    file = directory / "config"
    file.write_text(json.dumps(document))
    return kubeconfig.load(str(file), context, environ)


def test_what_people_are_shown(tmp_path: Path) -> None:
    about = load(tmp_path, {"server": "https://user:pw@API.example.com/k8s/c-1/"}, {"token": "t"}).about
    assert (about.context, about.server, about.namespace, about.user, about.warnings) == (
        "here", "https://api.example.com:443/k8s/c-1", "shop", "me", ())  # fmt: skip
    insecure = load(tmp_path, {"insecure-skip-tls-verify": True}, context="anonymous")
    assert insecure.trust.insecure
    assert insecure.about.namespace == "default"
    assert insecure.about.warnings == (
        "the certificate of the API server is not checked (insecure-skip-tls-verify): it may be anybody's",
        f"context anonymous in {tmp_path / 'config'} names no user: requests are anonymous",
    )
    assert "not encrypted" in load(tmp_path, {"server": "http://h:8001"}).about.warnings[0]


@pytest.mark.parametrize(
    ("server", "endpoint"),
    [
        ("https://h", Endpoint(True, "h", 443)),
        ("http://h/", Endpoint(False, "h", 80)),
        ("https://[::1]:6443", Endpoint(True, "::1", 6443)),
        ("https://h:1/a b/%2F/", Endpoint(True, "h", 1, "/a%20b/%2F")),
    ],
)
def test_the_server(tmp_path: Path, server: str, endpoint: Endpoint) -> None:
    assert load(tmp_path, {"server": server}).endpoint == endpoint


@pytest.mark.parametrize("server", ["", "h:6443", "ftp://h", "https://", "https://h:port", "https://h:99999", "https://[::1"])
def test_a_server_that_is_none(tmp_path: Path, server: str) -> None:
    with pytest.raises(KubeconfigError, match=r"^cluster here in .*config: server "):
        load(tmp_path, {"server": server})


def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match=r"^context broken in .*: no cluster 'nowhere' in .*; there is here$"):
        load(tmp_path, context="broken")
    with pytest.raises(KubeconfigError, match=r"^context nobody in .*: no user 'them' in .*; there is me$"):
        load(tmp_path, context="nobody")
    with pytest.raises(KubeconfigError, match=r"^--context: no context 'her' in .*; there is here"):
        load(tmp_path, context="her")
    file = tmp_path / "without"
    file.write_text(json.dumps({"contexts": [{"name": "one", "context": {}}]}))
    with pytest.raises(KubeconfigError, match=r"no current-context, and --context is not given; contexts: one"):
        kubeconfig.load(str(file), "", {})


def test_the_ways_to_be_somebody(tmp_path: Path) -> None:
    def header(**user: object) -> str:
        return load(tmp_path, user=user).credentials.current().authorization

    assert header(token="abc\n") == "Bearer abc"
    assert header(username="a", password="b") == "Basic " + base64.b64encode(b"a:b").decode()
    assert header(token="abc", username="a") == "Bearer abc"
    assert header() == ""
    assert header(token=12345) == "Bearer 12345"


def test_a_token_file_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    source = load(tmp_path, user={"tokenFile": "token", "token": "fallback"}).credentials
    assert source.current().authorization == "Bearer one"
    one = source.current()
    assert source.renew(one) is False
    (tmp_path / "token").write_text("two")
    assert source.renew(one) is True
    assert source.current().authorization == "Bearer two"
    (tmp_path / "token").unlink()
    assert source.current().authorization == "Bearer fallback"
    assert source.renew(source.current()) is False
    alone = load(tmp_path, user={"tokenFile": "token"}).credentials
    with pytest.raises(KubeconfigError, match=r"token file .*/token: No such file"):
        alone.current()
    (tmp_path / "token").write_text(" \n")
    with pytest.raises(KubeconfigError, match="is empty"):
        alone.current()


@pytest.mark.parametrize("token", [f"{SECRET}\r\nX-Evil: 1", f"{SECRET} x", f"{SECRET}ü", f"{SECRET}\x00"])
def test_a_token_that_no_header_carries_is_not_shown(tmp_path: Path, token: str) -> None:
    with pytest.raises(KubeconfigError, match="characters that no token has") as caught:
        load(tmp_path, user={"token": token})
    assert SECRET not in "".join(traceback.format_exception(caught.value, limit=0))


def test_half_a_client_certificate(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="client-certificate and client-key go together"):
        load(tmp_path, user={"client-key-data": base64.b64encode(b"key").decode()})


def test_trust_is_asked_for_once(tmp_path: Path) -> None:
    authority = {"certificate-authority-data": base64.b64encode(b"pem").decode()}
    assert load(tmp_path, {**authority, "tls-server-name": "kubernetes"}).trust.server_name == "kubernetes"
    with pytest.raises(KubeconfigError, match="which is meant"):
        load(tmp_path, {**authority, "insecure-skip-tls-verify": True})


def test_impersonation_is_refused_where_no_header_carries_it(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="Impersonate-User has characters"):
        load(tmp_path, user={"as": "a\r\nb"})
    with pytest.raises(KubeconfigError, match="must be a list"):
        load(tmp_path, user={"as-groups": "a"})


@pytest.mark.parametrize(
    ("cluster", "environ", "proxy"),
    [
        ({}, {}, ""),
        ({"proxy-url": "http://p:3128"}, {"NO_PROXY": "*"}, "http://p:3128"),
        ({"proxy-url": "socks5://p"}, {"HTTPS_PROXY": "http://other"}, "socks5://p"),
        ({}, {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ({}, {"https_proxy": "p:1"}, "http://p:1"),
        ({}, {"HTTP_PROXY": "http://p:1"}, ""),
        ({"server": "http://api.example.com"}, {"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://q:1"}, "http://p:1"),
        ({}, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, ""),
        ({}, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.1:6443"}, ""),
        ({}, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.1:443, 11.0.0.0/8,example.com"}, "http://p:1"),
        ({"server": "https://api.example.com"}, {"HTTPS_PROXY": "http://p:1", "no_proxy": "example.com"}, ""),
        ({"server": "https://example.com"}, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".example.com"}, "http://p:1"),
        ({"server": "https://a.example.com"}, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": " *.example.com "}, ""),
        ({"server": "https://badexample.com"}, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com"}, "http://p:1"),
        ({"server": "https://localhost:6443"}, {"HTTPS_PROXY": "http://p:1"}, ""),
        ({"server": "https://127.0.0.1:6443"}, {"HTTPS_PROXY": "http://p:1"}, ""),
        ({"server": "https://[::1]:6443"}, {"HTTPS_PROXY": "http://p:1"}, ""),
        ({"server": "https://[fd00::1]:6443"}, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "fd00::/8"}, ""),
    ],
)
def test_which_proxy(tmp_path: Path, cluster: dict[str, str], environ: dict[str, str], proxy: str) -> None:
    assert load(tmp_path, cluster, None, "", **environ).proxy == proxy


@pytest.mark.parametrize("proxy", ["https://p:1", "p:1", "http://", f"http://u:{SECRET}@p:port", f"ftp://u:{SECRET}@p"])
def test_a_proxy_that_is_none(tmp_path: Path, proxy: str) -> None:
    with pytest.raises(KubeconfigError, match="prox") as caught:
        load(tmp_path, {"proxy-url": proxy})
    assert SECRET not in str(caught.value)


def test_no_password_of_a_proxy_in_a_repr(tmp_path: Path) -> None:
    access = load(tmp_path, {"proxy-url": f"http://u:{SECRET}@p:1"}, {"token": SECRET})
    assert SECRET not in f"{access!r} {access.credentials.current()!r} {access.about!r}"


# without a kubeconfig


def account(directory: Path) -> Path:
    directory.mkdir()
    for name, text in (("token", "one"), ("ca.crt", "pem"), ("namespace", "ops\n")):
        (directory / name).write_text(text)
    return directory


def test_inside_a_pod(tmp_path: Path) -> None:
    mounted = account(tmp_path / "sa")
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    access = kubeconfig.load("", "", environ, service_account=mounted, home=tmp_path)
    assert (access.about.context, access.about.server, access.about.namespace) == ("in-cluster", "https://[fd00::1]:6443", "ops")
    assert access.trust.authority == b"pem"
    assert access.credentials.current().authorization == "Bearer one"
    (mounted / "token").write_text("two")
    assert access.credentials.current().authorization == "Bearer two"
    with pytest.raises(KubeconfigError, match="there are no contexts"):
        kubeconfig.load("", "prod", environ, service_account=mounted, home=tmp_path)
    (mounted / "ca.crt").unlink()
    with pytest.raises(KubeconfigError, match=r"ServiceAccount .*ca\.crt: No such file"):
        kubeconfig.load("", "", environ, service_account=mounted, home=tmp_path)


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match=r"^no kubeconfig: neither --kubeconfig nor KUBECONFIG names one, and there is no .*/\.kube/config$"):
        kubeconfig.load("", "", {}, service_account=tmp_path, home=tmp_path)
    with pytest.raises(KubeconfigError, match="no kubeconfig"):
        kubeconfig.load("", "", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, service_account=tmp_path, home=tmp_path)
    with pytest.raises(KubeconfigError, match=r"kubeconfig .*/gone: no such file"):
        kubeconfig.load(str(tmp_path / "gone"), "", {})


def test_the_default_file(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / ".kube").mkdir()
    (tmp_path / "config").rename(tmp_path / ".kube" / "config")
    environ = {"KUBERNETES_SERVICE_HOST": "10.9.9.9", "HOME": str(tmp_path)}
    assert kubeconfig.load("", "", environ, service_account=account(tmp_path / "sa")).about.context == "here"
