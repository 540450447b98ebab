"""One file a kind of probe; a file that begins with `_` is shared and no kind."""
