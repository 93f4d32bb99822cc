"""DCGAN, the unconditional ancestor: `python -m pix2pix_tf.dcgan`.

It draws 32x32 images from random numbers, and learns from images without pairs
(Radford et al. 2016). In: what is DCGAN's own. Not in: the loop, checkpoints, summaries
and the gallery, which are pix2pix's.
"""
