"""Imports packages that not everybody needs."""

import importlib
from types import ModuleType

from pix2pix_tf.runtime.errors import UsageError


def import_optional(module: str, package: str, needed_by: str) -> ModuleType:
    """Imports a module of an optional package.

    Args:
        module: its name, such as "ai_edge_litert.interpreter".
        package: what pip installs.
        needed_by: the flag, file or command that needs it, for the error.

    Raises:
        UsageError: the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        message = f"{needed_by} needs {package}: pip install {package}"
        raise UsageError(message) from None
