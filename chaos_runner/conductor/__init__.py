"""Conducts a game day: one process a day that asks, starts each step's run as a child, and writes down what came of it.

`told` and `course` decide and are pure; `conducting` does what they say. It takes words from nowhere but the store, so
that another conductor can take the day up from its facts alone.
"""
