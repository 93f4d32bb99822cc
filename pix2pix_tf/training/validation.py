"""Validation during training: metrics on held-out images, and the best model.

The metrics equal those of test mode for the same folder with `--no_dropout`.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from pix2pix_tf import checkpoints, data, metrics, networks
from pix2pix_tf.images.kinds import kind_of
from pix2pix_tf.inference.translate import make_translate, ordered_batches
from pix2pix_tf.options import Options, write_options
from pix2pix_tf.runtime import files
from pix2pix_tf.runtime.errors import UsageError

BEST_DIR = "model-best"
FLAGS = ("--val_dir", "--val_target_dir")
MAX_STRIPS = 4  # strips of the first images, for TensorBoard
STRIP_TAG = "validation/pictures/"  # followed by the image's name


class Held(NamedTuple):
    """One held-out example."""

    name: str
    inputs: tf.Tensor  # float32 [1, height, width, channels], in [-1, 1]
    targets: tf.Tensor
    is_deep: bool = False  # its images have more than 8 bits


class Validation(NamedTuple):
    """The results of one validation."""

    scalars: dict[str, float]  # by tag
    strips: dict  # {tag: uint8 [1, height, 3 * width, 3]}: input, output, target
    is_best: bool
    entry: dict  # for `validation.json`: {"step": step, metric: mean, ...}


class Validator:
    """Measures a run's generator on held-out images, and saves the best state.

    The run's `validation.json` is a list with an entry for each finished validation:
    {"step": step, metric: mean, ...}.

    Args:
        options: Options.
        state: TrainState.
        examples: function that returns an iterator over the held-out examples.

    Raises:
        UsageError: `--lpips_weights` cannot be used.

    Attributes:
        freq: int, steps from one validation to the next.
    """

    def __init__(
        self,
        options: Options,
        state: checkpoints.TrainState,
        examples: Callable[[], Iterator[Held]],
    ):
        self._options, self._run, self._state = options, options.run, state
        self._validation = options.validation
        self.freq = options.validation.val_freq
        self._examples = examples
        self._lpips = metrics.open_lpips(options.output.lpips_weights)
        model = dataclasses.replace(options.model, no_dropout=True)
        with networks.without_random_kernels():
            self._generator = networks.build_generator(
                options.pair.channels, model, any_size=options.is_any_size
            )
        # Test mode freezes it too; without this the metrics could differ from it.
        networks.freeze(self._generator)
        kind = kind_of(options.pair)
        multiple = model.multiple if options.is_any_size else None
        self._translate = make_translate(
            self._generator, kind, options.run.seed, multiple=multiple
        )

    def is_done(self) -> bool:
        """Returns True if the current step has been validated."""
        step = int(self._state.global_step)
        return any(entry["step"] == step for entry in self._read_history())

    def validate(self, caught: list) -> Validation | None:
        """Measures the generator, and saves it if it is the best one so far.

        Args:
            caught: list from `signals.catch_signals`.

        Returns:
            Validation, for `record`; or None if a signal came before the last image.
        """
        step = int(self._state.global_step)
        measured = self._measure(caught)
        if measured is None:
            return None
        scores, strips = measured
        means = scores.means() | scores.shared_histograms()
        metric = self._validation.best_metric
        if means[metric] is None:
            raise UsageError(
                f"--best_metric {metric} cannot measure images as small as these: give "
                "--best_metric l1"
            )
        is_best = all(
            self._is_better(means[metric], entry[metric]) for entry in self._earlier()
        )
        if is_best:
            self._save_best(step, scores)
        scalars = {
            f"validation/{name}": mean
            for name, mean in means.items()
            if mean is not None
        }
        return Validation(scalars, strips, is_best, {"step": step, **means})

    def record(self, found: Validation) -> None:
        """Adds a validation to `validation.json`; call it when all else is written."""
        path = Path(self._run.output_dir, metrics.HISTORY_NAME)
        _write_json(path, [*self._earlier(), found.entry])

    def why_stop(self) -> str | None:
        """Returns the reason why `--patience` ends training, or None if it does not."""
        history, metric = self._read_history(), self._validation.best_metric
        if not (self._validation.patience and history):
            return None
        best = 0
        for index, entry in enumerate(history):
            if self._is_better(entry[metric], history[best][metric]):
                best = index
        if len(history) - 1 - best < self._validation.patience:
            return None
        return (
            f"no better {metric} in {self._validation.patience} validations: the best "
            f"is {history[best][metric]:.6g}, after step {history[best]['step']}"
        )

    def _is_better(self, value, other):
        is_high = metrics.METRICS[self._validation.best_metric].is_higher_better
        return value > other if is_high else value < other

    def _earlier(self):
        """Returns the entries of `validation.json` before the current step."""
        step = int(self._state.global_step)
        return [entry for entry in self._read_history() if entry["step"] < step]

    def _read_history(self):
        """Returns the entries of `validation.json` up to the current step."""
        path = Path(self._run.output_dir, metrics.HISTORY_NAME)
        if not path.exists():
            return []
        try:
            history = json.loads(path.read_text(encoding="utf-8"))
            for entry in history:
                for name in ("step", self._validation.best_metric):
                    if not isinstance(entry[name], int | float):
                        raise ValueError(f"{name} is {entry[name]!r}, not a number")
            step = int(self._state.global_step)
            return [entry for entry in history if entry["step"] <= step]
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(
                f"{path} is damaged: {error!r}; remove it to start validation anew"
            ) from None

    def _measure(self, caught):
        """Returns (Scores, strips), or None if a signal was caught."""
        own = networks.variables_by_name(self._generator)
        for name, variable in self._state.weights_for_use().items():
            own[name].assign(variable)
        networks.freeze(self._generator)
        scores, strips = metrics.Scores(self._lpips), {}
        for number, held in enumerate(self._examples()):
            if caught:
                return None
            _, images = self._translate(
                tf.constant(number), held.inputs, held.targets, is_deep=held.is_deep
            )
            one = {kind: batch.numpy() for kind, batch in images.items()}
            scores.add(held.name, one["outputs"][0], one["targets"][0])
            if number < MAX_STRIPS:
                strip = [one[kind] for kind in ("inputs", "outputs", "targets")]
                tag = STRIP_TAG + files.printable(held.name)
                strips[tag] = tf.concat(strip, axis=2)
        return scores, strips

    def _save_best(self, step, scores):
        """Writes `model-best`, a folder that can be tested, exported and trained on.

        Its `metrics.json` is removed before the checkpoint is replaced, so that the two
        always belong together.
        """
        folder = Path(self._run.output_dir, BEST_DIR)
        run = dataclasses.replace(self._run, output_dir=str(folder))
        metrics.remove_report(folder)
        write_options(dataclasses.replace(self._options, run=run))
        checkpoints.save(self._state, folder, keep=1)
        found = {"step": step, **scores.summary()}
        _write_json(folder / metrics.JSON_NAME, found)


def forget(output_dir: Path | str) -> None:
    """Removes the validation history of an earlier run in the same folder.

    `model-best` stays until the first validation of the new run replaces it.
    """
    Path(output_dir, metrics.HISTORY_NAME).unlink(missing_ok=True)


def _write_json(path, value):
    files.write_whole(path, json.dumps(value, indent=4) + "\n")


def open_source(options: Options) -> data.Source:
    """Returns the checked source of the validation images.

    Raises:
        UsageError: the images cannot be used.
    """
    val_dir = options.validation.val_dir
    target_dir = options.validation.val_target_dir
    examples = data.find_examples(val_dir, target_dir, flags=FLAGS)
    channels = kind_of(options.pair).image_channels
    source = data.Source(data.Files(examples), channels, options.data.on_bad_image)
    try:
        source.check()
    except UsageError as error:
        raise UsageError(f"--val_dir {val_dir}: {error}") from None
    are_pairs = len(channels) > len(examples[0].paths)
    data.print_notices(examples, [val_dir, target_dir], are_pairs)
    return source


def read_examples(options: Options, source: data.Source) -> Iterator[Held]:
    """Yields the examples of a source, at the size of test mode.

    Raises:
        UsageError: an example cannot be used.
    """
    # With batch statistics an image's output depends on the others in its batch.
    one_by_one = dataclasses.replace(options.data, batch_size=1)
    kind, size = kind_of(options.pair), options.image_size
    for indices, *tensors in ordered_batches(source, kind, one_by_one, size):
        index = int(indices.numpy()[0])
        yield Held(source.name(index), *tensors, is_deep=index in source.deep)
