"""What a command tells while it works: warnings, lines, and a progress bar.

A progress bar is shown on a terminal, and in a notebook that has ipywidgets; elsewhere
lines take its place.
"""

import sys
import warnings

from pix2pix_tf.runtime.files import printable

# tqdm is imported where it is used, because --help has no need of it.


def warn(text: str) -> None:
    """Prints a warning to stderr, so that `--quiet` does not hide it."""
    import tqdm

    tqdm.tqdm.write(printable(f"warning: {text}"), file=sys.stderr)
    sys.stderr.flush()


def say(text: str) -> None:
    """Prints a line to stdout, above the progress bar if there is one."""
    import tqdm

    tqdm.tqdm.write(text)
    sys.stdout.flush()


class Bar:
    """A progress bar with a text behind it.

    Args:
        unit: what is counted, such as "step".
        total: the count at the end, or None if there is none.
        done: the count at the start.

    Attributes:
        is_shown: False where stdout is neither a terminal nor a notebook.
    """

    def __init__(self, unit: str, total: int | None, done: int = 0):
        bar, is_notebook = _find_bar()
        count = (
            "{n_fmt}" if total is None else "{percentage:3.0f}%|{bar:20}| {n}/{total}"
        )
        self._bar = bar(
            total=total,
            initial=done,
            file=sys.stdout,
            disable=False if is_notebook else None,
            bar_format=f"{unit} {count} {{desc}}",
            dynamic_ncols=True,
        )
        self.is_shown = not self._bar.disable

    def advance(self, count: int = 1) -> None:
        self._bar.update(count)

    def show(self, text: str) -> None:
        """Replaces the text."""
        self._bar.set_description_str(text)

    def line(self, text: str) -> None:
        """Prints a line where no bar is shown."""
        if not self.is_shown:
            say(text)

    def close(self) -> None:
        self._bar.close()


def _find_bar():
    """Returns tqdm's class of bars for this stdout, and whether it is a notebook."""
    import tqdm
    import tqdm.asyncio

    with warnings.catch_warnings():
        # In a notebook without ipywidgets lines are shown, and nobody need be warned.
        warnings.simplefilter("ignore", tqdm.TqdmWarning)
        import tqdm.auto
    return tqdm.auto.tqdm, tqdm.auto.tqdm is not tqdm.asyncio.tqdm
