"""Parses the command line of declared flags with argparse; groups `--help`."""

import argparse
import itertools
import os

from pix2pix_tf.options.flag import MODES, Flag, Size, make_size, value_text
from pix2pix_tf.runtime.command import Parser


def parse_flags(
    flags: dict[str, Flag], argv: list[str] | None, prog: str, description: str
) -> dict:
    """Returns {flag name: value} of the flags on a command line, without defaults.

    Args:
        flags: {flag name: Flag}; the flags of one group must be consecutive.
        argv: the arguments, or None for those of the process.
        prog: the command's name, for --help.
        description: its purpose, for --help.

    Raises:
        UsageError: a flag is wrong.
        SystemExit: after `--help`.
    """
    parser = Parser(prog, description, argument_default=argparse.SUPPRESS)
    for heading, members in itertools.groupby(flags.values(), lambda one: one.group):
        group = parser.add_argument_group(heading)
        for one in members:
            _add_flag(group, one)
    return vars(parser.parse_args(argv))


def _add_flag(group, one):
    """Adds a Flag to an argparse group."""
    flag_name = f"--{one.name}"
    if one.type is bool:
        group.add_argument(flag_name, action="store_true", help=_help(one))
        if one.default:
            group.add_argument(
                f"--no_{one.name}",
                dest=one.name,
                action="store_false",
                help=f"turn --{one.name} off",
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
            metavar=None if one.choices else (one.unit or one.type.__name__).upper(),
            required=one.is_required,
            help=_help(one),
        )


def _help(one):
    """Returns the text of a Flag in --help, with its default and modes."""
    text = one.help.replace("%", "%%")
    if one.default is not None and "(default" not in text and not one.is_required:
        text += f" (default: {_default(one)})"
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
