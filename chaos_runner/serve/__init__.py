"""Runs and game days in a browser: reads the store, speaks through the desk, pulls levers; conducts nothing.

Whatever happens here, a run does not notice: connections to the ledger are read-only, and every wait is limited.
"""
