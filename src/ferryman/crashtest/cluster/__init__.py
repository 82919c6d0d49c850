"""`ferryman crash-test --kubernetes`: the crash test on a real cluster, through kubectl and the current kubeconfig."""
