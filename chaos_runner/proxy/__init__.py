"""The embedded proxy: Toxiproxy's HTTP API and toxics on asyncio protocols, with leases, a seed and live counters.

A process of its own, never part of a runner: a runner's death must not cut the system under test.
"""
