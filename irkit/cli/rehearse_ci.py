"""`irkit rehearse --ci`: every playbook in every scenario that fits it, in processes beside each other."""

from __future__ import annotations

import io
import multiprocessing
import os
import shlex
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from multiprocessing.connection import wait
from pathlib import Path
from typing import NoReturn

from irkit import wiring
from irkit.app import gameday, games_ci
from irkit.app.games_ci import Round, Verdict
from irkit.cli import gamedir, games, main, output, running
from irkit.errors import IrkitError, PlaybookError
from irkit.game import junit, loader
from irkit.game.card import Scorecard
from irkit.game.cast import FILES
from irkit.game.kubectl import Kubectl
from irkit.model.scenario import Scenario
from irkit.text import plural, printable

LIMIT = 120
"""Real seconds for one round: a playbook that waits for what never comes does not hold up the others."""
_MOST = 4  # processes; each needs about 100 MB


class _TooLongError(BaseException):
    """Not an Exception: whoever takes these for answers of a cluster must not take this one."""


def rehearse(playbooks: Path | None, report: Path | None, scenario: str, seed: int, form: str) -> int:
    """Play all rounds and tell. Exit code 0: all at `SOLVED` points or more; 5: some are not; 2: a playbook or scenario has mistakes."""
    began, started = wiring.clock().now(), time.monotonic()
    target = games_ci.writable(report) if report else None
    configured = wiring.settings(playbooks=playbooks)
    entries = games_ci.playbooks(configured)
    found = list(games_ci.scenarios(wiring.scenarios(), scenario))
    mistakes = [(e.name, e.mistake) for e in entries if e.mistake] + [(n, s.message) for n, s in found if isinstance(s, PlaybookError)]
    there = [s for _, s in found if isinstance(s, Scenario)]
    verdicts = [] if mistakes else _told(games_ci.rounds(entries, there, configured), seed, form)
    if target:
        target.write_bytes(junit.document("irkit rehearse", games_ci.suites(verdicts, mistakes), began))
    if mistakes:
        raise _malformed(mistakes)
    seconds = round(time.monotonic() - started, 3)
    passed = all(v.passed for v in verdicts)
    if form == "json":
        output.document(games_ci.Report(passed=passed, seconds=seconds, rounds=verdicts))
    else:
        out = output.stdout()
        out.line(f"{'' if passed else '5: '}{games_ci.summary(verdicts, seconds)}", style="green" if passed else "red")
        if not passed:
            worst = next(v for v in verdicts if not v.passed)
            out.line(f"  next:    irkit rehearse --scenario {printable(worst.scenario)} --watch   (what a good response looks like)")
    return 0 if passed else 5


def _malformed(mistakes: Sequence[tuple[str, str]]) -> PlaybookError:
    """All mistakes of all files as one error."""
    lines = [line for _, text in mistakes for line in text.split("\n") if not line.endswith("nothing was run.")]
    error = PlaybookError([])
    error.message = "\n".join([*lines, f"{plural(len(lines), 'mistake')}; nothing was run."])
    return error


def _told(rounds: Sequence[Round], seed: int, form: str) -> list[Verdict]:
    """Play them, and show each as soon as it and all before it are over."""
    out, widths = output.stdout(), [max(len(r.playbook) for r in rounds), max(len(r.scenario) for r in rounds)]
    found = []
    for verdict in played(rounds, seed):
        found.append(verdict)
        if form == "text":
            score = "-" if verdict.score is None else str(verdict.score)
            row = f"  {printable(verdict.playbook):<{widths[0]}}  {printable(verdict.scenario):<{widths[1]}}  {score:>3}  {verdict.seconds:4.1f} s"
            out.line(f"{row}  {_short(verdict)}".rstrip(), hang=len(row) + 2, style="" if verdict.passed else "red")
            for line in () if verdict.passed else [*(f.what for f in verdict.findings), *verdict.said]:
                out.line(f"      {printable(line, 400)}", hang=8)
    return found


