"""Training: loss terms, schedules, the step, the loop, validation, summaries.

Commands call `loop.train`, or `loop.run` with their own Task.
"""
