"""Images: colour conversions, file formats, resizing, and the kinds of example.

Flags, folders and batches are elsewhere. Other packages call `codecs`, `windows`,
`kinds`, `pixels` and `color`.
"""
