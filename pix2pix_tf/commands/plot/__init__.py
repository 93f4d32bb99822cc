"""Draws what runs recorded: `pix2pix-tf plot`.

In: reading runs and their curves, plots, grids of images, and the page. Not in: what
training writes. `__main__` is the command; others call `grid`.
"""
