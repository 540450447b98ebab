"""The version, a plain constant so that nothing has to be looked up at start."""

__version__ = "0.1.0"
