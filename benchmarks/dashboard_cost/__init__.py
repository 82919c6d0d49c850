"""What the dashboards cost a Prometheus with many queues: a town of queues, its history, and all that is asked."""
