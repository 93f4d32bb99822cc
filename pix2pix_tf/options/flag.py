"""How a flag is declared, and how its value is checked.

A flag is a field of a `Config`: its name, type, default, help, bounds and everything
else that is known of it stand in that one line. Other modules derive their lists from
it. Not in: the flags themselves, argparse.
"""

import dataclasses
import reprlib
import sys
import types
import typing
from typing import ClassVar

from pix2pix_tf.runtime.errors import UsageError

MODES = ("train", "test", "export")
# The type of a flag that is one number of pixels, or a height and a width.
Size = int | tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Flag:
    """All that is known of one flag."""

    name: str
    type: type  # bool, int, float, str or Size
    default: object
    group: str  # the heading under which --help lists it
    help: str
    unit: str | None = None  # such as "steps" or "pixels"; for paths what they name
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple | None = None
    modes: tuple = MODES  # in which it means something
    is_required: bool = False
    is_path: bool = False
    is_hyperparameter: bool = False  # listed on TensorBoard's HParams page
    from_checkpoint: bool = False  # it shapes the networks, so a checkpoint decides it
    may_change: bool = False  # when a run is resumed
    in_original: bool = False
    needs_memory: bool = False  # a larger value needs more memory

    def check(self, value, where=None):
        """Raises UsageError unless a value has the flag's type and is in its bounds.

        Args:
            value: any object.
            where: str, how the message names the flag (default: --NAME).
        """
        if value is None and self.default is None:
            return
        if not _has_type(value, self.type):
            wanted = [_TYPE_NAMES[self.type]]
        else:
            numbers = sides(value) if self.type is Size else [value]
            wanted = [text for number in numbers for text in self._missed(number)]
        if wanted:
            where = where or f"--{self.name}"
            wanted = " and ".join(dict.fromkeys(wanted))
            raise UsageError(f"{where} must be {wanted}, got {_SHORT.repr(value)}")

    def _missed(self, value):
        """Returns the bounds that a value of the right type misses, as text."""
        missed = []
        if self.choices is not None and value not in self.choices:
            missed.append("one of " + ", ".join(map(str, self.choices)))
        if self.minimum is not None and value < self.minimum:
            missed.append(f"at least {self.minimum}")
        if self.maximum is not None and value > self.maximum:
            missed.append(f"at most {self.maximum}")
        if self.above is not None and value <= self.above:
            missed.append(f"above {self.above}")
        if self.below is not None and value >= self.below:
            missed.append(f"below {self.below}")
        return missed


def flag(default, help, **known):
    """Returns a dataclass field that declares a flag.

    Args:
        default: the default value.
        help: str, what --help says, without the default.
        known: other fields of `Flag`, but name, type and group.
    """
    return dataclasses.field(default=default, metadata={"help": help, **known})


class Config:
    """The base of a group of flags; its docstring's first line is the group's heading.

    Making one checks the type and bounds of every flag.
    """

    are_hyperparameters: ClassVar[bool] = False  # of all flags of the group

    def __post_init__(self):
        for name, one in flags_in(type(self)).items():
            one.check(getattr(self, name))


def flags_in(config_class) -> dict[str, Flag]:
    """Returns {name: Flag} of one Config class."""
    hints = typing.get_type_hints(config_class)
    group = config_class.__doc__.splitlines()[0].rstrip(".")
    of_all = {"is_hyperparameter": config_class.are_hyperparameters}
    return {
        field.name: Flag(
            field.name,
            _plain_type(hints[field.name]),
            field.default,
            group,
            **(of_all | field.metadata),
        )
        for field in dataclasses.fields(config_class)
    }


def flags_of(options_class) -> dict[str, Flag]:
    """Returns {name: Flag} of all parts of an options class."""
    return {
        name: one
        for part in dataclasses.fields(options_class)
        for name, one in flags_in(part.type).items()
    }


def reuse(original, **changes):
    """Returns the field of a flag that another command has too.

    Args:
        original: Flag.
        changes: what differs there: `default`, `help` or another field of `Flag`.
    """
    known = vars(original) | changes
    for name in ("name", "type", "group"):
        del known[name]
    return flag(known.pop("default"), known.pop("help"), **known)


def refuse(is_used, name, other):
    """Raises UsageError if the flag `name` is used together with `other`."""
    if is_used:
        raise UsageError(f"{name} does not go with {other}: leave one of them out")


def sides(size: Size) -> tuple[int, int]:
    """Returns (height, width) of a Size."""
    return size if isinstance(size, tuple) else (size, size)


def make_size(height: int, width: int) -> Size:
    """Returns the Size of a height and a width: one number where they are equal."""
    return height if height == width else (height, width)


def value_text(value) -> str:
    """Returns a flag's value as it is written on a command line."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


_SHORT = reprlib.Repr()  # of a value from a file, for one line
_SHORT.maxstring = _SHORT.maxother = 200  # characters
_TYPE_NAMES = {
    bool: "true or false",
    float: "a finite number",
    int: "a whole number",
    str: "text",
    Size: "a whole number, or a height and a width",
}


def _plain_type(annotation):
    """Returns the type of a flag without the None of `T | None`."""
    if annotation == Size or not isinstance(annotation, types.UnionType):
        return annotation
    (plain,) = [one for one in typing.get_args(annotation) if one is not type(None)]
    return plain


def _has_type(value, wanted):
    if wanted is Size:
        pair = value if isinstance(value, tuple) and len(value) == 2 else (value,)
        return all(type(side) is int for side in pair)
    if wanted is float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        # A NaN compares as False; a larger int has no float.
        return is_number and abs(value) <= sys.float_info.max
    return type(value) is wanted
