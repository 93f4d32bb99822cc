"""Training on several devices and in several processes, by tf.distribute.

A replica is one copy of the networks, on one device. `make` finds the replicas that
`--strategy` and `--num_devices` describe; with `--strategy one` there is one, and
nothing here changes what is computed.
"""

import contextlib
import functools
import re
from collections.abc import Callable

import tensorflow as tf

from pix2pix_tf.options import ExecutionConfig
from pix2pix_tf.runtime.cluster import Cluster
from pix2pix_tf.runtime.errors import RunError, UsageError

# In TensorFlow's messages after the loss of a process.
_ABORTED = "Collective ops is aborted"
_SERVICE = "CoordinationService"


class Replicas:
    """The replicas that train together.

    Args:
        strategy: tf.distribute.Strategy.
        cluster: the processes, or None if this is the only one.

    Attributes:
        count: of all replicas, in all processes.
        is_chief: True in the process that writes files and prints.
        scope: function that returns the context in which the networks are built.
    """

    def __init__(self, strategy: tf.distribute.Strategy, cluster: Cluster | None):
        self._strategy, self._cluster = strategy, cluster
        self.count = strategy.num_replicas_in_sync
        self.is_chief = cluster is None or cluster.is_chief
        self.scope = strategy.scope

    def check(self, batch_size: int):
        """Raises UsageError if the replicas cannot share a batch equally."""
        if batch_size % self.count:
            below = batch_size - batch_size % self.count
            near = f"{below} or " if below else ""
            raise UsageError(
                f"--batch_size {batch_size} cannot be divided by the {self.count} "
                f"replicas: try {near}{below + self.count}"
            )

    def batches(self, make: Callable, batch_size: int):
        """Returns an iterable of batches, of which each replica gets its part.

        Args:
            make: function (examples of a replica's batch, (number of shards, number
                of this one)) -> endless tf.data.Dataset of complete batches.
            batch_size: examples in the batches of all replicas together.
        """
        if self.count == 1:
            return make(batch_size, (1, 0))

        def make_own(context):
            shard = context.num_input_pipelines, context.input_pipeline_id
            own = make(context.get_per_replica_batch_size(batch_size), shard)
            # Otherwise all processes ask each other in each step whether it ends.
            return own.apply(
                tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
            )

        return self._strategy.distribute_datasets_from_function(make_own)

    @tf.autograph.experimental.do_not_convert
    def run(self, replica_step: Callable, *tensors):
        """Calls a function on each replica, inside a tf.function.

        Args:
            replica_step: function (*tensors) -> StepResult.
            tensors: of `batches`.

        Returns:
            StepResult of the first replica, but with the outputs and predictions of all
            replicas of this process.
        """
        result = self._strategy.run(replica_step, tensors)
        first = tf.nest.map_structure(lambda one: self._parts(one)[0], result)
        return first._replace(
            outputs=self.join(result.outputs),
            predict_real=self.join(result.predict_real),
            predict_fake=self.join(result.predict_fake),
        )

    def join(self, value):
        """Returns the batch of all replicas of this process; None of None."""
        parts = self._parts(value)
        return parts[0] if len(parts) == 1 or value is None else tf.concat(parts, 0)

    def num_examples(self, images):
        """Returns the number of examples of all replicas, an int or int64 scalar."""
        own = self._parts(images)[0]
        if own.shape[0] is None:
            return tf.shape(own, tf.int64)[0] * self.count
        return own.shape[0] * self.count

    def number(self, step):
        """Returns a number that no other replica or step has; call it in a replica."""
        if self.count == 1:
            return step
        context = tf.distribute.get_replica_context()
        return step * self.count + tf.cast(context.replica_id_in_sync_group, step.dtype)

    def mean(self, tensors):
        """Returns the means over all replicas; call it in a replica.

        Args:
            tensors: a nested structure of tensors.
        """
        if self.count == 1:
            return tensors
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, tensors)

    def agree(self, caught: list) -> "Agreement":
        """Returns the Agreement on the signals of `signals.catch_signals`."""
        return Agreement(self._largest if self._cluster else None, caught)

    @contextlib.contextmanager
    def explaining_loss(self):
        """Turns an error of TensorFlow into one line if another process is lost.

        Raises:
            RunError: it is; the message names it.
        """
        try:
            yield
        except tf.errors.OpError as error:
            if self._cluster is None:
                raise
            lost = self._cluster.find_lost()
            if not (lost or _is_of_another(error)):
                raise
            lost = lost or self._named_in(error.message)
            names = " and ".join(map(self._cluster.describe, lost)) or "a process"
            raise RunError(
                f"lost {names}: start all processes again, by the same commands with "
                "--resume auto"
            ) from None

    def _named_in(self, message):
        """Returns the other processes that a message of TensorFlow names."""
        found = re.findall(r"/job:(\w+)/(?:replica:0/)?task:(\d+)", message)
        names = dict.fromkeys(f"{job} {number}" for job, number in found)
        if _SERVICE in message and not names:  # the chief has the service
            names = dict.fromkeys([next(iter(self._cluster.addresses))])
        return [name for name in names if name != self._cluster.own]

    def _parts(self, value):
        return self._strategy.experimental_local_results(value)

    @tf.function(reduce_retracing=True, autograph=False)
    def _largest(self, number):
        """Returns the largest of the numbers, float32 scalars, of all processes."""

        def gather():
            context = tf.distribute.get_replica_context()
            return context.all_gather(number[tf.newaxis], axis=0)

        return tf.reduce_max(self._parts(self._strategy.run(gather))[0])


