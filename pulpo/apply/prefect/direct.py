"""The API of a Prefect server without Prefect, whose import takes longer than most of what is asked there.

Only where Prefect's client would do the same: no setting of Prefect's says anything to it, and the server wants nothing from it.
"""

from __future__ import annotations

import tomllib
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pulpo.apply.prefect.api import HttpApi
from pulpo.manifest.addresses import host_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import httpx

    from pulpo.apply.prefect.api import Method
    from pulpo.manifest.model import Manifest

_SERVICE: Final = "prefect"
_PREFIX: Final = "PREFECT_"
#: Variables that are heeded here as Prefect's client heeds them.
_URL, _HOME = "PREFECT_API_URL", "PREFECT_HOME"
#: Settings that say nothing to a client which has the server's address.
_NOT_FOR_CLIENTS: Final = (f"{_PREFIX}SERVER_", f"{_PREFIX}LOGGING_")
#: Seconds, as Prefect's client has them.
_TIMEOUT: Final = 60.0


@asynccontextmanager
async def direct(
    manifest: Manifest, ports: Mapping[str, int], environ: Mapping[str, str], *, directory: Path | None = None
) -> AsyncIterator[HttpApi | None]:
    """The API of the server that `PREFECT_API_URL` names, else of the one that the project runs itself, while the block lasts.

    Args:
        manifest: As the environment has it that is worked in.
        ports: Those that were chosen for services whose port is `auto`.
        environ: The environment variables.
        directory: Where Prefect would look for its settings; by default the current one.

    Yields:
        None where it takes Prefect's client, also to say what is wrong: settings of Prefect's, a server over TLS, one that wants
        credentials or tokens, is of another version or is not to be reached.
    """
    url = None if _has_settings(environ, directory or Path()) else _url(manifest, ports, environ)
    if url is None:
        yield None
        return
    import ssl

    import httpx

    # It is not asked over TLS, and to load the authorities takes longer than a request.
    unused = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT, verify=unused) as client:
        yield HttpApi(_Plain(client).request, url) if await _suffices(client) else None


def _url(manifest: Manifest, ports: Mapping[str, int], environ: Mapping[str, str]) -> str | None:
    if said := environ.get(_URL):
        try:
            parts = urlsplit(said)
        except ValueError:
            return None
        return said.rstrip("/") if parts.scheme == "http" and parts.hostname and parts.username is None else None
    if (address := host_address(manifest, _SERVICE, ports)) is None:
        return None
    host, port = address
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/api"


class _Plain:
    """Requests that raise what Prefect's client raises."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def request(self, method: Method, path: str, body: Any) -> httpx.Response:
        return (await self._client.request(method, path, json=body)).raise_for_status()


async def _suffices(client: httpx.AsyncClient) -> bool:
    """Whether it is Prefect's server, of the version that is installed here, and takes requests as they are."""
    import httpx

    try:
        version = await client.get("/admin/version")
        # As Prefect's client asks for a token, which servers give only where they want it.
        token = await client.get("/csrf-token", params={"client": _SERVICE})
        said = version.json() if version.status_code == HTTPStatus.OK else None
        installed = metadata.version("prefect")
    except (httpx.HTTPError, ValueError, metadata.PackageNotFoundError):
        return False
    is_open = token.status_code == HTTPStatus.UNPROCESSABLE_ENTITY and "CSRF protection is disabled" in token.text
    return is_open and isinstance(said, str) and said.partition(".")[0] == installed.partition(".")[0]


def _has_settings(environ: Mapping[str, str], directory: Path) -> bool:
    """Whether somebody set something that Prefect's client may heed, in any place where Prefect looks for it."""
    said = [name.upper() for name in environ if name not in (_URL, _HOME)]
    if any(name.startswith(_PREFIX) and not name.startswith(_NOT_FOR_CLIENTS) for name in said):
        return True
    try:
        home = Path(environ[_HOME]).expanduser() if environ.get(_HOME) else Path.home() / ".prefect"
        places = (directory / "prefect.toml", directory / ".env", home / "profiles.toml")
        return any(place.exists() for place in places) or _is_in(directory / "pyproject.toml")
    except (OSError, RuntimeError, ValueError):  # no home, or nothing that can be read: Prefect is to say so
        return True


def _is_in(pyproject: Path) -> bool:
    return pyproject.exists() and "prefect" in tomllib.loads(pyproject.read_text("utf-8")).get("tool", {})
