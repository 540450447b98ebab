"""Guarded YAML into typed values, or problems with line and column; JSON Schema; `explain`.

`load` and `read` are what the rest of the program needs; the schema and the explanations are imported by name, so
that validating a file does not pay for them.
"""

from chaos_runner.load.files import Loaded, load
from chaos_runner.load.guard import Dialect, Tree, guard
from chaos_runner.load.nodes import Node, Pair, plain
from chaos_runner.load.problems import Invalid, Problem, render, to_github, to_json
from chaos_runner.load.reading import Document, read
from chaos_runner.load.walk import walk

__all__ = [
    "Dialect",
    "Document",
    "Invalid",
    "Loaded",
    "Node",
    "Pair",
    "Problem",
    "Tree",
    "guard",
    "load",
    "plain",
    "read",
    "render",
    "to_github",
    "to_json",
    "walk",
]
