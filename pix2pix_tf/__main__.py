"""The command `pix2pix-tf COMMAND [flags]`, also `python -m pix2pix_tf`.

Here: the table of the commands. A command's module is imported when it is called.
"""

import difflib
import functools
import os
import sys

from pix2pix_tf.runtime import command
from pix2pix_tf.runtime.errors import UsageError

PROG = "pix2pix-tf"


def main(argv: list[str] | None = None) -> int:
    """Runs one command line.

    Args:
        argv: the arguments (default: those of the process). If the first is a flag,
            such as `--mode`, they are those of `pix2pix_tf.train`.

    Returns:
        The exit status; `runtime.command` lists the values.

    Raises:
        SystemExit: after `--help` and `--version`.
    """
    if argv is None:
        argv = _words_before() if command.is_completing() else sys.argv[1:]
    first = argv[0] if argv else ""
    if first in COMMANDS:
        if command.is_completing():  # this word is the program of the command's flags
            os.environ["_ARGCOMPLETE"] = str(int(os.environ["_ARGCOMPLETE"]) + 1)
        _, run = COMMANDS[first]
        return run(argv[1:])
    if first.startswith("--") and first not in ("--help", "--version"):
        return _train(argv)
    return command.run(PROG, lambda: _answer(first))


def _words_before():
    """Returns the arguments before the word that the shell wants to complete."""
    import argcomplete

    line, point = os.environ["COMP_LINE"], int(os.environ["COMP_POINT"])
    _, _, _, words, _ = argcomplete.split_line(line, point)
    return words[int(os.environ["_ARGCOMPLETE"]) :]


def _answer(first):
    """Prints the help or the version; raises UsageError for another argument."""
    parser = command.Parser(
        PROG,
        "pix2pix in TensorFlow 2 and Keras 3: paired image-to-image translation.",
        usage=f"{PROG} COMMAND [flags]",
        epilog=f"`{PROG} COMMAND --help` lists the flags of a command.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, (text, _) in COMMANDS.items():
        commands.add_parser(name, help=text, description=text)
    if command.is_completing() or first in ("-h", "--help", "--version"):
        parser.parse_args([first])
    nearest = difflib.get_close_matches(first, COMMANDS, 1)
    hint = f", did you mean {nearest[0]}?" if nearest else ""
    got = f"{first!r} is not a command{hint}" if first else "the command is missing"
    wanted = ", ".join(COMMANDS)
    raise UsageError(f"{got} (wanted one of {wanted}; --help describes them)")


def _train(argv, mode=None):
    from pix2pix_tf import train

    return train.main(argv, mode=mode)


def _mode(mode, argv):
    """Runs `pix2pix_tf.train` in a mode."""

    def refuse():
        raise UsageError(f"`{PROG} {mode}` means --mode {mode}: leave --mode out")

    if any(text.partition("=")[0] == "--mode" for text in argv):
        return command.run(f"{PROG} {mode}", refuse)
    return _train(argv, mode)


def _dcgan(argv):
    from pix2pix_tf.dcgan.__main__ import main

    return main(argv)


def _datasets(argv):
    from pix2pix_tf.datasets.__main__ import main

    return main(argv)


def _download(argv):
    from pix2pix_tf.commands import download

    return download.main(argv)


def _predict(argv):
    from pix2pix_tf.commands import predict

    return predict.main(argv)


def _serve(argv):
    from pix2pix_tf.serve.__main__ import main

    return main(argv)


def _process(argv):
    from pix2pix_tf.commands import process

    return process.main(argv)


def _split(argv):
    from pix2pix_tf.commands import split

    return split.main(argv)


def _plot(argv):
    from pix2pix_tf.commands.plot.__main__ import main

    return main(argv)


def _score(argv):
    from pix2pix_tf.commands import score

    return score.main(argv)


def _convert(argv):
    from pix2pix_tf.commands import convert

    return convert.main(argv)


# {name: (line of --help, function from arguments to an exit status)}
COMMANDS = {
    "train": ("train on image pairs or photographs", functools.partial(_mode, "train")),
    "test": ("translate and measure images", functools.partial(_mode, "test")),
    "predict": ("translate images", _predict),
    "export": (
        "write a model for TensorFlow Serving, LiteRT, ONNX or Keras",
        functools.partial(_mode, "export"),
    ),
    "serve": ("serve models by HTTP, with a page to draw on", _serve),
    "dcgan": ("train DCGAN, which needs no pairs", _dcgan),
    "datasets": ("prepare a data set of tensorflow_datasets", _datasets),
    "download": ("download a data set of the paper", _download),
    "process": ("resize, combine or draw the edges of images", _process),
    "split": ("split images into train, val and test", _split),
    "plot": ("draw the curves and images of runs", _plot),
    "score": ("measure images against others", _score),
    "convert": ("convert checkpoints from and to other projects", _convert),
}

if __name__ == "__main__":
    sys.exit(main())
