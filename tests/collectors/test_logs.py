from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from irkit import collectors
from irkit.collectors.logs import without_excuse
from irkit.errors import ApiError, InvalidError, UnreachableError
from irkit.evidence.store import BagStore
from irkit.model.evidence import Artefact
from irkit.model.kube import PODS
from tests.collectors.world import KEY, POD, World, collected, scope, world

EXCUSE = b"unable to retrieve container logs for containerd://9295e63f0c1d"


def runs(status: dict[str, Any] | None, field: str = "containerStatuses", spec: str = "containers") -> list[str]:
    """Which logs are asked for, of a container with this status."""
    pod = {**POD, "spec": {spec: [{"name": "app"}]}, "status": {field: [{"name": "app", **status}]} if status is not None else {}}
    cluster = World(objects=[(PODS, pod)], logs_of={("app", False): [b""], ("app", True): [b""]})
    files, gaps = collected(cluster, ["logs"])
    assert gaps == {}
    return [path.rsplit("/", 1)[-1] for path in files]


ENDED = {"terminated": {"exitCode": 1}}


@pytest.mark.parametrize(
    ("status", "logs"),
    [
        (None, []),  # never scheduled
        ({"state": {"waiting": {"reason": "ImagePullBackOff"}}, "restartCount": 0}, []),
        ({"state": {"running": {}}, "restartCount": 0}, ["current.log"]),
        ({"state": {"running": {}}, "restartCount": 2}, ["current.log", "previous.log"]),
        ({"state": {"running": {}}, "restartCount": 2, "lastState": ENDED}, ["current.log", "previous.log"]),
        ({"state": ENDED, "restartCount": 0}, ["current.log"]),
        ({"state": ENDED, "restartCount": 3, "lastState": ENDED}, ["current.log", "previous.log"]),
        ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 3, "lastState": ENDED}, ["current.log", "previous.log"]),
        ({}, []),
        ({"state": None, "lastState": None}, []),
    ],
)
def test_which_runs_can_have_a_log(status, logs):
    assert runs(status) == logs


@pytest.mark.parametrize(("field", "spec"), [("initContainerStatuses", "initContainers"), ("ephemeralContainerStatuses", "ephemeralContainers")])
def test_other_containers_have_logs_too(field, spec):
    assert runs({"state": ENDED}, field, spec) == ["current.log"]


def test_the_kubelets_excuse_is_a_gap_and_no_log(tmp_path):
    cluster = world()
    cluster.logs_of["app", True] = [EXCUSE[:10], EXCUSE[10:]]
    cluster.logs_of["setup", False] = InvalidError("container setup is not valid", status=400)
    writer = BagStore(tmp_path / "bags").open(1)
    for piece in collectors.collect(scope(), ["logs"], cluster, KEY):
        assert isinstance(piece, Artefact)
        writer.add(piece)
    bag = writer.seal({})
    assert [(g.what, g.why, g.transient) for g in bag.gaps] == [
        ("logs of app in Pod shop/web-1 before its restart", f"the node has it no more: {EXCUSE.decode()}", False),
        ("logs of setup in Pod shop/web-1", "container setup is not valid", False),
    ]
    assert bag.artefacts == 1


@given(st.lists(st.binary(max_size=80), max_size=6))
def test_a_log_is_kept_as_received(chunks):
    assume(not b"".join(chunks).startswith((b"unable to retrieve container logs for ", b"failed to try resolving symlinks in path ")))
    assert b"".join(without_excuse(iter(chunks))) == b"".join(chunks)


@pytest.mark.parametrize(
    "log",
    [
        b"", b"u", b"unable", b"unable to retrieve coffee\n", b"2026-11-22T03:00:00Z " + EXCUSE + b"\n", EXCUSE + b"x" * 5000,
        b"2026-11-22T03:00:00Z \x1b[2J\x00\xff\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_what_only_looks_like_the_excuse_is_a_log(log, step):
    chunks = [log[n : n + step] for n in range(0, len(log), step)]
    assert b"".join(without_excuse(iter(chunks))) == log


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_the_excuse_in_any_pieces(step):
    with pytest.raises(ApiError, match="containerd://9295e63f0c1d"):
        list(without_excuse(iter([EXCUSE[n : n + step] for n in range(0, len(EXCUSE), step)])))


def test_a_connection_that_breaks_keeps_what_came(tmp_path):
    class Breaks(World):
        def logs(self, pod: Any, container: str, *, previous: bool = False) -> Any:
            from contextlib import contextmanager

            @contextmanager
            def broken() -> Any:
                def chunks() -> Any:
                    yield b"some\n"
                    raise UnreachableError("the connection was reset")

                yield chunks()

            return broken()

    writer = BagStore(tmp_path / "bags").open(1)
    for piece in collectors.collect(scope(), ["logs"], Breaks(world().objects), KEY):
        assert isinstance(piece, Artefact)
        writer.add(piece)
    bag = writer.seal({})
    assert (bag.artefacts, len(bag.gaps), {g.transient for g in bag.gaps}) == (3, 3, {True})


def test_all_logs_of_the_suspect_in_one_file(tmp_path):
    writer = BagStore(tmp_path / "bags").open(1)
    for piece in collectors.collect(scope(), ["logs"], world(), KEY):
        assert isinstance(piece, Artefact)
        writer.add(piece)
    writer.seal({})
    assert (tmp_path / "bags" / "1" / "data" / "incident-logs.txt").read_text().splitlines() == [
        "==> pods/shop/web-1/app/current.log: logs of app in Pod shop/web-1 <==", "now",
        "==> pods/shop/web-1/app/previous.log: logs of app in Pod shop/web-1 before its restart <==", "before",
        "==> pods/shop/web-1/setup/current.log: logs of setup in Pod shop/web-1 <==", "setting up",
    ]  # fmt: skip
