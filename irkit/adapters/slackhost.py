"""Which addresses are Slack's: tokens and messages go there, encrypted, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from irkit.errors import UsageError
from irkit.settings.notify import loopback

PUBLIC = "https://slack.com"


def base(environ: Mapping[str, str]) -> str:
    """The Web API's address, by ``IRKIT_SLACK_BASE_URL``. Raises UsageError for what is not https, unless it is this machine."""
    found = environ.get("IRKIT_SLACK_BASE_URL") or PUBLIC
    try:
        parts = urlsplit(found)
        good = bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and loopback(parts.hostname or "")))
        good = good and not parts.username and not parts.query and parts.path.strip("/") in ("", "api") and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise UsageError("IRKIT_SLACK_BASE_URL is no https address of a Slack, such as https://slack-gov.com")
    return f"{parts.scheme}://{parts.netloc}/api/"


def trusted(slack: str, url: str, schemes: tuple[str, str] = ("https", "http")) -> bool:
    """Whether ``url`` is of the Slack at host ``slack``: that host or below it, encrypted, unless all of it is this machine.

    ``schemes``: the encrypted one and the other. slack-sdk opens a socket on any other port than 443 without TLS.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if loopback(slack):
        return loopback(host) and parts.scheme in schemes
    return parts.scheme == schemes[0] and port in (None, 443) and (host == slack or host.endswith("." + slack))
