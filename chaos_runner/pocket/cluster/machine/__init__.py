"""Nodes, pods and the network, as processes of this machine."""
