"""cosign on this machine: whether an image is signed as the settings want (docs.sigstore.dev, "Verifying signatures")."""

from __future__ import annotations

from irkit.adapters import program
from irkit.errors import ScannerError
from irkit.model.image import Signature, parse
from irkit.settings.recovery import SignatureSettings
from irkit.text import printable

_UNSIGNED = ("no matching signatures", "no signatures found")


def signed(image: str, wanted: SignatureSettings, timeout: float) -> Signature | None:
    """Who signed it; None where cosign is not on PATH. Raises ScannerError where it was not able to tell, UnreachableError."""
    parse(image)
    cosign = program.find("cosign")
    if cosign is None:
        return None
    if wanted.key:
        by, how = f"key {printable(wanted.key)}", ["--key", wanted.key]
    else:
        by = f"{printable(wanted.identity)} (by {printable(wanted.issuer)})"
        how = ["--certificate-identity", wanted.identity, "--certificate-oidc-issuer", wanted.issuer]
    try:
        program.run([cosign, "verify", *how, "--output", "json", image], timeout)
    except ScannerError as error:
        if any(words in error.message for words in _UNSIGNED):
            return Signature(by, "it has no such signature")
        raise
    return Signature(by)
