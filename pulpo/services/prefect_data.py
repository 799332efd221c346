"""Where Prefect's server keeps its data: in an SQLite file, opened with the plugin `pulpo.services.prefect_sqlite`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: The variable that says where, of which Prefect has an older name as well.
DATABASE: Final = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
_KEYS: Final = ("CONNECTION_URL", "DRIVER", "HOST", "PORT", "USER", "NAME", "PASSWORD")
_SAID: Final = frozenset(f"PREFECT_{part}_DATABASE_{key}" for part in ("API", "SERVER") for key in _KEYS)


def sqlite_url(directory: str) -> str:
    """The URL of the file that Prefect's server has by default where PREFECT_HOME is that directory."""
    return f"sqlite+aiosqlite:///{directory}/prefect.db"


def with_plugin(url: str) -> str:
    """The URL of an SQLite file, opened by the plugin: Pulpo has to be installed where the server runs."""
    return f"{url}?plugin=pulpo"


def data_in(directory: str, said: Iterable[str]) -> dict[str, str]:
    """The variables of a server whose PREFECT_HOME is a directory.

    Args:
        directory: Its path.
        said: The names of the variables that it is told otherwise: where they say which database it has, that stays.
    """
    found = {"PREFECT_HOME": directory}
    if not _SAID.intersection(said):
        found[DATABASE] = with_plugin(sqlite_url(directory))
    return found