def _short(verdict: Verdict) -> str:
    if verdict.skipped:
        return f"not played: {printable(verdict.skipped, 300)}"
    if verdict.score is None:
        return f"failed: {printable(verdict.error, 300)}"
    if verdict.score >= gameday.SOLVED:
        return ""
    return games_ci.PART if verdict.part else "below"


def played(rounds: Sequence[Round], seed: int) -> Iterator[Verdict]:
    """The verdicts, in the order of ``rounds``. Whoever stops listening ends the processes; nothing of them is left."""
    workers = max(1, min(len(rounds), os.cpu_count() or 2, _MOST))
    with gamedir.directory() as home:
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin, (str(home),))
        waiting = [pool.submit(play, one, seed) for one in rounds]
        try:
            for one, future in zip(rounds, waiting, strict=True):
                try:
                    yield future.result()
                except BrokenProcessPool:
                    yield Verdict(playbook=one.playbook, scenario=one.scenario, score=None, error="the process that played it was killed")
        finally:
            if not all(f.done() for f in waiting):
                for process in multiprocessing.active_children():
                    process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)


def _begin(home: str) -> None:
    """In a process that plays: all that it leaves lies in ``home``, and it ends when nobody is left to tell it to."""
    tempfile.tempdir = home
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the parent decides
    signal.signal(signal.SIGALRM, _give_up)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def orphaned() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=orphaned, daemon=True).start()


def _give_up(signum: int, frame: object) -> NoReturn:  # noqa: ARG001
    raise _TooLongError


def play(one: Round, seed: int) -> Verdict:
    """One round, in this process; what it prints is kept. Never raises for what a playbook does."""
    verdict = Verdict(playbook=one.playbook, scenario=one.scenario, score=None, skipped=one.why, part=one.part)
    if one.why:
        return verdict
    said: list[str] = []
    began = time.monotonic()
    signal.alarm(LIMIT)
    try:
        card = _card(one, seed, said)
        return Verdict(playbook=one.playbook, scenario=one.scenario, score=card.score, part=one.part, findings=tuple(card.findings), said=tuple(said),
                       seconds=round(time.monotonic() - began, 3))  # fmt: skip
    except _TooLongError:
        error = f"it was not over after {LIMIT} s"
    except IrkitError as failure:
        error = failure.message
    except Exception as failure:  # noqa: BLE001 -- the round failed, and the others go on
        error = f"unexpected failure: {type(failure).__name__}"
    finally:
        signal.alarm(0)
    return Verdict(
        playbook=one.playbook, scenario=one.scenario, score=None, error=error, said=tuple(said), seconds=round(time.monotonic() - began, 3)
    )


def _card(one: Round, seed: int, said: list[str]) -> Scorecard:
    scenario = loader.load(Path(one.path))
    with games.staged(scenario, seed) as (stage, turns):
        if one.folder:
            os.environ["IRKIT_PLAYBOOKS"] = one.folder
        with _hand(turns.wait, said) as do:
            return gameday.play(scenario, stage, turns, seed, one.playbook, one.commands, do)


@contextmanager
def _hand(wait: Callable[[float], None], said: list[str]) -> Iterator[gameday.Hand]:
    """Types commands; ``said`` gets the last words of those that end with another code than 0."""
    with wiring.cluster(wiring.settings()) as cluster:

        def do(words: str) -> None:
            words = words.replace(FILES, os.environ.get(FILES[1:], ""))
            if words.startswith("kubectl "):
                Kubectl(cluster).run(words)
                return
            printed = io.StringIO()
            with running.rehearsed(wait), redirect_stdout(printed), redirect_stderr(printed):
                code = main.run(shlex.split(words)[1:])
            if code:
                last = [line.strip() for line in printed.getvalue().splitlines() if line.strip().startswith(f"{code}:")]
                said.append(f"{printable(words, 200)} ended with {printable(last[-1], 400) if last else code}")

        yield do
