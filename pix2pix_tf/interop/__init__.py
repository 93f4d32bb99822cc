"""Weights of the original and of other projects, in and out.

Each module maps between one file format and a dict of float32 arrays keyed by the
original's variable names (`generator/encoder_2/conv2d/kernel`).
"""
