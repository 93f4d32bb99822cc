"""Weights of the original and of other projects, in and out.

`pict` and `pytorch` map between one file format and a dict of float32 arrays by the
original's variable names (`generator/encoder_2/conv2d/kernel`); `convert` reads any
kind of checkpoint and writes another. Not in: the command.
"""
