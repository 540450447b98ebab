"""One file a kind of fault; a file that begins with `_` is shared and no kind."""
