"""What the UI is told: where it listens, which API it shows, and how it is reached. This module needs no Starlette."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pulpo.api.settings import Port, in_manifest, is_loopback, of_ports, words
from pulpo.errors import UsageError

PREFIX: Final = "PULPO_UI_"
API_URL: Final = "PULPO_API_URL"
#: Where these are set, the API asks for a token, and so does the UI; it holds none itself. Where the API alone has them, its
#: variable `PULPO_UI_GUARDED` says it.
TOKENS: Final = ("PULPO_API_TOKEN", "PULPO_API_READ_TOKEN")
_ROOT: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")


def _root(value: str) -> str:
    path = value.rstrip("/")
    if not _ROOT.fullmatch(path):
        raise ValueError("a path prefix begins with a slash and has letters, digits and . _ ~ - in it: /pulpo")
    return path


def _api(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("the API's address begins with http:// or https://")
    return value.rstrip("/")


class Settings(BaseModel):
    """How the UI is set up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Where the API is that is shown.
    api: Annotated[str, AfterValidator(_api)] = "http://127.0.0.1:8000"
    #: The address that it listens on.
    host: str = Field(default="127.0.0.1", min_length=1)
    #: `auto` takes a free port, and the same one again the next time.
    port: Port = 3000
    #: The path under which a proxy has it: `/pulpo`. Whether the proxy strips it or not makes no difference.
    root: Annotated[str, AfterValidator(_root)] = ""
    #: The names that it is reached by besides this machine's own, such as `pulpo.example.com`.
    hosts: Annotated[tuple[str, ...], BeforeValidator(words)] = ()
    #: Whether the API asks for a token: those who have one may come from anywhere.
    guarded: bool = False
    #: Whether others than this machine may reach it although no token is asked for: only for a container whose port is published
    #: on a loopback address, for in it the UI has to listen on all of them.
    open: bool = False

    def check_address(self) -> None:
        """Refuse an address that others can reach where nobody would be asked for a token.

        Raises:
            UsageError: That is so.
        """
        if not is_loopback(self.host) and not self.guarded and not self.open:
            raise UsageError(
                f"without a token the UI listens on this machine alone, not on: {self.host}",
                hint=f"set {' or '.join(TOKENS)} for the API and for the UI: the UI asks everybody for it",
            )


def read_settings(
    environ: Mapping[str, str],
    *,
    environment: Mapping[str, str] | None = None,
    ports: Sequence[str] = (),
    guarded: bool = False,
    api: str | None = None,
    host: str | None = None,
    port: str | int | None = None,
) -> Settings:
    """The settings of a UI.

    Args:
        environ: The environment variables of this process.
        environment: That of the manifest's service `ui`, its references resolved; other variables may be in it.
        ports: That service's ports, of which the first counts.
        guarded: Whether the API is known to ask for a token.
        api: Where the API is; goes before `PULPO_API_URL`.
        host: Goes before all else.
        port: Likewise: a number, or `auto`.

    Raises:
        UsageError: Values make no sense, or there is no such setting; all of it.
    """
    said = environment or {}
    values = of_ports(ports) | in_manifest("ui", said, _NAMES)
    values |= {name: environ[_variable(name)] for name in _NAMES if environ.get(_variable(name))}
    values |= {"api": found} if (found := environ.get(API_URL) or said.get(API_URL)) else {}
    values |= {"guarded": True} if guarded or any(environ.get(name) for name in TOKENS) else {}
    asked = {name: value for name, value in (("api", api), ("host", host), ("port", port)) if value is not None}
    try:
        return Settings.model_validate({**values, **asked})
    except ValidationError as error:
        raise UsageError("\n".join(_problem(str(e["loc"][0]), e["msg"], e["input"], asked) for e in error.errors())) from None


_NAMES: Final = ("host", "port", "root", "hosts", "guarded", "open")


def _variable(name: str) -> str:
    return API_URL if name == "api" else f"{PREFIX}{name.upper()}"


def _problem(name: str, message: str, value: object, asked: Mapping[str, object]) -> str:
    return f"{f'--{name}' if name in asked else _variable(name)}: {message.removeprefix('Value error, ')}: {value}"
