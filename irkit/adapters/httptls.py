"""The TLS of a server: its certificate, and whose clients' certificates it believes."""

from __future__ import annotations

import ssl
from pathlib import Path

from irkit.errors import UsageError
from irkit.settings.serve import TlsSettings
from irkit.text import printable


class Certificates:
    """``context`` stays the same object: after `refresh`, new connections get the new certificate."""

    def __init__(self, settings: TlsSettings) -> None:
        """Raises UsageError where a file can't be read, is no certificate, or the key is another's."""
        self._settings = settings
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._read = self._times()
        self._load(self.context)
        if settings.client_ca is not None:
            self.context.verify_mode = ssl.CERT_OPTIONAL  # sources with other schemes show none
            try:
                self.context.load_verify_locations(settings.client_ca.expanduser())
            except (OSError, ssl.SSLError) as error:
                raise _unusable("client-ca", settings.client_ca, error) from None

    def refresh(self) -> bool:
        """Read certificate and key again where the files have changed; whether they have. Raises UsageError, and keeps the old ones."""
        times = self._times()
        if times == self._read:
            return False
        self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # half a pair must not get into the one that is in use
        self._load(self.context)
        self._read = times
        return True

    def _load(self, context: ssl.SSLContext) -> None:
        certificate, key = self._settings.certificate.expanduser(), self._settings.key.expanduser()
        for word, file in (("certificate", certificate), ("key", key)):
            if not file.is_file():
                raise UsageError(f"serve.tls.{word}: there is no file {printable(file)}")
        try:
            context.load_cert_chain(certificate, key, password=lambda: b"")
        except (OSError, ssl.SSLError, ValueError) as error:
            raise _unusable("certificate", certificate, error) from None

    def _times(self) -> tuple[int, ...]:
        files: tuple[Path, ...] = (self._settings.certificate.expanduser(), self._settings.key.expanduser())
        return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)


def _unusable(word: str, file: Path, error: Exception) -> UsageError:
    reason = getattr(error, "reason", "") or getattr(error, "strerror", "") or "it can't be read"
    why = {"KEY_VALUES_MISMATCH": "the key is not that of the certificate", "NO_START_LINE": "it is no PEM file"}.get(reason, reason)
    return UsageError(f"serve.tls.{word}: {printable(file)} can't be used: {printable(why, 120)}")
