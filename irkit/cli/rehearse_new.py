"""`irkit rehearse new`: yesterday's incident is next month's drill."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Target = Annotated[str, typer.Argument(help="The incident; the newest without", metavar="[INCIDENT]", show_default=False)]
File = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write it there instead of showing it", show_default=False)]


def new(incident: Target = "", file: File = None) -> int:
    """Draft a scenario from a real incident: its shape, from journal and bags, and none of its names, addresses, images or values."""
    from irkit import wiring
    from irkit.cli import output as streams
    from irkit.engine import journal
    from irkit.engine.home import Home
    from irkit.errors import UsageError
    from irkit.game import drafting, facts, loader
    from irkit.text import printable

    home = Home(wiring.settings().home)
    identifier = incident or next(iter(home.ids()), "")
    if not identifier:
        raise UsageError("there are no incidents on this machine", next="irkit contain POD -n NAMESPACE")
    state = home.load(identifier)
    lines = journal.read(home.journal(identifier)).lines
    text = drafting.draft(facts.read(state, lines, home.directory(identifier) / "bags"))
    loader.loads(text.encode(), str(file or "draft"))
    if file is None:
        print(text, end="")
        return 0
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        raise UsageError(f"{printable(file, 1000)} is there already; a draft replaces nothing") from None
    except OSError as error:
        raise UsageError(f"the draft can't be written to {printable(file, 1000)}: {error.strerror}") from None
    err = streams.stderr()
    err.line(f"Drafted from the shape of {identifier}; none of its names is in it.")
    err.line(f"  next:      irkit rehearse check {file}", whole=True)
    return 0
