"""Draws what runs recorded: curves, images over steps, runs beside each other.

    pix2pix-tf plot runs/facades
    pix2pix-tf plot runs/a runs/b runs/b-test --output_dir compared

Each RUN is a folder that training wrote, also one that still trains, or one that test
mode wrote with a metrics.json; a test of another RUN's checkpoint is shown as part of
that. It writes PNG files, and report.html, which holds all of them. Losses are logged
as moving averages that start from zero: they are shown so, and without that start.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from pix2pix_tf.runtime import command, files
from pix2pix_tf.runtime.start import start_tensorflow

PROG = "pix2pix-tf plot"
MAX_ROWS = 8  # of images of one run; of several runs half as many


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit status, 2 for a folder without a run."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # a run that still trains keeps its GPU
    return command.run(PROG, lambda: report(parse(argv)))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the namespace of a command line; raises UsageError for a wrong one."""
    parser = command.Parser(PROG, __doc__)
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder")
    text = "where to write (default: RUN/report; for several runs: report)"
    add("--output_dir", type=Path, metavar="FOLDER", help=text)
    given = parser.parse_args(argv)
    parent = given.runs[0] if len(given.runs) == 1 else Path()
    given.output_dir = given.output_dir or parent / "report"
    return given


def report(given: argparse.Namespace) -> None:
    """Writes the report; raises UsageError, and writes nothing, if a RUN is damaged."""
    start_tensorflow()
    from pix2pix_tf.commands.plot import page, runs

    all_runs = runs.read_runs(given.runs)
    plots = list(draw(all_runs))
    is_one = len(all_runs) == 1
    title = f"Run {all_runs[0].name}" if is_one else f"{len(all_runs)} runs compared"
    text = page.render(title, all_runs, plots)
    given.output_dir.mkdir(parents=True, exist_ok=True)
    for name, _, contents in plots:
        files.write_whole(given.output_dir / name, contents)
    path = given.output_dir / "report.html"
    files.write_whole(path, text)
    print(f"wrote {files.printable(path)}, with {len(plots)} plots beside it")


def draw(all_runs: list) -> Iterator[tuple[str, str, bytes]]:
    """Yields (file name, heading, bytes of a PNG) for all that there is to show."""
    from pix2pix_tf.commands.plot import grid, plots, runs

    is_one = len(all_runs) == 1
    for group, tags in plots.group_tags(all_runs).items():
        name = group.lower().replace(" ", "_") + ".png"
        yield name, group, plots.draw_curves(all_runs, group, tags)
    last = runs.last_metrics(all_runs)
    last = {label: last[label] for label in last if label.startswith(runs.JUDGES)}
    if last and not is_one:
        title = "Last metrics, side by side"
        yield "last_figures.png", title, plots.draw_last(all_runs, last, title)
    chosen, rows = runs.common_images(all_runs)
    if rows:
        title, rows = "The same examples at the same steps", rows[-(MAX_ROWS // 2) :]
        folders = [(run.name, run.folder) for run in chosen]
        contents = grid.draw_side_by_side(folders, rows, title)
        yield "side_by_side.png", "Images, side by side", contents
    for number, run in enumerate(all_runs, start=1):
        ending = ".png" if is_one else f"_{number}.png"
        if run.strips:
            title = f"Validation images of {run.name}"
            yield (
                f"validation_pictures{ending}",
                title,
                plots.draw_validation(run, title),
            )
        if run.rows:
            title, count = f"Images of {run.name} over steps", MAX_ROWS // (2 - is_one)
            yield f"pictures{ending}", title, plots.draw_images(run, count, title)


if __name__ == "__main__":
    sys.exit(main())
