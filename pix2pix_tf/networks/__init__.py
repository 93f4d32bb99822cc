"""The networks: generators, discriminators, their layers, and their variables' names.

Losses, optimizers and checkpoints are elsewhere.
"""

from pix2pix_tf.networks.discriminators import (
    build_discriminator,
    describe_discriminator,
    with_features,
)
from pix2pix_tf.networks.generators import build_generator, generate_at_own_size
from pix2pix_tf.networks.parts import (
    KERNEL_SIZE,
    width_factor,
    without_random_kernels,
)
from pix2pix_tf.networks.portable import make_portable
from pix2pix_tf.networks.stored import store_statistics, with_stored_statistics
from pix2pix_tf.networks.weights import (
    count_parameters,
    freeze,
    replace_value,
    seed_dropout,
    trainable_by_name,
    variables_by_name,
)
