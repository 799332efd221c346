"""The project that a generated file belongs to."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from prefect.exceptions import CancelledRun, FailedRun
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_SERVER_DATABASE_CONNECTION_URL

from pulpo.declare.discover import add_to_path
from pulpo.errors import PulpoError, UsageError
from pulpo.services.prefect_data import DATABASE, sqlite_url, with_plugin
from pulpo.settings import LOCK_NAME

NO_SERVER = "no Prefect server is configured: Prefect starts one of its own for this run, which takes up to half a minute"


def has_server() -> bool:
    """Whether a Prefect server is configured; without one each process starts one of its own."""
    return bool(PREFECT_API_URL.value())


def data_of_temporary_server() -> str:
    """The URL of the database of the server that Prefect starts for one run; it opens its own as the project's server does."""
    url = str(PREFECT_SERVER_DATABASE_CONNECTION_URL.value())
    return with_plugin(url) if url == sqlite_url(str(PREFECT_HOME.value())) else url


@contextlib.contextmanager
def project(file: str) -> Iterator[None]:
    """Within it the project's modules can be imported, by a generated file that gives its `__file__`.

    A file that is run as a script says on stderr if it has to wait for a server of its own, and why a run failed.

    Raises:
        UsageError: The file lies in no project.
    """
    add_to_path(root_of(file))
    if _is_script(file):
        sys.excepthook = _say
        if not has_server():
            sys.stderr.write(f"{NO_SERVER}\n")
            os.environ[DATABASE] = data_of_temporary_server()
    yield


def _say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What ends a script: what went wrong with the run in words, of anything else the traceback."""
    if isinstance(error, PulpoError | FailedRun | CancelledRun):
        sys.stderr.write(f"error: {error}\n")
        if isinstance(error, PulpoError) and error.hint:
            sys.stderr.write(f"  hint: {error.hint}\n")
    else:
        sys.__excepthook__(kind, error, trace)


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
