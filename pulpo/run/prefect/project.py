"""The project that a generated file belongs to."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_SERVER_ANALYTICS_ENABLED,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
    temporary_settings,
)

from pulpo.declare.discover import add_to_path
from pulpo.errors import UsageError
from pulpo.settings import LOCK_NAME

#: For a script, which has imported Prefect, and so had the environment read, before this package could say anything there:
#: Prefect's limit of 20 s for the start of its own server is too short on a busy machine, and that server reports nothing.
_OWN_SERVER = {PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: 120, PREFECT_SERVER_ANALYTICS_ENABLED: False}
#: What holds until the process ends.
_SETTINGS = contextlib.ExitStack()

NO_SERVER = "no Prefect server is configured: Prefect starts one of its own for this run, which takes up to half a minute"


def has_server() -> bool:
    """Whether a Prefect server is configured; without one each process starts one of its own."""
    return bool(PREFECT_API_URL.value())


@contextlib.contextmanager
def project(file: str) -> Iterator[None]:
    """Within it the project's modules can be imported, by a generated file that gives its `__file__`.

    A file that is run as a script says on stderr if it has to wait for a server of its own.

    Raises:
        UsageError: The file lies in no project.
    """
    add_to_path(root_of(file))
    if _is_script(file) and not has_server():
        sys.stderr.write(f"{NO_SERVER}\n")
        _SETTINGS.enter_context(temporary_settings(_OWN_SERVER))
    yield


def root_of(file: str) -> Path:
    """The directory of the project that a file lies in.

    Raises:
        UsageError: It lies in none.
    """
    path = Path(file).resolve()
    root = next((parent for parent in path.parents if (parent / LOCK_NAME).exists()), None)
    if root is None:
        raise UsageError(f"no {LOCK_NAME} at or above this file: {path}")
    return root


def _is_script(file: str) -> bool:
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    return main is not None and Path(main).resolve() == Path(file).resolve()
