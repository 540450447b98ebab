"""Notifiers: one file a kind; each knows only how to send once."""
