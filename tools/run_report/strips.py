"""The pictures that a run's validations left in its event files."""

import numpy as np
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from pix2pix_tf.images import codecs
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.training import validation

MAX_STEPS = 6  # of which pictures are shown, the first and the last among them


def read(folder):
    """Returns {name: {step: bytes of a PNG}} of the pictures to show, by rising step.

    All are of the same steps. Names that the last validation did not have are left out.
    Of a step that was done again, after a resume, the later picture counts.

    Args:
        folder: Path, with event files that `curves.read` found whole.
    """
    found, last = {}, None
    for path in sorted(folder.glob("*tfevents*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                name = value.tag.removeprefix(validation.STRIP_TAG)
                texts = value.tensor.string_val  # width, height, picture
                if name != value.tag and len(texts) == 3:
                    earlier = found.get(name, {}).items()
                    kept = {step: strip for step, strip in earlier if step < event.step}
                    found[name] = kept | {event.step: texts[2]}
                    last = event.step
    found = {name: by_step for name, by_step in found.items() if last in by_step}
    common = set.intersection(*map(set, found.values())) if found else set()
    steps = choose_evenly(sorted(common), MAX_STEPS)
    return {
        name: {step: by_step[step] for step in steps} for name, by_step in found.items()
    }


def choose_evenly(items, count):
    """Returns so many items of a list at most, the first and the last among them."""
    chosen = np.linspace(0, len(items) - 1, min(count, len(items))).round()
    return [items[int(number)] for number in chosen]


def split(run, name, step):
    """Returns the input, output and target of one picture at one step.

    Returns:
        list of three float32 [height, width, 3] in [0, 1].

    Raises:
        UsageError: it is damaged.
    """
    try:
        strip = codecs.from_bytes(run.strips[name][step])
    except codecs.ImageError as error:
        raise UsageError(
            f"{printable(run.folder)}: {validation.STRIP_TAG}{printable(name)} of step "
            f"{step} in its event files {error}: remove the file that holds it"
        ) from None
    return np.array_split(strip, 3, axis=1)
