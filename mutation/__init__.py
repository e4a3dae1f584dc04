"""Mutation test of the checks: break each comparison, see a test go red."""
