"""The embedded proxy: Toxiproxy's API and toxics, with leases and live counters. Ends with Ctrl-C or SIGTERM."""

from __future__ import annotations


def run_words(words: list[str]) -> int:
    """Serves until it is stopped; the flags are those of Toxiproxy's server."""
    from chaos_runner.proxy.__main__ import main

    return main(words)
