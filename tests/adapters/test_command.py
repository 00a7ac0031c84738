"""Commands of the user's: no shell, a bounded answer, a bounded time, and nothing of them left behind."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from irkit.adapters.command import LIMIT, call
from irkit.errors import ApiError, UnreachableError, UsageError
from irkit.settings.rotation import CommandSettings

SPAWN = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session={}); "


def run(program: str, request: bytes = b"", timeout: float = 10, **options: tuple[str, ...]) -> bytes:
    return call("rotate", CommandSettings(argv=(sys.executable, "-c", program), **options), request, timeout)  # type: ignore[arg-type]


def test_it_gets_the_request_and_its_answer_comes_back() -> None:
    big = os.urandom(300_000).hex().encode()
    assert run("import sys; sys.stdout.write(sys.stdin.read()[::-1])", big) == big[::-1]
    assert run("print('it need not read')", big * 4) == b"it need not read\n"


def test_its_environment_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "canary")
    monkeypatch.setenv("AWS_PROFILE", "prod")
    found = run("import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))", environment=("AWS_PROFILE", "NOT_SET")).decode()
    assert set(eval(found)) <= {"AWS_PROFILE", "HOME", "LANG", "PATH"}
    assert "AWS_PROFILE" in found


@pytest.mark.parametrize(("program", "said"), [
    ("import sys; print('canary', file=sys.stderr); sys.exit(3)", "command rotate ended with 3; run it by hand"),
    ("import os; os.kill(os.getpid(), 9)", "was ended by signal 9"),
    (f"import sys; sys.stdout.write('x' * {LIMIT + 1}); sys.stdout.flush(); import time; time.sleep(60)", "said more than 1.0 MB"),
])  # fmt: skip
def test_what_fails_is_said_without_its_words(program: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ApiError, match=said) as error:
        run(program)
    assert "canary" not in error.value.message + "".join(capfd.readouterr())


@pytest.mark.parametrize("leaves", [False, True])
def test_it_is_ended_in_time_with_what_it_started(tmp_path: Path, leaves: bool) -> None:
    """A child of its own that holds the pipe; where that has left the process group, it is not found, but not waited for."""
    file = tmp_path / "pid"
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=r"did not end in 0.5 s, and was ended"):
        run(f"{SPAWN.format(leaves)} open({str(file)!r}, 'w').write(str(p.pid))", timeout=0.5)
    assert time.monotonic() - began < 3
    child = int(file.read_text())
    assert alive(child) == leaves
    if leaves:
        os.kill(child, 9)


def alive(pid: int) -> bool:
    """Whether it lives on, and will: what was ended needs a moment."""
    for _ in range(50):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except OSError:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize("argv", [(), ("/nope",), ("a\0b",), ("/etc/passwd",)])
def test_what_can_not_be_run(argv: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        call("rotate", CommandSettings(argv=argv), b"", 1)


def test_nothing_is_a_shell(tmp_path: Path) -> None:
    assert (
        call("rotate", CommandSettings(argv=("/bin/echo", f"$(touch {tmp_path}/x); `id`")), b"", 5).decode().strip() == f"$(touch {tmp_path}/x); `id`"
    )
    assert list(tmp_path.iterdir()) == []
