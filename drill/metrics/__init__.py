"""What the service's metrics say, read so that silence is never taken for zero."""
