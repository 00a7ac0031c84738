"""`irkit rotate --due`: what the policy says should be rotated now."""

from __future__ import annotations

from collections.abc import Callable

from irkit import wiring
from irkit.app.due import Due
from irkit.cli import output
from irkit.ports import Ports
from irkit.settings import Settings
from irkit.text import plural, printable


def show(use_case: Callable[[Ports], Due], form: str, configured: Settings) -> int:
    """Print it; returns the exit code."""
    found = use_case(wiring.ports(configured, lambda event: None))
    if form == "json":
        output.document(found)
        return found.exit_code
    out = output.stdout()
    if found.due:
        output.table(out, ("credential", "class", "age", "read from"), [_row(line) for line in found.due])
        out.line(f"5: {plural(len(found.due), 'credential')} of {len(found.credentials)} due in {printable(found.namespace)}.", style="yellow")
        out.line(f"  next:      {found.next}")
        return found.exit_code
    unknown = [line for line in found.credentials if line["age"] is None]
    out.line(f"Nothing is due in {printable(found.namespace)}: {plural(len(found.credentials), 'credential')} looked at"
             + (f", the age of {len(unknown)} not known." if unknown else "."))  # fmt: skip
    out.line(f"  next:      irkit rotate --due -n {printable(found.namespace)} -o json   lists them all")
    return found.exit_code


def _row(line: dict[str, object]) -> tuple[str, ...]:
    keys = line["keys"]
    name = f"{line['namespace']}/{line['name']}" + (f"/{','.join(map(str, keys))}" if isinstance(keys, list) and keys else "")
    age = line["age"]
    return name, str(line["class"]), f"{age:.0f} d" if isinstance(age, int | float) else "not known", str(line["ageFrom"])
