"""The API as pages ask it: in the name of who looks at them, with what is wrong as an `ApiProblem`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx

#: Seconds until an answer has begun: longer than the API itself gives its own.
TIMEOUT: Final = 65.0

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with what was sent: where, without the word `body`, and what."""

    place: tuple[str | int, ...]
    message: str
    hint: str = ""


class ApiProblem(Exception):  # noqa: N818 - the standard's word
    """The API said no. `status` is its answer's; 502 where there was none."""

    def __init__(self, status: int, detail: str, *, hint: str = "", faults: Sequence[Fault] = (), request_id: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.hint = hint
        self.faults = tuple(faults)
        self.request_id = request_id


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said: JSON that was read, None where there was no body."""

    status: int
    data: Any
    etag: str | None = None


class Api:
    """The API in the name of one visitor."""

    def __init__(self, client: httpx.AsyncClient, token: str | None, request_id: str | None = None) -> None:
        self._client = client
        given = {"Authorization": f"Bearer {token}" if token else None, "X-Request-ID": request_id}
        # What a header can't hold is no token, and nobody's request.
        self._headers = {name: text for name, text in given.items() if text and text.isascii() and text.isprintable()}

    async def get(self, *path: str, **params: Any) -> Any:
        """What is at a path of these segments, which are escaped here; parameters that are None are left out.

        Raises:
            ApiProblem: The API says no, or does not answer.
        """
        return (await self.ask("GET", *path, params=params)).data

    async def ask(
        self, method: str, *path: str, params: Params | None = None, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """As `get`, with any method, a JSON body and headers.

        Raises:
            ApiProblem: The API says no, or does not answer.
        """
        asked = {name: value for name, value in (params or {}).items() if value is not None}
        try:
            response = await self._client.request(
                method, address(*path), params=asked, json=body, headers={**self._headers, **(headers or {})}
            )
        except httpx.HTTPError as error:
            raise _unreachable(self._client, error) from error
        if response.is_error:
            raise _problem(response)
        data = response.json() if "json" in response.headers.get("content-type", "") else response.text or None
        return Answer(response.status_code, data, response.headers.get("etag"))

    @asynccontextmanager
    async def stream(
        self, *path: str, params: Params | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """What comes from a path, for as long as it comes.

        Raises:
            ApiProblem: The API says no, or does not answer.
        """
        request = self._client.build_request(
            "GET", address(*path), params=params, headers={**self._headers, **(headers or {})}, timeout=None
        )
        try:
            response = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise _unreachable(self._client, error) from error
        try:
            if response.is_error:
                await response.aread()
                raise _problem(response)
            yield response.aiter_raw()
        finally:
            await response.aclose()


def address(*path: str) -> str:
    """A path of these segments: `/models/Job/records/a%2Fb`."""
    return "/" + "/".join(quote(part, safe="") for part in path)


def _unreachable(client: httpx.AsyncClient, error: httpx.HTTPError) -> ApiProblem:
    where = str(client.base_url).rstrip("/")
    if isinstance(error, httpx.TimeoutException):
        return ApiProblem(504, f"the API took too long to answer: {where}", hint="see what it does: pulpo api logs")
    return ApiProblem(502, f"the API does not answer: {where}", hint="start it: pulpo api start")


def _problem(response: httpx.Response) -> ApiProblem:
    try:
        found = response.json()
        faults = [_fault(fault) for fault in found.get("errors", ())]
        return ApiProblem(
            response.status_code,
            found["detail"],
            hint=found.get("hint", ""),
            faults=faults,
            request_id=found.get("request_id", ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError):  # somebody else listens there
        detail = f"this is not the API of a Pulpo project: {response.request.url.copy_with(query=None)}"
        return ApiProblem(502, detail, hint="say where it is: PULPO_API_URL")


def _fault(data: Mapping[str, Any]) -> Fault:
    place = tuple(data["loc"])
    return Fault(place[1:] if place[:1] == ("body",) else place, data["message"], data.get("hint", ""))
