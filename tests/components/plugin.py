"""pytest fixtures: the servers that irkit talks to, each a real one or a small one that keeps what it was asked."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # imported when a test asks for them: their clients take half a second, and some platforms have none
    from tests.components.browser import Browser
    from tests.components.openbao import OpenBao
    from tests.components.postgres import Postgres
    from tests.components.registry import Registry
    from tests.components.s3 import Store
    from tests.components.smtp import Mailbox
    from tests.components.webhook import Webhook


@pytest.fixture(scope="session")
def openbao() -> Iterator[OpenBao]:
    """One OpenBao a test run. Don't seal it."""
    with contextlib.ExitStack() as stack:
        yield _run(stack, "openbao")


@pytest.fixture
def kv_mount(openbao: OpenBao) -> str:
    """A KV v2 engine of the test's own."""
    return openbao.kv()


@pytest.fixture
def own_openbao() -> Iterator[Callable[..., OpenBao]]:
    """``own_openbao(tls=False)``: a server of the test's own, to be sealed or ended."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: _run(stack, "openbao", **options)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL a test run."""
    with contextlib.ExitStack() as stack:
        yield _run(stack, "postgres")


@pytest.fixture
def mailbox() -> Iterator[Callable[..., Mailbox]]:
    """``mailbox(starttls=False, login=None, refuse={})``: a mail server of the test's own."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: _run(stack, "smtp", **options)


@pytest.fixture
def webhook() -> Iterator[Callable[..., Webhook]]:
    """``webhook(*scenes, tls=False)``: an HTTP sink of the test's own."""
    with contextlib.ExitStack() as stack:
        yield lambda *scenes, **options: _run(stack, "webhook", *scenes, **options)


@pytest.fixture
def registry() -> Iterator[Callable[..., Registry]]:
    """``registry(auth="", user="", password="", tls=False)``: an image registry of the test's own."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: _run(stack, "registry", **options)


@pytest.fixture(scope="session")
def object_store() -> Iterator[Store]:
    """One S3 server a test run, with TLS."""
    with contextlib.ExitStack() as stack:
        yield _run(stack, "s3", tls=True)


@pytest.fixture
def own_object_store() -> Iterator[Callable[..., Store]]:
    """``own_object_store(tls=False)``: a server of the test's own, to be stopped or ended."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: _run(stack, "s3", **options)


@pytest.fixture(scope="session")
def browser() -> Browser:
    """A real browser, where the machine has one."""
    from tests.components import browser as browsers

    found = browsers.find()
    if found is None:
        pytest.skip(f"no browser is on PATH ({', '.join(browsers.NAMES)}): apt-get install {browsers.PACKAGES}")
    return browsers.Browser(found)


def _run(stack: contextlib.ExitStack, component: str, *arguments: Any, **options: Any) -> Any:
    """What ``running`` of a component gives, until ``stack`` ends."""
    try:
        module = importlib.import_module(f"tests.components.{component}")
        return stack.enter_context(module.running(*arguments, **options))
    except (ImportError, OSError) as missing:
        pytest.skip(f"{component} can't run here: {missing}")
