"""How flags are made: fields of dataclasses with types and bounds, and their parser.

In: what any command's flags need. Not in: the flags of pix2pix themselves (`config`).
No TensorFlow here, so that `--help` and wrong usage answer at once.
"""

import argparse
import dataclasses
import reprlib
import sys

from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable


def make_flag(
    kind, default, help, *, minimum=None, above=None, below=None, choices=None
):
    """A dataclass field that is also a flag: `kind` is its type, then its bounds."""
    bounds = {"minimum": minimum, "above": above, "below": below, "choices": choices}
    return dataclasses.field(
        default=default, metadata={"kind": kind, "help": help, **bounds}
    )


class Size:
    """The kind of a flag that is one number of pixels, or a height and a width.

    Its values are an int, or a tuple (height, width); `sides` makes both alike.
    """


def sides(size):
    """Returns (height, width) of a Size's value."""
    return size if isinstance(size, tuple) else (size, size)


def make_size(height, width):
    """Returns the Size's value of a height and a width."""
    return height if height == width else (height, width)


def size_text(size):
    """Returns a Size's value as it is given to its flag."""
    return " ".join(map(str, size)) if isinstance(size, tuple) else str(size)


def refuse(is_used, flag, other):
    """Refuses `flag`, where it is used, beside `other`."""
    if is_used:
        raise UsageError(f"{flag} does not go with {other}: leave one of them out")


class Checked:
    """Checks every field's type and bounds when a config is made."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check(field, getattr(self, field.name))


def check(flag, value, where=None):
    """Raises UsageError unless `value` has the flag's type and lies in its bounds."""
    if value is None and flag.default is None:
        return
    kind, rules = flag.metadata["kind"], flag.metadata
    if not _has_kind(value, kind):
        wanted = [_KIND_NAMES[kind]]
    else:
        numbers = sides(value) if kind is Size else [value]
        wanted = [text for number in numbers for text in _missed(number, rules)]
    if wanted:
        where = where or f"--{flag.name}"
        wanted = " and ".join(dict.fromkeys(wanted))
        raise UsageError(f"{where} must be {wanted}, got {_SHORT.repr(value)}")


_SHORT = reprlib.Repr()  # of what a file holds, for one line
_SHORT.maxstring = _SHORT.maxother = 200  # characters
_KIND_NAMES = {
    bool: "a bool",
    float: "a finite number",
    int: "a whole number",
    str: "a str",
    Size: "a whole number, or a height and a width",
}


def _has_kind(value, kind):
    if kind is Size:
        pair = value if isinstance(value, tuple) and len(value) == 2 else (value,)
        return all(type(side) is int for side in pair)
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and abs(value) <= sys.float_info.max  # no NaN, no larger int
    return type(value) is kind


def _missed(value, rules):
    """Returns the bounds of a flag that a value of its kind misses, as text."""
    missed = []
    if rules["choices"] is not None and value not in rules["choices"]:
        missed.append("one of " + ", ".join(map(str, rules["choices"])))
    if rules["minimum"] is not None and value < rules["minimum"]:
        missed.append(f"at least {rules['minimum']}")
    if rules["above"] is not None and value <= rules["above"]:
        missed.append(f"above {rules['above']}")
    if rules["below"] is not None and value >= rules["below"]:
        missed.append(f"below {rules['below']}")
    return missed


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the list of flags."""

    def error(self, message):
        line = printable(f"{self.prog}: error: {message} (--help lists the flags)")
        self.exit(2, f"{line}\n")


class _SizeAction(argparse.Action):
    """Takes one number or two for a Size."""

    def __call__(self, parser, namespace, values, option_string=None):
        if len(values) > 2:
            parser.error(f"{option_string} takes one number or two, got {len(values)}")
        setattr(namespace, self.dest, make_size(values[0], values[-1]))


def parse_flags(flags, argv, prog, description):
    """Returns {flag name: value} of the flags that a command line gives.

    Args:
        flags: {flag name: field}, as `flags_of` gives them.
        argv: list of str, or None for the process's own.
        prog, description: str, for usage and help.

    Raises:
        SystemExit: status 2 for a wrong flag, 0 after `--help`.
    """
    parser = _Parser(
        prog=prog,
        description=description,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    for name, flag in flags.items():
        kind, text = flag.metadata["kind"], flag.metadata["help"]
        if kind is bool:
            parser.add_argument(f"--{name}", action="store_true", help=text)
        elif kind is Size:
            parser.add_argument(
                f"--{name}",
                type=int,
                nargs="+",
                action=_SizeAction,
                metavar="PIXELS",
                help=f"{text}; {flag.default}",
            )
        else:
            parser.add_argument(
                f"--{name}",
                type=kind,
                choices=flag.metadata["choices"],
                metavar=None if flag.metadata["choices"] else kind.__name__.upper(),
                required=name == "mode",
                help=text if flag.default is None else f"{text}; {flag.default}",
            )
    if "flip" in flags:
        parser.add_argument(
            "--no_flip", dest="flip", action="store_false", help="train: do not flip"
        )
    return vars(parser.parse_args(argv))
