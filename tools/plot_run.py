"""Draws what runs recorded: curves, pictures over steps, runs beside each other.

    python tools/plot_run.py runs/facades
    python tools/plot_run.py runs/a runs/b runs/b-test --output_dir compared

Each RUN is a folder that training wrote, which may still go on, or one that test mode
wrote with a metrics.json; a test of another RUN's checkpoint counts as part of that. It
writes PNG files, and report.html, which holds all of them. Losses are logged as moving
averages that start from zero; they are shown so, and without that start.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # without an installation too

from pix2pix_tf.runtime import command, files
from pix2pix_tf.runtime.command import Parser
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.start import start_tensorflow

REPORT_NAME = "report.html"


def main(argv=None):
    """Runs one command line.

    Args:
        argv: list of str, or None for the process's own.

    Returns:
        int, the exit status: 0 done, 2 wrong usage or unusable input (one line on
        stderr), 130 stopped by Ctrl-C.
    """
    return command.run("plot_run", lambda: run(parse(argv)))


def parse(argv=None):
    """Returns the flags of a command line, completed.

    Raises:
        UsageError: a flag is wrong.
    """
    parser = Parser("plot_run", __doc__)
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="a run's folder"
    )
    parser.add_argument(
        "--output_dir",
        type=Path,
        metavar="FOLDER",
        help="where to write (default: RUN/report; of several runs: report)",
    )
    options = parser.parse_args(argv)
    if options.output_dir is None:
        parent = options.runs[0] if len(options.runs) == 1 else Path()
        options.output_dir = parent / "report"
    return options


def run(options):
    """Writes the report, and prints where it is.

    Raises:
        UsageError: a folder is no run, or is damaged; nothing was written.
    """
    start_tensorflow()
    from tools.run_report import page, records

    runs = records.read_runs(options.runs)
    figures = draw(runs)
    title = f"Run {runs[0].name}" if len(runs) == 1 else f"{len(runs)} runs compared"
    text = page.render(title, runs, figures)
    options.output_dir.mkdir(parents=True, exist_ok=True)
    for name, _, contents in figures:
        files.write_whole(options.output_dir / name, contents)
    report = options.output_dir / REPORT_NAME
    files.write_whole(report, text)
    print(f"wrote {printable(report)}, with {len(figures)} figures beside it")


def draw(runs):
    """Returns [(file name, heading, bytes of a PNG)] of all that there is to show."""
    from tools.run_report import figures, records

    drawn = []
    for group, tags in figures.group_tags(runs).items():
        title = f"{group} of {runs[0].name}" if len(runs) == 1 else group
        name = group.lower().replace(" ", "_") + ".png"
        drawn.append((name, group, figures.draw_curves(runs, tags, title)))
    if len(runs) > 1:
        title = "Last figures, side by side"
        finals = records.final_figures(runs)
        finals = {label: finals[label] for label in filter(records.is_judge, finals)}
        if finals:
            contents = figures.draw_finals(runs, finals, title)
            drawn.append(("last_figures.png", title, contents))
    comparable, rows = records.common_pictures(runs)
    if rows:
        contents = figures.draw_side_by_side(comparable, rows)
        drawn.append(("side_by_side.png", "Pictures, side by side", contents))
    max_rows = figures.MAX_ROWS // min(len(runs), 2)
    for number, one in enumerate(runs, 1):
        ending = ".png" if len(runs) == 1 else f"_{number}.png"
        if one.strips:
            heading = f"Validation pictures of {one.name}"
            contents = figures.draw_validation(one)
            drawn.append((f"validation_pictures{ending}", heading, contents))
        if one.rows:
            heading = f"Pictures of {one.name} over steps"
            contents = figures.draw_pictures(one, max_rows)
            drawn.append((f"pictures{ending}", heading, contents))
    return drawn


if __name__ == "__main__":
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # a run that goes on keeps its GPU
    sys.exit(main())
