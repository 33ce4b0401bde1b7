"""How a harness gets into another process: by the file of its class and the state of the instance."""

from __future__ import annotations

import base64
import importlib.util
import inspect
import pickle
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omniq_conformance.harness import Harness

__all__ = ["harness_from", "reference_to"]

_MODULE = "omniq_conformance_harness"


def reference_to(harness: Harness) -> dict[str, str]:
    """Describe a harness, as JSON values.

    Raises:
        TypeError: The state of the instance cannot be pickled.
    """
    kind = type(harness)
    state = base64.b64encode(pickle.dumps(harness.__getstate__())).decode()
    return {"file": inspect.getfile(kind), "class": kind.__qualname__, "state": state}


def harness_from(reference: dict[str, str]) -> Harness:
    """Return the harness that was described.

    Raises:
        ImportError: Its file cannot be imported.
    """
    specification = importlib.util.spec_from_file_location(_MODULE, reference["file"])
    if specification is None or specification.loader is None:
        msg = f"{reference['file']} cannot be imported; the harness has to be in a Python file."
        raise ImportError(msg)
    module = importlib.util.module_from_spec(specification)
    sys.modules[_MODULE] = module
    specification.loader.exec_module(module)
    kind = getattr(module, reference["class"])
    harness: Harness = kind.__new__(kind)
    vars(harness).update(pickle.loads(base64.b64decode(reference["state"])))  # noqa: S301 - from the parent process
    return harness
