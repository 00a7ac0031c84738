"""NetworkPolicy semantics, pure: policies, pod and namespaces in, verdict out."""
