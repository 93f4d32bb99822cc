"""The process and the file system, for every command.

Here: errors, files, locks, signals, the start and end of a command, precision. Nothing
here imports another room. A command calls `command.run`.
"""
