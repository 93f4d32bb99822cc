"""Training: loss terms, schedules, the step, the loop, validation, summaries.

In: all that happens between the first step and the last. Not in: flags, data, networks,
what checkpoints hold. Commands call `loop.train`, or `loop.run` with a Task of theirs.
"""
