"""DCGAN (Radford et al. 2016): `python -m pix2pix_tf.dcgan`.

It learns from images without pairs to generate 32x32 images from random vectors z. In:
DCGAN's own flags, images, networks, step and results. Not in: the training loop,
checkpoints, summaries and the gallery, which are pix2pix's.
"""
