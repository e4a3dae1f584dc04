"""The rehearsal: a throw-away instance of the service on the env file as it would be."""
