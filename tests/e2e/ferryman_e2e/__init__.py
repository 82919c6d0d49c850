"""What the scenes stand on: the cluster, the API, the queue under test, and how to wait for things."""
