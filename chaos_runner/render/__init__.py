"""Reports: pure functions of records and samples. The same input gives the same bytes.

A renderer is `render(run, entries, samples) -> bytes` in a module of its own: html, junit, markdown, json. What they
share: `words` (records as sentences), `story` (what an outcome means), `tables` (figures), `text` (numbers, safe text).
"""