class Agreement:
    """The signals that end a run, in all processes after the same step.

    Args:
        largest: function (float32 scalar) -> the largest of all processes; or None if
            there is one process.
        caught: list from `signals.catch_signals`.

    Attributes:
        signals: list of the numbers of the signals; with one process it is `caught`.
    """

    def __init__(self, largest: Callable | None, caught: list):
        self._largest, self._caught, self._asked = largest, caught, None
        self.signals = caught if largest is None else []

    def look(self):
        """Asks all processes after a step; the answer counts one step later."""
        if self._largest is None:
            return
        before = self._asked
        self._asked = self._largest(tf.constant(float(max(self._caught, default=0))))
        if before is not None and (number := int(before)):
            self.signals.append(number)


def _is_of_another(error):
    """Returns True if another process is the reason of an error of TensorFlow."""
    is_known = any(text in error.message for text in (_ABORTED, _SERVICE))
    return is_known or isinstance(error, tf.errors.UnavailableError)


def alone() -> Replicas:
    """Returns the one replica of a process that trains alone."""
    return Replicas(tf.distribute.get_strategy(), None)


def make(execution: ExecutionConfig, cluster: Cluster | None = None) -> Replicas:
    """Returns the Replicas of the flags; call it before TensorFlow finds its devices.

    Args:
        execution: ExecutionConfig.
        cluster: the processes of `--strategy multi_worker`, which it waits for.

    Raises:
        UsageError: there are too few devices.
    """
    if execution.strategy == "multi_worker":
        _use_gpus(execution.num_devices)
        return Replicas(tf.distribute.MultiWorkerMirroredStrategy(), cluster)
    if execution.strategy == "one":
        tf.config.list_logical_devices()
        return alone()
    return Replicas(_mirrored(_devices(execution.num_devices)), None)


@functools.cache
def _mirrored(devices):
    """Returns the strategy of devices: two would use the same keys in one process."""
    return tf.distribute.MirroredStrategy(devices)


def _use_gpus(num_devices):
    """Hides all but the first GPUs of a process of several; without GPUs it has one."""
    gpus = tf.config.list_physical_devices("GPU")
    _check_count(num_devices, len(gpus) or 1)
    if gpus and num_devices:
        tf.config.set_visible_devices(gpus[:num_devices], "GPU")


def _devices(num_devices):
    """Returns the names of devices: the first GPUs, or CPUs that are made here."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        _check_count(num_devices, len(gpus))
        return tuple(f"GPU:{number}" for number in range(num_devices or len(gpus)))
    wanted = num_devices or 1
    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * wanted
    with contextlib.suppress(RuntimeError):  # TensorFlow has started already
        tf.config.set_logical_device_configuration(cpu, parts)
    found = len(tf.config.list_logical_devices("CPU"))
    if found < wanted:
        raise UsageError(
            f"--num_devices {wanted} needs as many logical CPU devices, and TensorFlow "
            f"has started with {found}: give it before TensorFlow is used, or call "
            "tf.config.set_logical_device_configuration"
        )
    return tuple(f"CPU:{number}" for number in range(wanted))


def _check_count(wanted, found):
    if wanted and wanted > found:
        raise UsageError(f"--num_devices {wanted}: this process has {found}")
