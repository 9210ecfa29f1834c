"""Drills: the whole of it, from outside, while things are broken on purpose. `make faults` runs the long one."""
