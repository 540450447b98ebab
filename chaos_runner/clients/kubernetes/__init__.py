"""A client of the Kubernetes API: thin, with a limit on every wait, and with types for every way of saying no.

`environments.open_client` gives a `Cluster`; the modules beside it do one thing each with it: `lists`, `watch`,
`mirror`, `writes`, `notices`, `access`.
"""
