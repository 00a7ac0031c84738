"""A real Kubernetes on this machine: control plane, simulated nodes, one real node. README.md says how to use it."""
