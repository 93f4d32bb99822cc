"""Parses the command line of declared flags with argparse; groups `--help`.

Flags may also stand in the file of `--config`.
"""

import argparse
import itertools
import os

from pix2pix_tf.options.config_file import read_config
from pix2pix_tf.options.flag import MODES, Flag, Size, make_size, value_text
from pix2pix_tf.runtime.command import Parser


def parse_flags(
    flags: dict[str, Flag],
    argv: list[str] | None,
    prog: str,
    description: str,
    decided: dict | None = None,
) -> dict:
    """Returns {flag name: value} of the flags on a command line, without defaults.

    Flags in the file of `--config` count as given; the command line overrules them.

    Args:
        flags: {flag name: Flag}; the flags of one group must be consecutive.
        argv: the arguments, or None for those of the process.
        prog: the command's name, for --help.
        description: its purpose, for --help.
        decided: {flag name: value} of flags that the command line does not take, and
            that overrule the file of `--config`.

    Raises:
        UsageError: a flag or the file of `--config` is wrong.
        SystemExit: after `--help`.
    """
    decided = decided or {}
    parser = Parser(prog, description, argument_default=argparse.SUPPRESS)
    parser.add_argument(
        "--config",
        type=os.path.expanduser,
        metavar="FILE",
        help="a TOML file with flags, as lines NAME = VALUE; the command line "
        "overrules them, and --no_NAME turns off a switch (default: none)",
    )
    for heading, members in itertools.groupby(flags.values(), lambda one: one.group):
        group = parser.add_argument_group(heading)
        for one in members:
            if one.name not in decided:
                add_flag(group, one)
    given = vars(parser.parse_args(argv)) | decided
    if "config" in given:
        given = read_config(given.pop("config"), flags) | given
    for one in flags.values():
        if one.is_required and one.name not in given:
            parser.error(f"--{one.name} is missing")
    return given


def add_flag(group: argparse._ArgumentGroup, one: Flag) -> None:
    """Adds a Flag to an argparse group."""
    flag_name = f"--{one.name}"
    if one.type is bool:
        group.add_argument(flag_name, action="store_true", help=_help(one))
        group.add_argument(
            f"--no_{one.name}",
            dest=one.name,
            action="store_false",
            # Where off is the default, only a --config can have turned it on.
            help=f"turn --{one.name} off" if one.default else argparse.SUPPRESS,
        )
    elif one.type is Size:
        group.add_argument(
            flag_name,
            type=int,
            nargs="+",
            action=_SizeAction,
            metavar=one.unit.upper(),
            help=_help(one),
        )
    else:
        group.add_argument(
            flag_name,
            # The shell does not expand the ~ of --output_dir=~/runs.
            type=os.path.expanduser if one.is_path else one.type,
            choices=one.choices,
            metavar=_metavar(one),
            help=_help(one),
        )


def _metavar(one):
    """Returns the placeholder of a value; None shows the choices.

    A unit replaces choices that are too long for a line; the help names them.
    """
    if one.choices and not one.unit:
        return None
    return (one.unit or one.type.__name__).upper()


def _help(one):
    """Returns the text of a Flag in --help, with its default and modes."""
    text = one.help.replace("%", "%%")
    if one.default is not None and "(default" not in text and not one.is_required:
        text += f" (default: {_default(one)})"
    if one.is_required:
        text += " (required)"
    if one.modes != MODES:
        text += f" [{', '.join(one.modes)}]"
    return text


def _default(one):
    if one.type is bool:
        return "on" if one.default else "off"
    is_count = one.unit and one.unit.endswith("s") and one.default != 1
    return value_text(one.default) + (f" {one.unit}" if is_count else "")


class _SizeAction(argparse.Action):
    """Parses one or two numbers as a Size."""

    def __call__(self, parser, namespace, values, option_string=None):
        if len(values) > 2:
            parser.error(f"{option_string} takes one or two numbers, got {len(values)}")
        setattr(namespace, self.dest, make_size(values[0], values[-1]))
