"""Training in Python on a `tf.data.Dataset` of one's own: `pix2pix_tf.fit`."""

import dataclasses
import difflib
import functools
import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import tensorflow as tf

from pix2pix_tf import data
from pix2pix_tf.inference.load import Translator
from pix2pix_tf.inference.trained import Trained
from pix2pix_tf.options import FLAGS, DataConfig, PairConfig, decide, make_size
from pix2pix_tf.runtime import messages, streams
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.training import loop, session
from pix2pix_tf.training.validation import Held, Validator

# The flags that the dataset replaces.
REPLACED = (
    {
        field.name
        for part in (DataConfig, PairConfig)
        for field in dataclasses.fields(part)
    }
    | {"mode", "crop_size", "val_dir", "val_target_dir", "dry_run"}
) - {"batch_size", "allow_changed_data"}


def fit(
    dataset: tf.data.Dataset,
    output_dir: str | Path,
    val_dataset: tf.data.Dataset | None = None,
    callbacks: Iterable[Callable] = (),
    **flags,
) -> Translator:
    """Trains pix2pix on a dataset, as `python -m pix2pix_tf.train --mode train` does.

    It writes the same checkpoints, summaries and images to `output_dir`, which all
    commands read. Ctrl-C, and a notebook's stop button, end it after a save. In another
    thread than the main one it ends after a save when the main thread has ended.

    Args:
        dataset: of (inputs, targets), floats [height, width, channels] in [-1, 1], or
            batches of these. All have one size. It is repeated without an end, and
            nothing is flipped, scaled or cropped. If it has batches, theirs is the
            batch size.
        output_dir: where to write.
        val_dataset: held-out examples like those of `dataset`; the best model is kept
            in `model-best`.
        callbacks: functions (step, {tag: float}), called with the scalars of each
            summary and validation.
        flags: flags of the command by name, such as `max_steps=2000, ngf=32`. With
            `resume="auto"` a run goes on where it ended: the examples that it has used
            are read again and skipped, so that it sees those of an unbroken run if the
            dataset always gives the same ones.

    Returns:
        Translator of the trained generator, as `pix2pix_tf.load` gives.

    Raises:
        UsageError: a flag or the dataset cannot be used.
        RunError: a loss or a gradient is not finite.
        KeyboardInterrupt: after Ctrl-C, when all is saved.
    """
    examples = Examples(dataset, "dataset")
    held_out = None
    if val_dataset is not None:
        held_out = Examples(val_dataset, "val_dataset")
        held_out.check_like(examples)
    given = (
        _check_flags(flags) | examples.flags() | {"output_dir": os.fspath(output_dir)}
    )
    given.setdefault("batch_size", examples.batch_size)
    if given.get("max_epochs") and examples.num_examples is None:
        raise UsageError(
            "max_epochs needs a dataset of known length: give max_steps, or use "
            "tf.data.experimental.assert_cardinality"
        )
    with streams.tolerant():
        options = decide(given, has_val_data=held_out is not None)
        with (
            session.holding(options, options.execution) as replicas,
            session.in_precision(options) as options,
        ):
            replicas.check(options.data.batch_size)
            state = loop.start_state(options, replicas)
            task = _make_task(options, state, examples, held_out, replicas)
            stopped_by = loop.run(options, task, callbacks)
    if stopped_by and threading.current_thread() is threading.main_thread():
        signal.raise_signal(stopped_by)
    if state.average is not None:
        state.average.copy_to_generator()
    return Translator(Trained(state.generator, options))


