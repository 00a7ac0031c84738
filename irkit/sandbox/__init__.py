"""The rehearsal cluster: a small Kubernetes API server with its controllers."""
