"""Data sets of pairs that others published."""
