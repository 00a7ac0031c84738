"""A signal is obeyed wherever Python happens to be: also where it drops what a handler raises."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys, time, weakref
from irkit.__main__ import _listen

class Thing:
    pass

def ended():
    signal.raise_signal(getattr(signal, sys.argv[1]))

_listen()
thing = Thing()
weakref.finalize(thing, ended)
try:
    del thing  # its finalizer runs here, and nothing that it raises comes out
    time.sleep(20)
    print("waited")
except KeyboardInterrupt:
    print("interrupted", flush=True)
    os._exit(130)
"""
BROKEN = """
from irkit.__main__ import _listen

class Broken:
    def __del__(self):
        raise ValueError("of a finalizer")

_listen()
Broken()
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_inside_a_finalizer_is_not_lost(number: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, number], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 130)


def test_what_else_a_finalizer_raises_is_told() -> None:
    done = subprocess.run([sys.executable, "-c", BROKEN], capture_output=True, text=True, check=True)
    assert "ValueError: of a finalizer" in done.stderr
