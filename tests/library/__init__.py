"""Tests of the library that the steps and checks are made of: no stack, no database, only scripted answers."""
