"""What the broker tells Prometheus, under the names that Kafka's dashboards and alerts know."""
