"""chaos-runner: experiments that harm on purpose, within limits, and clean up after themselves."""
