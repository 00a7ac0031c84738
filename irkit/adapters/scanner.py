"""Trivy on this machine: the vulnerabilities of an image, from its JSON (trivy.dev, "Reporting")."""

from __future__ import annotations

from typing import Any

import msgspec

from irkit.adapters import program
from irkit.errors import ScannerError
from irkit.model.image import SEVERITIES, Scan, Vulnerability, parse


class _Found(msgspec.Struct, frozen=True, rename="pascal"):
    vulnerability_id: str = msgspec.field(name="VulnerabilityID", default="")
    pkg_name: str = ""
    fixed_version: str = ""
    severity: str = ""


class _Result(msgspec.Struct, frozen=True, rename="pascal"):
    vulnerabilities: list[_Found] | None = None


class _Report(msgspec.Struct, frozen=True, rename="pascal"):
    schema_version: int
    results: list[_Result] | None = None


def scan(image: str, timeout: float) -> Scan | None:
    """What Trivy finds; None where it is not on PATH. Raises ScannerError, UnreachableError."""
    parse(image)  # nothing that could be an option reaches an argument vector
    trivy = program.find("trivy")
    if trivy is None:
        return None
    argv = [trivy, "image", "--format", "json", "--quiet", "--scanners", "vuln", "--timeout", f"{timeout:.0f}s", image]
    printed = program.run(argv, timeout + 5)  # its own limit first: that one has a better sentence
    try:
        report = msgspec.json.decode(printed, type=_Report)
    except (msgspec.DecodeError, RecursionError):
        raise ScannerError("trivy printed something that is not its report") from None
    found: dict[tuple[str, str], Any] = {}
    for result in report.results or ():
        for v in result.vulnerabilities or ():
            severity = v.severity.lower() if v.severity.lower() in SEVERITIES else "unknown"
            found[v.vulnerability_id, v.pkg_name] = Vulnerability(v.vulnerability_id, severity, v.pkg_name, v.fixed_version)
    return Scan("trivy", tuple(found.values()))
