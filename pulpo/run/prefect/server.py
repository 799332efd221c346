"""Which Prefect server is talked to, and what is wrong with it where it can't be."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

import httpx
import prefect
from prefect.client.base import ServerType
from prefect.client.orchestration import PrefectClient, get_client
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)

from pulpo.errors import UsageError
from pulpo.manifest.addresses import host_address
from pulpo.manifest.model import Manifest
from pulpo.manifest.references import resolve

if TYPE_CHECKING:
    from pulpo.diagnostics import Locate

#: The service of the manifest that is Prefect's server.
SERVICE = "prefect"
_VARIABLE = "PREFECT_API_URL"
_STARTED: Final = "`pulpo prefect start` starts the project's own"
#: Seconds in which a server of this machine takes a connection.
_MOMENT: Final = 0.5
_WHERE_SET = f"set {_VARIABLE}, `services.{SERVICE}.uri` in the lock, or a profile of Prefect's"


@contextlib.contextmanager
def connected(
    manifest: Manifest,
    environ: Mapping[str, str] = os.environ,
    locate: Locate = lambda _: None,
    *,
    ports: Mapping[str, int] = MappingProxyType({}),
    running: bool = False,
) -> Iterator[str | None]:
    """Within it Prefect's clients talk to the project's server; yields `configured()`.

    That is what the variable PREFECT_API_URL says, else the manifest's `services.prefect.uri`, else where that service listens
    if the project runs it, else Prefect's own settings.

    Args:
        manifest: As the environment has it that is worked in.
        environ: The environment variables.
        locate: Knows the places of paths in the manifest, for problems.
        ports: Those that were chosen for services whose port is `auto` (`Project.chosen_ports`).
        running: Whether the server that the project runs itself counts only while something listens there.

    Raises:
        UsageError: The service's URI is no address of a server.
        DiagnosticsError: A variable is not set that the URI refers to.
    """
    found = None if environ.get(_VARIABLE) else _uri(manifest, environ, locate, ports, running=running)
    if found is None:
        yield configured()  # Prefect reads the variable and its profiles itself
        return
    with temporary_settings(_settings(found)):
        yield configured()


def _uri(
    manifest: Manifest, environ: Mapping[str, str], locate: Locate, ports: Mapping[str, int], *, running: bool
) -> str | None:
    service = manifest.services.get(SERVICE)
    if service is not None and service.uri is not None:
        resolved = resolve({"services": {SERVICE: {"uri": service.uri}}}, environ, locate)
        return str(resolved.data["services"][SERVICE]["uri"])
    address = host_address(manifest, SERVICE, ports)
    if address is None or (running and not _listens(address)):
        return None
    host, port = address
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, _MOMENT).close()
    except OSError:
        return False
    return True


def configured() -> str | None:
    """The URL of the API that Prefect's clients talk to, without a password; None where there is none."""
    return without_password(PREFECT_API_URL.value())


def without_password(url: str | None) -> str | None:
    """The URL without the name and password that may be in it."""
    if not url:
        return None
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def required(url: str | None) -> str:
    """The URL that `connected` found.

    Raises:
        UsageError: It found none.
    """
    if not url:
        raise UsageError("no Prefect server is configured", hint=f"{_STARTED}; or {_WHERE_SET}")
    return url


def _settings(uri: str) -> dict[Any, Any]:
    """What Prefect has to know of a service's URI, in which the API's path may be left out."""
    try:
        parts = urlsplit(uri)
        address = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        parts, address = SplitResult("", "", "", "", ""), ""
    if parts.scheme not in ("http", "https") or not address:
        raise UsageError(
            f"no address of a Prefect server stands in: services.{SERVICE}.uri", hint="such as http://127.0.0.1:4200/api"
        )
    settings: dict[Any, Any] = {PREFECT_API_URL: f"{parts.scheme}://{address}{parts.path.rstrip('/') or '/api'}"}
    if parts.username is not None:
        settings[PREFECT_API_AUTH_STRING] = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return settings


@contextlib.asynccontextmanager
async def client(url: str) -> AsyncIterator[PrefectClient]:
    """A client of the server at `url`, which was asked for its version; what it refuses or can't do comes out in words.

    Raises:
        UsageError: The server can't be reached, is another program or of another version, or wants other credentials.
    """
    with explained(url):
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: 15}):
            async with get_client() as first:
                if first.server_type is not ServerType.CLOUD:
                    _check_version(url, await _version(first, url))
        async with get_client() as found:
            yield found


async def _version(found: PrefectClient, url: str) -> str:
    version: object = None
    with contextlib.suppress(ValueError):  # no JSON
        version = await found.api_version()
    if not isinstance(version, str) or not version[:1].isdigit():
        raise UsageError(f"what answers is no Prefect server: {url}", hint="its API's address ends in /api")
    return version


def _check_version(url: str, version: str) -> None:
    if version.partition(".")[0] != prefect.__version__.partition(".")[0]:
        raise UsageError(
            f"the Prefect server at {url} is of version {version}, which this Prefect can't talk to: {prefect.__version__}",
            hint="run both on one version",
        )


@contextlib.contextmanager
def explained(url: str) -> Iterator[None]:
    """Within it what goes wrong between here and the server is an error in words.

    Raises:
        UsageError: Instead of what httpx raises.
    """
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise _refused(url, error.response) from error
    except httpx.TimeoutException as error:
        raise UsageError(f"the Prefect server does not answer in time: {url}", hint="is it overloaded? try again") from error
    except httpx.HTTPError as error:
        hint = f"is it running? {_STARTED}; or {_WHERE_SET}"
        raise UsageError(
            f"the Prefect server at {url} can't be reached: {str(error) or type(error).__name__}", hint=hint
        ) from error


def _refused(url: str, response: httpx.Response) -> UsageError:
    code = response.status_code
    if code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        hint = f"set PREFECT_API_AUTH_STRING or PREFECT_API_KEY, or put user and password into `services.{SERVICE}.uri`"
        return UsageError(f"the Prefect server at {url} wants other credentials: {code}", hint=hint)
    if code == httpx.codes.NOT_FOUND and response.request.url.path.endswith("/admin/version"):
        return UsageError(f"what answers is no Prefect server: {url}", hint="its API's address ends in /api")
    return UsageError(
        f"the Prefect server at {url} refused {response.request.method} {response.request.url.path}: {code}: {detail(response)}"
    )


def detail(response: httpx.Response) -> str:
    """What the server says about a request that it refused; what the status means where it says nothing."""
    try:
        said = response.json()
    except ValueError:
        return response.reason_phrase
    if isinstance(said, dict):
        said = said.get("exception_detail") or said.get("detail") or said.get("exception_message")
    return str(said or response.reason_phrase)
