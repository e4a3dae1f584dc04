"""The stack's monitoring: a real Prometheus that scrapes the instances, alerting rules, and a real Alertmanager."""