class Examples:
    """The examples of a dataset of inputs and targets, single or in batches.

    Args:
        dataset: of (inputs, targets).
        name: of the argument, for errors.

    Attributes:
        batch_size: of the first batch; 1 if the examples are single.
        num_examples: in an epoch, or None if that is not known. The last batch counts
            as a whole one.

    Raises:
        UsageError: the first examples are not as `fit` wants them.
    """

    def __init__(self, dataset: tf.data.Dataset, name: str):
        self._name = name
        first = next(iter(dataset), None) if _is_of_two(dataset) else ()
        if first is None:
            raise UsageError(f"{name} is empty")
        if len(first) != 2:
            raise UsageError(
                f"{name} must give (inputs, targets), got {dataset.element_spec}"
            )
        self._check_first(*first)
        is_batched = len(first[0].shape) == 4
        self._shapes = [tuple(tensor.shape[-3:]) for tensor in first]
        self._dataset = dataset.unbatch() if is_batched else dataset
        self.batch_size = first[0].shape[0] if is_batched else 1
        count = int(dataset.cardinality())
        self.num_examples = count * self.batch_size if count >= 0 else None
        self._is_endless = count == tf.data.INFINITE_CARDINALITY

    def _check_first(self, inputs, targets):
        rank, size = len(inputs.shape), inputs.shape[:-1]
        if rank not in (3, 4) or size != targets.shape[:-1] or 0 in size:
            raise UsageError(
                f"{self._name}: the first inputs and targets have the shapes "
                f"{inputs.shape} and {targets.shape}: wanted [height, width, channels] "
                "or [batch, height, width, channels], of one size"
            )
        lows = []
        for what, tensor in (("inputs", inputs), ("targets", targets)):
            low, high = tf.reduce_min(tensor).numpy(), tf.reduce_max(tensor).numpy()
            if not (tensor.dtype.is_floating and -1 <= low <= high <= 1):  # NaN too
                raise UsageError(
                    f"{self._name}: the first {what} are {tensor.dtype.name} from "
                    f"{low} to {high}: wanted floats in [-1, 1]"
                )
            lows.append(low)
        if min(lows) >= 0:
            messages.warn(
                f"{self._name}: the first inputs and targets are in [0, 1]; wanted is "
                "[-1, 1], where -1 is black"
            )

    def check_like(self, other: "Examples"):
        """Raises UsageError unless these can be held out of the others."""
        if self._is_endless:
            raise UsageError(f"{self._name} has no end")
        if self._shapes != other._shapes:
            raise UsageError(
                f"{self._name} has the shapes {self._shapes}, and dataset "
                f"{other._shapes}: wanted the same"
            )

    def flags(self) -> dict:
        """Returns {flag name: value} of the flags that the dataset decides."""
        (height, width, num_inputs), (_, _, num_targets) = self._shapes
        return {
            "mode": "train",
            "crop_size": make_size(height, width),
            "input_channels": num_inputs,
            "target_channels": num_targets,
        }

    def fingerprint(self) -> dict:
        """Returns the count and the hash of the shapes, for `seen_data`."""
        digest = hashlib.sha256(repr(self._shapes).encode()).hexdigest()
        return {"count": self.num_examples, "names_hash": digest}

    def batches(
        self, batch_size: int, shard: tuple[int, int], position: int
    ) -> tf.data.Dataset:
        """Returns an endless Dataset of (indices, inputs, targets).

        Args:
            batch_size: examples in a batch; all batches are complete.
            shard: as for `data.shuffled`.
            position: the number of examples that training has already used.
        """

        @tf.autograph.experimental.do_not_convert
        def load(index, example):
            if self.num_examples is not None:
                index %= self.num_examples
            return index, *self._to_tensors(*example)

        examples = self._dataset.repeat().skip(position).enumerate(position)
        examples = examples.shard(*shard).map(load)
        return data.read_ahead(examples.batch(batch_size, drop_remainder=True))

    def held(self) -> Iterator[Held]:
        """Yields every example once, in order."""
        examples = self._dataset.map(self._to_tensors).batch(1)
        for number, (inputs, targets) in enumerate(examples):
            yield Held(name_of(number), inputs, targets)

    @tf.autograph.experimental.do_not_convert
    def _to_tensors(self, *example):
        return tuple(
            tf.ensure_shape(tf.cast(tensor, tf.float32), shape)
            for tensor, shape in zip(example, self._shapes, strict=True)
        )


def name_of(number: int) -> str:
    """Returns the name of an example's images."""
    return f"example-{number}"


def _is_of_two(dataset):
    spec = dataset.element_spec
    return isinstance(spec, tuple) and len(spec) == 2


def _check_flags(flags):
    """Returns {flag name: value}, with paths as text; refuses what is not a flag."""
    for name in flags:
        if (name, flags[name]) == ("strategy", "multi_worker"):
            raise UsageError(
                "strategy multi_worker cannot be given to fit, because TensorFlow has "
                "started: use the command, or strategy mirrored"
            )
        if name in REPLACED:
            raise UsageError(f"{name} cannot be given to fit: the datasets decide it")
        if name not in FLAGS:
            near = difflib.get_close_matches(name, set(FLAGS) - REPLACED, 1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise UsageError(f"{name} is not a flag{hint}")
    return {
        name: os.fspath(value) if isinstance(value, os.PathLike) else value
        for name, value in flags.items()
    }


def _make_task(options, state, examples, held_out, replicas):
    """Returns the loop's Task for the examples."""
    validator, fingerprints = None, {"training": examples.fingerprint()}
    if held_out is not None:
        fingerprints["validation"] = held_out.fingerprint()
        validator = Validator(options, state, held_out.held)

    def batches():
        make = functools.partial(examples.batches, position=int(state.position))
        return iter(replicas.batches(make, options.data.batch_size))

    return loop.make_task(
        options,
        state,
        batches=batches,
        num_examples=examples.num_examples,
        name_of=name_of,
        validator=validator,
        fingerprints=fingerprints,
        replicas=replicas,
    )
