"""Images: colour, pixels, file formats, and what an example is made of.

In: colour conversions, codecs, resizing, the kinds of example. Not in: flags, folders,
batches. Others call `codecs.read`, `kinds`, `pixels` and `color`.
"""
