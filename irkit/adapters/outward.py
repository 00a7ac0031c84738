"""What irkit may look at outside the cluster while an application comes back. Each part is imported when it is first used."""

from __future__ import annotations

from irkit.model.image import Scan, Signature
from irkit.settings import Settings


class Lookout:
    """Implements `ports.Outward` from the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._recovery = settings, settings.recovery

    def resolve(self, image: str) -> str:
        from irkit.adapters.registry import resolve

        return resolve(image, self._settings.request_timeout, self._recovery.docker_config)

    def scan(self, image: str) -> Scan | None:
        from irkit.adapters.scanner import scan

        return scan(image, self._recovery.scan_timeout)

    def signed(self, image: str) -> Signature | None:
        from irkit.adapters.cosign import signed

        return signed(image, self._recovery.signature, self._recovery.scan_timeout)

    def http(self, url: str, timeout: float) -> int:
        from irkit.adapters.probes import get

        return get(url, timeout)

    def tcp(self, host: str, port: int, timeout: float) -> None:
        from irkit.adapters.probes import connect

        connect(host, port, timeout)
