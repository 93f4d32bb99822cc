"""The number format in which the networks compute: float32, or mixed with 16 bits.

Variables, losses, batch statistics, outputs (tanh, sigmoid), optimizers and averages
stay float32 in all of them (Micikevicius et al. 2018, "Mixed precision training").

A processor without a 16-bit format computes its convolutions ten times as slowly as in
float32. Emulation computes them in float32, with inputs and outputs rounded to 16 bits:
what a processor that has the format does, too.
"""

import contextlib
import re
from pathlib import Path

import keras
import tensorflow as tf

LOW = {"mixed_bfloat16": tf.bfloat16, "mixed_float16": tf.float16}
_CPUINFO_PATH = Path("/proc/cpuinfo")  # Linux only
# What processors call their bfloat16 instructions: x86's, then Arm's.
_BFLOAT16_FEATURES = {"avx512_bf16", "amx_bf16", "bf16"}

_is_emulating = False


def set_precision(precision: str, emulate: bool = False):
    """Sets the global Keras dtype policy, and whether 16 bits are emulated.

    Args:
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        emulate: as `should_emulate` returns it, or as a resumed run did.
    """
    global _is_emulating
    keras.config.set_dtype_policy(precision)
    _is_emulating = emulate


def should_emulate(precision: str) -> bool:
    """Returns True if training in a precision needs emulation on this machine.

    It depends on what the hardware has, not on a measurement: GPUs have both formats,
    some processors have bfloat16, and TensorFlow has fast float16 on no processor.
    """
    if precision not in LOW or tf.config.list_physical_devices("GPU"):
        return False
    return (
        precision == "mixed_float16" or not _processor_features() & _BFLOAT16_FEATURES
    )


def is_emulated(dtype) -> bool:
    """Returns True if convolutions in a dtype are computed in float32."""
    return _is_emulating and dtype in LOW.values()


@contextlib.contextmanager
def in_float32():
    """Uses the float32 policy inside, for networks that measure images.

    Their results must not depend on `--precision`.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _processor_features():
    """Returns the names of the processor's features, as a set; empty if unknown."""
    text = _CPUINFO_PATH.read_text() if _CPUINFO_PATH.exists() else ""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return set(found[1].split()) if found else set()
