"""Tests of step 7, the rehearsal and plans that hold."""
