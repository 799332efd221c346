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
from pulpo.errors import DiagnosticsError
from pulpo.manifest.addresses import host_address
from pulpo.manifest.references import resolve

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
#: The profile that is active where none is chosen.
_PROFILE: Final = "ephemeral"
#: Where a server has its API, unless its URI says so.
_PATH: Final = "/api"
#: Seconds, as Prefect's client has them.
_TIMEOUT: Final = 60.0


@asynccontextmanager
async def direct(
    manifest: Manifest, ports: Mapping[str, int], environ: Mapping[str, str], *, directory: Path | None = None
) -> AsyncIterator[HttpApi | None]:
    """The API of the server that `PREFECT_API_URL` or the manifest names, else of the one that the project runs itself.

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
        return said.rstrip("/") if _is_plain(said) else None
    service = manifest.services.get(_SERVICE)
    if service is not None and service.uri is not None:
        said = _resolved(service.uri, environ)
        return (said.rstrip("/") if urlsplit(said).path.strip("/") else f"{said.rstrip('/')}{_PATH}") if _is_plain(said) else None
    if (address := host_address(manifest, _SERVICE, ports)) is None:
        return None
    host, port = address
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{_PATH}"


def _resolved(uri: str, environ: Mapping[str, str]) -> str:
    """What a URI with references stands for; empty where that can't be said."""
    try:
        return str(resolve({"services": {_SERVICE: {"uri": uri}}}, environ).data["services"][_SERVICE]["uri"])
    except DiagnosticsError:
        return ""


def _is_plain(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return parts.scheme == "http" and has_place and parts.username is None and not parts.query and not parts.fragment


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
    if any(_is_heeded(name) for name in environ if name not in (_URL, _HOME)):
        return True
    try:
        home = Path(environ[_HOME]).expanduser() if environ.get(_HOME) else Path.home() / ".prefect"
        return (
            (directory / "prefect.toml").exists()
            or _PREFIX in _text(directory / ".env").upper()
            or "prefect" in tomllib.loads(_text(directory / "pyproject.toml")).get("tool", {})
            or _profile_has_some(tomllib.loads(_text(home / "profiles.toml")))
        )
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError):
        return True  # no home, or a file that can't be read or makes no sense: Prefect is to say so


def _is_heeded(name: str) -> bool:
    return name.upper().startswith(_PREFIX) and not name.upper().startswith(_NOT_FOR_CLIENTS)


def _profile_has_some(data: dict[str, Any]) -> bool:
    """Whether the active profile says more than an address, which goes after what the project says; as Prefect's own do not."""
    profile = data.get("profiles", {}).get(data.get("active", _PROFILE), {})
    return not isinstance(profile, dict) or any(_is_heeded(name) for name in profile if name != _URL)


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""
