"""Step 7: re-open under control, rung by rung, and back by itself where a rung does not hold."""
