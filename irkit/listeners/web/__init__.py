"""Webhooks: verified senders report alerts, rules turn them into orders. Nothing here acts."""
