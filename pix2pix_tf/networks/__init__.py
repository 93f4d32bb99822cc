"""The networks: generators, discriminators, and the names of their variables.

In: builders of Keras functional models, their layers, and the names that the original
gives to their variables. Not in: losses, optimizers, checkpoints.
"""

from pix2pix_tf.networks.discriminators import (
    build_discriminator,
    describe_discriminator,
    with_features,
)
from pix2pix_tf.networks.generators import build_generator, generate_at_own_size
from pix2pix_tf.networks.parts import KERNEL_SIZE, width_factor
from pix2pix_tf.networks.weights import (
    count_parameters,
    freeze,
    key_dropout,
    trainable_by_name,
    variables_by_name,
)
