"""The programs and servers that irkit asks about an image, and its probes: real ones on loopback, stand-ins for programs."""

from __future__ import annotations

import base64
import http.server
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from irkit.adapters import cosign, probes, scanner
from irkit.adapters.registry import resolve
from irkit.errors import ForbiddenError, IrkitError, NotFoundError, ScannerError, UnreachableError, UsageError
from irkit.model.image import parse
from irkit.settings.recovery import SignatureSettings
from tests.components.serving import serving
from tests.recovery.world import NEW, program, report

KEY = SignatureSettings(key="cosign.pub")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is first on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path / "bin"


def docker(tmp_path: Path, host: str, user: str = "puller", password: str = "canary-docker-7") -> Path:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"auths": {host: {"auth": auth}, "other.example": {"auth": "bm86bm8="}}}))
    return file


# names


@pytest.mark.parametrize(("text", "repository", "tag"), [
    ("nginx", "docker.io/library/nginx", ""),
    ("todo/backend:1", "docker.io/todo/backend", "1"),
    ("index.docker.io/todo/backend", "docker.io/todo/backend", ""),
    ("registry.example/todo/backend:1.4.2", "registry.example/todo/backend", "1.4.2"),
    ("registry.example:5000/a:b", "registry.example:5000/a", "b"),
    ("localhost/busybox:1", "localhost/busybox", "1"),
    ("[::1]:5000/a", "[::1]:5000/a", ""),
])  # fmt: skip
def test_a_name_is_taken_apart_as_docker_does(text, repository, tag):
    found = parse(f"{text}@sha256:{'0' * 64}")
    assert (found.repository, found.tag, found.digest) == (repository, tag, f"sha256:{'0' * 64}")
    assert parse(text).pinned(f"sha256:{'1' * 64}").endswith(f"@sha256:{'1' * 64}")
    assert parse(parse(text).pinned(f"sha256:{'1' * 64}")).repository == repository


@pytest.mark.parametrize("text", ["", "A", "-a", "a b", "a:", "a@sha256:12", "a@md5:" + "0" * 32, "http://a/b", "a//b", "a\n", "\x1b[2J", "a/" * 600])
def test_what_is_no_name_is_refused(text):
    with pytest.raises(UsageError, match="is no image"):
        parse(text)


# registries


@pytest.mark.parametrize("auth", ["", "basic", "bearer"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_tag_is_resolved(registry, tmp_path, auth, tls):
    found = registry(auth=auth, user="puller" if auth else "", password="canary-docker-7" if auth else "", tls=tls)
    digest = found.push("todo/backend", "1.5.0", "linux/amd64", "linux/arm64")
    assert resolve(f"{found.host}/todo/backend:1.5.0", 5, docker(tmp_path, found.host)) == digest
    assert resolve(f"{found.host}/todo/backend@{digest}", 5, docker(tmp_path, found.host)) == digest


def test_public_tokens_need_no_login(registry, tmp_path):
    found = registry(auth="bearer")
    digest = found.push("a", "1")
    assert resolve(f"{found.host}/a:1", 5, tmp_path / "none") == digest


def test_what_a_registry_refuses_is_one_sentence(registry, tmp_path):
    found = registry(auth="basic", user="puller", password="canary-docker-7")
    found.push("a", "1")
    wrong = docker(tmp_path, found.host, password="canary-wrong-8")
    for config in (wrong, tmp_path / "none"):
        with pytest.raises(ForbiddenError) as refused:
            resolve(f"{found.host}/a:1", 5, config)
        assert "canary" not in str(refused.value)
    good = docker(tmp_path, found.host)
    with pytest.raises(NotFoundError, match="has no image"):
        resolve(f"{found.host}/a:2", 5, good)
    for status in (429, 500, 302):
        found.faults.append((status, {}))
        with pytest.raises(IrkitError):
            resolve(f"{found.host}/a:1", 5, good)


def test_a_server_that_is_not_there_or_a_file_that_is_none(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(UnreachableError, match="can't be reached"):
            resolve(f"127.0.0.1:{taken.getsockname()[1]}/a:1", 2, tmp_path / "none")
    (tmp_path / "bad").write_text("[")
    with pytest.raises(UsageError, match="not a Docker configuration"):
        resolve("127.0.0.1:1/a:1", 2, tmp_path / "bad")


# programs


def test_trivys_report_is_read(path):
    program(path, "trivy", report(("CVE-1", "CRITICAL"), ("CVE-2", "HIGH"), ("CVE-3", "NEGLIGIBLE")))
    found = scanner.scan(NEW, 5)
    assert found is not None
    assert [(v.id, v.severity) for v in found.found] == [("CVE-1", "critical"), ("CVE-2", "high"), ("CVE-3", "unknown")]
    assert (path / "trivy.argv").read_text().splitlines()[-1] == NEW


@pytest.mark.parametrize(("printed", "code", "kind", "words"), [
    ("", 1, ScannerError, "trivy ended with 1: db gone"), ("not JSON", 0, ScannerError, "not its report"), ("[]", 0, ScannerError, "not its report"),
    ({"Results": []}, 0, ScannerError, "not its report"),
])  # fmt: skip
def test_a_scanner_that_fails_is_one_sentence(path, printed, code, kind, words):
    program(path, "trivy", printed, code, "db gone")
    with pytest.raises(kind, match=words):
        scanner.scan(NEW, 5)


def test_a_scanner_that_hangs_is_ended(path):
    program(path, "trivy", seconds=60)
    with pytest.raises(UnreachableError, match="took longer than"):
        scanner.scan(NEW, -4.5)


def test_a_scanner_killed_by_the_kernel_says_so(path):
    file = program(path, "trivy")
    file.write_text("#!/bin/sh\nkill -9 $$\n")
    with pytest.raises(ScannerError, match="was ended by signal 9"):
        scanner.scan(NEW, 5)


def test_no_program_is_none(path):
    assert scanner.scan(NEW, 5) is None
    assert cosign.signed(NEW, KEY, 5) is None


def test_cosign(path):
    program(path, "cosign", [{"critical": {}}])
    found = cosign.signed(NEW, KEY, 5)
    assert found is not None
    assert found.why_not == ""
    assert (path / "cosign.argv").read_text().splitlines() == ["verify", "--key", "cosign.pub", "--output", "json", NEW]
    program(path, "cosign", "", 10, "Error: no signatures found")
    found = cosign.signed(NEW, SignatureSettings(identity="https://ci", issuer="https://oidc"), 5)
    assert found is not None
    assert found.why_not
    program(path, "cosign", "", 1, "no such host")
    with pytest.raises(ScannerError, match="no such host"):
        cosign.signed(NEW, KEY, 5)


# probes


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(int(self.path.rpartition("/")[2]))
        self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def server() -> Iterator[str]:
    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)) as host:
        yield host


@pytest.mark.parametrize("status", [200, 204, 302, 404, 503])
def test_a_probe_tells_the_status_and_follows_nothing(server, status):
    assert probes.get(f"http://{server}/health/{status}", 5) == status


def test_probes_that_get_no_answer(server):
    host, _, port = server.rpartition(":")
    probes.connect(host, int(port), 5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = taken.getsockname()[1]
        for ask in (lambda: probes.connect("127.0.0.1", closed, 2), lambda: probes.get(f"http://127.0.0.1:{closed}/", 2),
                    lambda: probes.get(f"https://{server}/200", 2)):  # fmt: skip
            with pytest.raises(UnreachableError):
                ask()
