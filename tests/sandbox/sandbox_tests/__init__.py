"""Tests of the embedded stack; the package is not called ``sandbox``, which is the name of what it tests."""
