"""The command line: one module a command; the only place that prints and the only one that ends the process."""
