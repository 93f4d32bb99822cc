"""Reads and writes the weights of the original and of other projects.

`pict` and `pytorch` map between a file format and a dict of float32 arrays, whose keys
are the original's variable names (`generator/encoder_2/conv2d/kernel`). `convert` reads
a checkpoint of any kind and writes it as another kind.
"""
