"""A Kubernetes control plane on loopback, without nodes: for tests and benchmarks of the operator."""
