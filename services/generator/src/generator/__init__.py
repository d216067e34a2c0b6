"""Plans executions and renders reports."""
