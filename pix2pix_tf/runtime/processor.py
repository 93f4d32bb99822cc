"""What Linux tells about the processor, in /proc/cpuinfo."""

import platform
import re
from pathlib import Path

# Classes of processors that are fast in the same ways, the newest first, by a feature.
_FEATURE_OF_CLASS = {"amx": "amx_bf16", "avx512": "avx512f", "avx2": "avx2"}
CLASSES = tuple(_FEATURE_OF_CLASS)
CPUINFO_PATH = Path("/proc/cpuinfo")


def model_name(path: Path = CPUINFO_PATH) -> str:
    """Returns the processor's model; on other systems its architecture."""
    return _field("model name", path) or platform.machine()


def features(path: Path = CPUINFO_PATH) -> set[str]:
    """Returns the processor's features, such as "avx2"; none on other systems."""
    return set(_field("flags|Features", path).split())


def find_class(features: set[str]) -> str | None:
    """Returns the processor's class, one of CLASSES; None if it is of no such class."""
    found = (name for name in CLASSES if _FEATURE_OF_CLASS[name] in features)
    return next(found, None)


def _field(name, path):
    """Returns the text of the first field of this name, a pattern; "" if none."""
    text = path.read_text() if path.exists() else ""
    found = re.search(rf"^(?:{name})\s*: (.*)$", text, re.MULTILINE)
    return found[1] if found else ""
