"""A trained generator at work: test mode, the gallery of its images, export.

In: from batches to images on disk. Not in: training, metrics. Commands call
`evaluate.evaluate` and `export.export`; validation uses `translate`.
"""
