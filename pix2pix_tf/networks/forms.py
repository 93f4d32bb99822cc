"""Which form of a convolution is the fastest, by class of processor.

benchmarks/forms.py measures a row, with images of 256x256 and ngf 64; where each row
was measured is in docs/performance.md. All forms give the same numbers except for the
order of sums (in 16 bits, some round parts before they are added), so a run keeps its
class when it is resumed on another machine.
"""

import contextlib
import contextvars
import dataclasses
import functools

import tensorflow as tf

from pix2pix_tf.runtime import processor

# Numbers in a kernel, below which the library's convolution is as fast as `conv`,
# `deconv` or `conv_by_patches`: at ngf 8 all kernels, at ngf 16 all but the largest.
MIN_KERNEL = 2**19


@dataclasses.dataclass(frozen=True)
class Forms:
    """Where other forms than the library's are faster.

    Areas are height times width, the pixels of the smaller image of a convolution of
    stride 2. The defaults leave everything to the library.
    """

    conv_area: int = 0  # up to this one, `conv`
    deconv_area: int = 0  # up to this one, `deconv`
    has_conv_to_one: bool = False  # for stride 1 and one filter
    has_taps: bool = False  # `conv_by_taps` for stride 1 and more filters
    patches: int = 0  # up to so many in a batch, `conv_by_patches` in float32
    has_conv_blocks: bool = False  # with frozen kernels
    deconv_blocks_filters: int = 0  # with frozen kernels that are no products, up to it


BY_CLASS = {
    "library": Forms(),  # also of GPUs, and where /proc/cpuinfo names no class
    "avx2": Forms(
        conv_area=16,
        deconv_area=256,
        has_conv_to_one=True,
        has_taps=True,
        has_conv_blocks=True,
        deconv_blocks_filters=2**16,
    ),
    "avx512": Forms(
        conv_area=16, deconv_area=64, has_conv_to_one=True, deconv_blocks_filters=4
    ),
    "amx": Forms(
        conv_area=256,
        deconv_area=256,
        has_conv_to_one=True,
        patches=1024,
        deconv_blocks_filters=4,
    ),
}
_given = contextvars.ContextVar("the Forms of `applied`", default=None)


def find_class(features: set[str]) -> str:
    """Returns the key of BY_CLASS for a processor, or for the GPUs of this machine.

    Args:
        features: those of the processor, from `processor.features`.
    """
    if tf.config.list_physical_devices("GPU"):
        return "library"
    return processor.find_class(features) or "library"


@functools.cache
def class_of_this_machine() -> str:
    """Returns the key of BY_CLASS for this machine."""
    return find_class(processor.features())


@contextlib.contextmanager
def applied(name: str):
    """Context manager: layers that are made inside take the forms of a class.

    Args:
        name: a key of BY_CLASS.
    """
    token = _given.set(BY_CLASS[name])
    try:
        yield
    finally:
        _given.reset(token)


def current() -> Forms:
    """Returns the Forms of `applied`; outside of it, those of this machine."""
    return _given.get() or BY_CLASS[class_of_this_machine()]
