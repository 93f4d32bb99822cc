"""What every command needs from the process and the file system.

In: errors, files, locks, signals, how a command starts and ends, precision. Not in:
flags, images, networks. A command calls `command.run`; imports nothing of the package.
"""
