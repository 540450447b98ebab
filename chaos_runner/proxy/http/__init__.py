"""HTTP/1.1 on a connection: which request is which, and toxics that answer, delay or spoil single ones."""
