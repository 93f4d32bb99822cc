"""How a flag is declared, and how its value is checked.

A flag is a field of a `Config`, which declares its name, type, default, help, bounds
and properties. Lists of flags in other modules are derived from these declarations.
"""

import dataclasses
import reprlib
import sys
import types
import typing
from typing import ClassVar

from pix2pix_tf.runtime.errors import UsageError

MODES = ("train", "test", "export")
Size = int | tuple[int, int]  # pixels: the side of a square, or (height, width)


@dataclasses.dataclass(frozen=True)
class Flag:
    """The declaration of one flag."""

    name: str
    type: type  # bool, int, float, str or Size
    default: object
    group: str  # its heading in --help
    help: str
    unit: str | None = None  # such as "steps"; for a path, "file" or "folder"
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple | None = None
    modes: tuple = MODES  # in which it can be used
    is_required: bool = False
    is_path: bool = False
    is_hyperparameter: bool = False  # listed on TensorBoard's HParams page
    from_checkpoint: bool = False  # the checkpoint decides it: it shapes the networks
    may_change: bool = False  # when a run is resumed
    is_inherited: bool = True  # by a resumed run that does not give it
    in_original: bool = False  # the original program has it
    needs_memory: bool = False  # a larger value needs more memory

    def check(self, value, where: str | None = None):
        """Raises UsageError unless a value has the flag's type and is in its bounds.

        Args:
            value: any object.
            where: the flag's name in the message (default: --NAME).
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
        """Returns the bounds that a value of the right type violates, as text."""
        missed = []
        if self.type is str and "\0" in value:
            missed.append("text without a null character")
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
        help: str, its text in --help, without the default.
        known: other fields of `Flag`, except name, type and group.
    """
    return dataclasses.field(default=default, metadata={"help": help, **known})


class Config:
    """The base class of a group of flags; `--help` shows the docstring as its heading.

    The constructor checks the type and bounds of every flag.
    """

    are_hyperparameters: ClassVar[bool] = False  # True: all flags of the group are

    def __post_init__(self):
        for name, one in flags_in(type(self)).items():
            one.check(getattr(self, name))

    def refuse_changed(self, other: str, *names: str):
        """Raises UsageError if a flag of these names does not have its default.

        Args:
            other: the flag they cannot be used with, such as "--dataset".
            names: of flags of this group.
        """
        flags = flags_in(type(self))
        for name in names:
            refuse(getattr(self, name) != flags[name].default, f"--{name}", other)


def flags_in(config_class: type) -> dict[str, Flag]:
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


def flags_of(options_class: type) -> dict[str, Flag]:
    """Returns {name: Flag} of all parts of an options class."""
    return {
        name: one
        for part in dataclasses.fields(options_class)
        for name, one in flags_in(part.type).items()
    }


def train_flag(default, help, **known):
    """Returns the field of a flag that can be used in --mode train only."""
    return flag(default, help, modes=("train",), **known)


def reuse(original: Flag, **changes):
    """Returns a field that declares another command's flag of the same name.

    Args:
        original: the flag to copy.
        changes: the fields of `Flag` that differ, such as `default` and `help`.
    """
    known = vars(original) | changes
    for name in ("name", "type", "group"):
        del known[name]
    return flag(known.pop("default"), known.pop("help"), **known)


def refuse(is_used: bool, name: str, other: str):
    """Raises UsageError if the flag `name` is used, as `other` does not allow it."""
    if is_used:
        raise UsageError(f"{name} cannot be used with {other}: leave one of them out")


def sides(size: Size) -> tuple[int, int]:
    """Returns (height, width) of a Size."""
    return size if isinstance(size, tuple) else (size, size)


def make_size(height: int, width: int) -> Size:
    """Returns the Size of a height and a width: one number if they are equal."""
    return height if height == width else (height, width)


def value_text(value) -> str:
    """Returns the text of a flag's value on a command line."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


_SHORT = reprlib.Repr()  # shortens a value of a file to one line
_SHORT.maxstring = _SHORT.maxother = 200  # characters
_TYPE_NAMES = {
    bool: "true or false",
    float: "a finite number",
    int: "a whole number",
    str: "text",
    Size: "a whole number, or a height and a width",
}


def _plain_type(annotation):
    """Returns T of `T | None`; any other type as it is."""
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
        # NaN fails this comparison; a larger int cannot be a float.
        return is_number and abs(value) <= sys.float_info.max
    return type(value) is wanted
