"""Something to break: a small shop of real processes, and its worlds. Imports nothing else of the package."""
