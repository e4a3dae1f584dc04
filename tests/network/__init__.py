"""Drills against services, metrics, Prometheus and targets that are dead in every way."""
