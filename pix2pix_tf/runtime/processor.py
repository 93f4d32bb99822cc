"""What Linux tells about the processor, in /proc/cpuinfo."""

import platform
import re
from pathlib import Path

CPUINFO_PATH = Path("/proc/cpuinfo")


def model_name(path: Path = CPUINFO_PATH) -> str:
    """Returns the processor's model; on other systems its architecture."""
    return _field("model name", path) or platform.machine()


def features(path: Path = CPUINFO_PATH) -> set[str]:
    """Returns the processor's features, such as "avx2"; none on other systems."""
    return set(_field("flags|Features", path).split())


def _field(name, path):
    """Returns the text of the first field of this name, a pattern; "" if none."""
    text = path.read_text() if path.exists() else ""
    found = re.search(rf"^(?:{name})\s*: (.*)$", text, re.MULTILINE)
    return found[1] if found else ""
