"""What the API is told: where it listens, who may do what, and limits.

Each setting comes from, in this order: an option of the command, the environment variable (`PULPO_API_PORT`), the same variable
in the `environment` of the manifest's service `api`, the `ports` of that service, the default. This module needs no FastAPI.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from pulpo.errors import UsageError
from pulpo.names import did_you_mean

PREFIX: Final = "PULPO_API_"
AUTO: Final = "auto"
#: What lets others in.
TOKEN_HINT: Final = f"set {PREFIX}TOKEN (may read and write), {PREFIX}READ_TOKEN (may read), or both"
_LOCALHOST: Final = "localhost"
_LAST_PORT: Final = 65535
#: Bytes of a request's body, unless another number is said.
MAX_BODY: Final = 16 * 1024 * 1024
#: How containers of one network call each other. A page's name has a dot, which no DNS outside answers without.
_SERVICE: Final = re.compile(r"[A-Za-z0-9_-]+(:[0-9]+)?")
_TOKEN: Final = re.compile(r"[!-~]+")


def words(value: object) -> object:
    """A text as its parts at commas; an environment variable holds no list."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _unset(value: object) -> object:
    """An empty token is none: it would let everybody in."""
    return None if value == "" else value


def _sendable(token: SecretStr | None) -> SecretStr | None:
    if token is not None and not _TOKEN.fullmatch(token.get_secret_value()):
        raise ValueError("a token is ASCII without blanks, for it travels in a header")
    return token


def _port(value: object) -> object:
    text = str(value)
    if text == AUTO or (text.isdecimal() and 1 <= int(text) <= _LAST_PORT):
        return text if text == AUTO else int(text)
    raise ValueError(f"a port is a number from 1 to {_LAST_PORT}, or {AUTO}")


#: A number, or `auto`, as texts or as they are.
Port = Annotated[int | Literal["auto"], BeforeValidator(_port)]
_Token = Annotated[SecretStr | None, BeforeValidator(_unset), AfterValidator(_sendable)]


class Settings(BaseModel):
    """How the API is set up. Tokens don't show in `repr`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: The address that it listens on.
    host: str = Field(default="127.0.0.1", min_length=1)
    #: `auto` takes a free port, and the same one again the next time.
    port: Port = 8000
    #: Lets its bearer read and write.
    token: _Token = None
    #: Lets its bearer read.
    read_token: _Token = None
    #: The origins whose pages may call the API from a browser, such as `http://127.0.0.1:3000`.
    origins: Annotated[tuple[str, ...], BeforeValidator(words)] = ()
    #: Bytes of a request's body.
    max_body: int = Field(default=MAX_BODY, ge=1)
    #: Seconds until a request's answer has to begin.
    timeout: float = Field(default=60, gt=0)
    #: Seconds that requests have to end in when the API is stopped.
    grace: float = Field(default=5, gt=0)
    #: Whether each request is logged.
    access_log: bool = True
    #: Runs that go on at the same time in the API's process.
    runs: int = Field(default=8, ge=1)
    #: Whether others than this machine may reach it although no token is asked for: only for a container whose port is published
    #: on a loopback address, for in it the API has to listen on all of them.
    open: bool = False

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def has_token(self) -> bool:
        """Whether requests need a token."""
        return self.token is not None or self.read_token is not None

    def variables(self, port: int) -> dict[str, str]:
        """The environment variables that say the same, with the port that was chosen."""
        values = {**self.model_dump(mode="json"), "port": port, "origins": ",".join(self.origins)}
        values |= {name: token.get_secret_value() if (token := getattr(self, name)) else "" for name in ("token", "read_token")}
        return {_variable(name): str(value) for name, value in values.items()}

    def check_address(self) -> None:
        """Refuse an address that others can reach where nobody would be asked for a token.

        Raises:
            UsageError: That is so.
        """
        if not self.loopback and not self.has_token and not self.open:
            raise UsageError(
                f"without a token the API listens on this machine alone, not on: {self.host}",
                hint=TOKEN_HINT,
            )


def is_loopback(host: str) -> bool:
    """Whether a host, without brackets, is this machine's own: `localhost`, or an address like 127.0.0.1 and ::1."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == _LOCALHOST


@functools.lru_cache(maxsize=64)
def names_loopback(host: str) -> bool:
    """Whether a header `Host` means this machine."""
    try:
        return "@" not in host and is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:  # a bracket that is not closed
        return False


def names_service(host: str) -> bool:
    """Whether a header `Host` means a container of the same network."""
    return _SERVICE.fullmatch(host) is not None


def reached_at(host: str) -> str:
    """The host by which this machine reaches what listens on a host, without brackets."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared with, not bound to


def url(host: str, port: int) -> str:
    """Where an API that listens there is: `http://127.0.0.1:8000`."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def read_settings(
    environ: Mapping[str, str],
    *,
    environment: Mapping[str, str] | None = None,
    ports: Sequence[str] = (),
    host: str | None = None,
    port: str | int | None = None,
) -> Settings:
    """The settings of a project's API.

    Args:
        environ: The environment variables of this process.
        environment: That of the manifest's service `api`, its references resolved; other variables than the API's may be in it.
        ports: That service's ports, of which the first counts.
        host: Goes before all else.
        port: Likewise: a number, or `auto`.

    Raises:
        UsageError: Values make no sense, or there is no such setting; all of it, and no value of a token.
    """
    values = of_ports(ports) | in_manifest("api", environment or {}, Settings.model_fields)
    values |= {name: environ[_variable(name)] for name in Settings.model_fields if environ.get(_variable(name))}
    asked = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    try:
        return Settings.model_validate(values | asked)
    except ValidationError as error:
        problems = [_problem(str(e["loc"][0]), e["msg"], e["input"], asked) for e in error.errors()]
        raise UsageError("\n".join(problems)) from None


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def in_manifest(service: str, environment: Mapping[str, str], settings: Iterable[str]) -> dict[str, Any]:
    """Those of the settings that the environment of `api` or `ui` has in the manifest: `PULPO_API_PORT` is `port`.

    Raises:
        UsageError: There is no such setting.
    """
    prefix = f"PULPO_{service.upper()}_"
    given = {name: value for name, value in environment.items() if name.startswith(prefix)}
    known = {prefix + name.upper(): name for name in settings}
    if unknown := sorted(set(given) - set(known)):
        raise UsageError(
            f"services.{service}.environment: the {service.upper()} has no such setting: {unknown[0]}",
            hint=did_you_mean(unknown[0], known) or f"it has {', '.join(known)}",
        )
    return {known[name]: value for name, value in given.items()}


def of_ports(ports: Sequence[str]) -> dict[str, Any]:
    """Host and port as the first of them has them: `port`, `host_port:port` or `address:host_port:port`."""
    first = next(iter(ports), None)
    if first is None:
        return {}
    before, _, last = first.rpartition(":")
    address, colon, outer = before.rpartition(":")
    values = {"port": outer or last}
    return values | {"host": address.strip("[]")} if colon and address else values


def _problem(name: str, message: str, value: object, asked: Container[str]) -> str:
    shown = "" if "token" in name else f": {value}"
    return f"{f'--{name}' if name in asked else _variable(name)}: {message.removeprefix('Value error, ')}{shown}"
