"""What the endurance tests and tools/endurance_proxy.py share: a proxy that is looked into, and loads that last."""
