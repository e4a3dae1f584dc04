"""Speed of the drill, as ratios measured in one run: ``make bench``."""
