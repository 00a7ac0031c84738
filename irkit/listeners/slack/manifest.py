"""The app manifest (docs.slack.dev/reference/app-manifest), with the scopes that these settings need and no other."""

from __future__ import annotations

from irkit.listeners.slack.shortcut import CALLBACK
from irkit.settings.slack import SlackSettings

SHORTCUT = "Collect alert evidence"  # Slack's configuration takes 24 characters


def scopes(settings: SlackSettings) -> dict[str, str]:
    """Of the bot's token, each with what it is for. The app's token has ``connections:write`` and nothing else."""
    found = {
        "commands": "the command /irkit and the shortcut",
        "chat:write": "messages in channels that it was invited to",
        "channels:read": "setup says whether it is in a channel, and who else is",
        "groups:read": "the same of private channels that it is in",
    }
    if settings.bag_channel:
        found["files:write"] = "bags, in slack.bag-channel"
    if settings.incident_channels:
        found["groups:write"] = "a private channel for each incident"
    return found


def manifest(settings: SlackSettings) -> str:
    """As YAML."""
    bot = "\n".join(f"      - {scope}  # {why}" for scope, why in scopes(settings).items())
    return f"""\
# The Slack app of irkit, with the least scopes. `irkit slack manifest` prints it as your settings need it.
display_information:
  name: irkit
  description: Collects evidence and contains compromised pods, where the right people say so
features:
  app_home:
    home_tab_enabled: true
    messages_tab_enabled: false
    messages_tab_read_only_enabled: true
  bot_user:
    display_name: irkit
    always_online: false
  shortcuts:
    - name: {SHORTCUT}
      type: message
      callback_id: {CALLBACK}
      description: Finds the pod in an alert and collects its evidence
  slash_commands:
    - command: /irkit
      description: Incident response
      usage_hint: collect|contain|status|blast-radius|verify|rehearse|help
      should_escape: false
oauth_config:
  scopes:
    bot:
{bot}
settings:
  event_subscriptions:
    bot_events:
      - app_home_opened
  interactivity:
    is_enabled: true
  org_deploy_enabled: false
  socket_mode_enabled: true
  token_rotation_enabled: false
"""


STEPS = """\
1. At https://api.slack.com/apps, Create New App, From a manifest: the output of irkit slack manifest.
2. Basic Information, App-Level Tokens: one with the scope connections:write. It is SLACK_APP_TOKEN (xapp-…).
3. Install App: the Bot User OAuth Token is SLACK_BOT_TOKEN (xoxb-…).
4. Both go into irkit's environment, never on a command line. For GovSlack: IRKIT_SLACK_BASE_URL=https://slack-gov.com.
5. In irkit's settings, under slack: the workspace's id, the channels with their commands, the users with their groups, the approvers.
6. In each of these channels: /invite @irkit.
7. irkit slack setup again, until nothing is left; then irkit slack.
"""
