"""Chaos Toolkit's files, read and understood here; its activities run in processes of their own, never in ours."""
