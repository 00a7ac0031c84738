"""From the words of the command line to an exit code. Every sub-command is imported when it is called, not before."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from irkit.cli import output
from irkit.cli.commands import COMMANDS
from irkit.errors import InterruptedRun, IrkitError, UsageError
from irkit.text import nearest, printable

SETTINGS = {"help_option_names": ["-h", "--help"]}


class _Lazy(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            near = nearest(cmd_name, COMMANDS)
            raise UsageError(f"there is no command {printable(cmd_name)!r}" + (f"; did you mean {near[0]}?" if near else ""), next="irkit --help")
        command: Any = typer.main.get_command(importlib.import_module(COMMANDS[cmd_name][0]).app)
        return command


app = typer.Typer(cls=_Lazy, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, context_settings=SETTINGS)


@app.callback()
def _root() -> None:
    """Cut a compromised Kubernetes pod off, keep its evidence, rotate what it knew, bring its workload back, prove each."""


def run(words: list[str]) -> int:
    """Run one command; errors become one sentence (or one document, with ``-o json``) and their exit code."""
    output.prepare()
    try:
        code = typer.main.get_command(app).main(args=words, prog_name="irkit", standalone_mode=False)
        if code == 130:  # what typer makes of Ctrl-C, without a word
            return output.error(InterruptedRun("interrupted; nothing was changed"), words)
        return code if isinstance(code, int) else 0
    except IrkitError as error:
        if isinstance(error, UsageError) and not error.next and error.otherwise == UsageError.otherwise and words[0] in COMMANDS:
            error.next = f"irkit {words[0]} --help"
        return output.error(error, words)
    except KeyboardInterrupt:
        return output.error(InterruptedRun("interrupted; nothing was changed"), words)
    except BrokenPipeError:
        sys.stdout = None
        return 0
    except Exception as error:  # noqa: BLE001 -- the last line of defence: one sentence, never a traceback
        return _unforeseen(error, words)


def _unforeseen(error: Exception, words: list[str]) -> int:
    kind = type(error)
    if kind.__name__ == "NoArgsIsHelpError":  # its message is the whole help
        group: Any = error.ctx  # type: ignore[attr-defined]
        names = ", ".join(name for name in group.command.list_commands(group) if not group.command.get_command(group, name).hidden)
        return output.error(UsageError(f"{group.command_path} is nothing by itself; add one of {names}", next=f"{group.command_path} --help"), words)
    if hasattr(error, "exit_code") and hasattr(error, "format_message"):  # what typer's parser raises
        return output.error(UsageError(printable(error.format_message(), 600), next=f"irkit {printable(words[0])} --help"), words)
    if kind.__name__ in ("Exit", "Abort"):
        return int(getattr(error, "exit_code", 130))
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    place = f"{where.tb_frame.f_code.co_filename.rpartition('irkit/')[2]}:{where.tb_lineno}" if where else "unknown"
    # the text of a foreign exception may hold what was read from a Secret: its class and place must do
    return output.error(IrkitError(f"unexpected failure: {kind.__name__} at {place}", next="irkit doctor; and please report this line"), words)
