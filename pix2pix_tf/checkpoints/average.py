"""The moving average of the generator's weights, which `--ema_generator` keeps."""

import keras
import tensorflow as tf

from pix2pix_tf import networks


class GeneratorAverage:
    """An exponential moving average of the trainable variables of a generator.

    It starts at the weights that the generator has now.

    Args:
        generator: keras.Model.
        decay: float, the weight of the average in each update, below 1.

    Attributes:
        variables: {name of the generator's variable: tf.Variable}. The moving
            statistics of batch norm are left out: they are never trained, never used.

    Source: Yazici et al. 2019, "The unusual effectiveness of averaging in GAN
        training", section 3.
    """

    def __init__(self, generator: keras.Model, decay: float):
        self._decay = decay
        self._trained = networks.trainable_by_name(generator)
        self.variables = {
            name: tf.Variable(variable, trainable=False)
            for name, variable in self._trained.items()
        }

    def restart(self) -> None:
        """Sets the average to the weights that the generator has now."""
        for name, average in self.variables.items():
            average.assign(self._trained[name])

    def update(self, num_updates) -> None:
        """Moves the average towards the weights that the generator has now.

        The first updates have a lower decay, min(decay, (1 + n) / (10 + n)), so that
        the random weights from before the training are soon forgotten. (So does
        TensorFlow's `ExponentialMovingAverage` that is given the number of updates.)

        Args:
            num_updates: n, int64 scalar, the updates of the generator so far, with this
                one.
        """
        count = tf.cast(num_updates, tf.float32)
        rate = 1 - tf.minimum(self._decay, (1 + count) / (10 + count))
        for name, average in self.variables.items():
            average.assign_sub(rate * (average - self._trained[name]))

    def copy_to_generator(self) -> None:
        """Sets the generator's weights to the average, when training has ended."""
        for name, average in self.variables.items():
            self._trained[name].assign(average)
