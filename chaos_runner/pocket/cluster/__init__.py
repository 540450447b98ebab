"""The pocket cluster: enough of the Kubernetes API for our faults and for kubectl; its pods are local processes.

Linux only (and WSL): it takes addresses of 127.0.0.0/8 as it likes, and ties processes together by death signals.
"""
