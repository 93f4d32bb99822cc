"""Weights in the formats of the original and of other projects.

`pict` and `pytorch` each know one file format, and nothing else: they map a file to
float32 arrays by the original's variable names (`generator/encoder_2/conv2d/kernel`).
`convert` knows all formats: it adds the options, and reads and writes whole models.
"""
