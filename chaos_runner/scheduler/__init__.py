"""Runs schedules on their own: who leads, what is due, whether it may run, and what came of it.

Only `timer` knows APScheduler. One daemon of several leads by a lease in the store; each due instant is claimed once
for all time, or skipped with a reason; a claimed run is a process of its own that outlives the daemon.
"""
