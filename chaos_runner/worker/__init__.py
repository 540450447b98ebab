"""The load worker: open-loop HTTP load in a process of its own, so that measuring never disturbs deciding.

Plain asyncio, and nothing of the package but `wire`; `client` is the runner's side and the only part that uses anyio.
"""
