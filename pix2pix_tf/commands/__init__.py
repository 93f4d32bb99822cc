"""Commands beside training and DCGAN: data, images, runs and checkpoints.

In: `pix2pix-tf predict`, `process`, `split`, `plot`, `score`, `convert` and `download`,
one module each, with helpers of their own (`edges`, `image_files`). Not in: tools for
developers, which are in tools/. A visitor calls a module's `main`; no command imports
another.
"""
