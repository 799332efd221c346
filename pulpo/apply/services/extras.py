"""The packages that services which come with Pulpo are made of, and the extras that bring them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pulpo.errors import UsageError


@dataclass(frozen=True, slots=True)
class Extra:
    """An extra of Pulpo's."""

    name: str
    #: By the names that they are imported by.
    packages: tuple[str, ...]


#: Packages in a message: the extras say the rest.
_SHOWN: Final = 3
_PREFECT: Final = Extra("prefect", ("prefect",))
#: What a service needs as a process, by its name.
EXTRAS: Final[Mapping[str, Extra]] = {
    "api": Extra("api", ("fastapi", "orjson", "prometheus_client", "uvicorn")),
    "prefect": _PREFECT,
    "ui": Extra("ui", ("httpx", "python_multipart", "starlette", "uvicorn")),
    "worker": _PREFECT,
}


def check_installed(services: Iterable[str]) -> None:
    """Raise a `UsageError` unless all is installed that these services are made of; nothing is imported.

    Args:
        services: Names of services; others than those that come with Pulpo need nothing.
    """
    missing = {name: absent for name in sorted(EXTRAS.keys() & set(services)) if (absent := _absent(EXTRAS[name]))}
    if missing:
        packages = list(dict.fromkeys(package for absent in missing.values() for package in absent))
        extras = dict.fromkeys(EXTRAS[name].name for name in missing)
        shown = ", ".join([*packages[:_SHOWN], *(["…"] if len(packages) > _SHOWN else [])])
        need = "needs" if len(missing) == 1 else "need"
        what = "a package that is" if len(packages) == 1 else "packages that are"
        message = f"{', '.join(missing)} {need} {what} not installed: {shown}"
        raise UsageError(message, hint=f"pip install 'pulpocore[{','.join(extras)}]'")


def _absent(extra: Extra) -> list[str]:
    return [package for package in extra.packages if importlib.util.find_spec(package) is None]
