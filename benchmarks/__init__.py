"""What `make bench` runs.

Times on shared machines wander: trust the ratios, taken side by side in one run.
"""
