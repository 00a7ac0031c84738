"""The Vault of the rehearsal cluster: what irkit, hvac, the `bao` command and External Secrets use of one, over HTTPS on loopback.

KV version 1 and 2, the database engine over logins that exist in this process only, tokens, AppRole, policies, leases,
sealing. `tests/contracts/test_vault.py` runs the same requests against it and against a real OpenBao. Values come from the seed, times
from the sandbox's clock.
"""

from irkit.sandbox.vault.core import Vault
from irkit.sandbox.vault.logins import Logins

__all__ = ["Logins", "Vault"]
