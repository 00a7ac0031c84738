"""What can be set, from flags, environment and ``$XDG_CONFIG_HOME/irkit/config.yaml``, in this order."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec

from irkit import yamls
from irkit.errors import UsageError
from irkit.settings.notify import Contact as Contact
from irkit.settings.notify import NotifySettings
from irkit.settings.orders import OrderSettings
from irkit.settings.recovery import RecoverySettings
from irkit.settings.rotation import CommandSettings, DatabaseSettings, RotationSettings, VaultSettings
from irkit.settings.serve import ServeSettings
from irkit.settings.slack import SlackSettings
from irkit.settings.store import StoreSettings
from irkit.text import nearest, printable

_MEND = "mend the settings, then the same command again; docs/reference/settings.md has every one"
Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=604800)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="kebab"):
    home: Path = Path()
    """Where incidents are kept; ``IRKIT_HOME``, default ``$XDG_STATE_HOME/irkit``."""
    playbooks: Path | None = None
    """A directory whose playbooks override the built-in ones; ``IRKIT_PLAYBOOKS``."""
    kubeconfig: str = ""
    """As ``KUBECONFIG``: paths joined by ``:``."""
    context: str = ""
    """A context of the kubeconfig; empty: its current one."""
    contacts: tuple[Contact, ...] = ()
    """Who is told at the end of a containment."""
    notify: NotifySettings = NotifySettings()
    """How they are told: mail server and webhooks ([notify](notify.md)); without it, it is shown whom to tell."""
    protected_namespaces: tuple[str, ...] = ("kube-system", "kube-public", "kube-node-lease", "irkit-system")
    """Namespaces that are refused without a typed override."""
    request_timeout: Seconds = 10.0
    """Seconds for one request, connecting included."""
    retry_budget: Seconds = 30.0
    """Seconds that one call may take with all its retries."""
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=256)] = 16
    """Requests and log streams under way at once."""
    approval_lifetime: Seconds = 3600.0
    """Seconds until a confirmation must be given again."""
    vault: VaultSettings = VaultSettings()
    """The Vault-compatible server that credentials are kept in."""
    databases: dict[str, DatabaseSettings] = {}
    """Logins that irkit may rotate, by name; ``irkit.dev/database`` on a Secret names one."""
    commands: dict[str, CommandSettings] = {}
    """The user's own rotators, by name."""
    rotation: RotationSettings = RotationSettings()
    """Classes, formats and policy of rotation."""
    recovery: RecoverySettings = RecoverySettings()
    """What an image must be to be deployed, and how recovery is watched ([recovery](recovery.md))."""

    store: StoreSettings | None = None
    """An object store (S3 protocol) that sealed bags are pushed to ([bundle](bundle.md)); without it, bags stay where they were made."""

    orders: OrderSettings = OrderSettings()
    """What chats and alerts may ask irkit to do ([orders](orders.md))."""
    serve: ServeSettings = ServeSettings()
    """Webhooks: where `irkit serve` listens, and who may send what ([serve](serve.md))."""
    slack: SlackSettings = SlackSettings()
    """Who may ask and approve in Slack, and where ([slack](slack.md))."""

    def __post_init__(self) -> None:
        if unknown := next((c.webhook for c in self.contacts if c.webhook and c.webhook not in self.notify.webhooks), ""):
            raise ValueError(f"a contact names webhook {printable(unknown, 60)!r}, which notify.webhooks does not have")


def load(environ: Mapping[str, str], **flags: object) -> Settings:
    """The settings in force. Raises UsageError with file and field where the file is wrong."""
    config = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "irkit" / "config.yaml"
    values: dict[str, object] = {}
    if path := environ.get("IRKIT_CONFIG") or (str(config) if config.exists() else ""):
        values = _read(Path(path))
    state = Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    values.setdefault("home", str(state / "irkit"))
    for name, variable in (("home", "IRKIT_HOME"), ("playbooks", "IRKIT_PLAYBOOKS"), ("kubeconfig", "KUBECONFIG")):
        if environ.get(variable):
            values[name] = environ[variable]
    values.update({k.replace("_", "-"): v for k, v in flags.items() if v is not None})
    try:
        settings = msgspec.convert(values, Settings, dec_hook=lambda kind, value: kind(value), strict=False)
    except (msgspec.ValidationError, TypeError) as error:
        raise UsageError(f"settings: {printable(error)}", next=_MEND) from None
    home = settings.home.expanduser()
    return msgspec.structs.replace(settings, home=home if home.is_absolute() else Path(os.getcwd()) / home)


def _read(path: Path) -> dict[str, object]:
    import yaml

    try:
        document = yamls.load(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"{printable(path)}: {error.strerror}", next="unset IRKIT_CONFIG, or have it name your settings (a game's end with the game)"
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # a file of no encoding, a date of the 32nd
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        what = getattr(error, "problem", None) or getattr(error, "reason", error)
        raise UsageError(f"{printable(path)}{where}: not valid YAML: {printable(what)}", next=_MEND) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise UsageError(f"{printable(path)}:1:1: settings must be a mapping", next=_MEND)
    known = [f.encode_name for f in msgspec.structs.fields(Settings)]
    for key in document:
        if key not in known:
            near = nearest(str(key), known)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"{printable(path)}: no setting {printable(key)!r}{hint}", next=_MEND)
    return document
