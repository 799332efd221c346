"""`/manifest`: the file, what the API answers by, and what is wrong with the file; a newer file is noticed.

The lock is looked at twice a second, and when `/manifest` is asked for. A valid one is what the API answers by from then on;
while it has errors, the last good one stays, and the answer says so. Code that is imported already stays as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from starlette.responses import Response

from pulpo.api.context import Context
from pulpo.api.negotiate import chosen, tagged
from pulpo.api.parameters import known_alone
from pulpo.api.shapes import ManifestInfo
from pulpo.codes import pages
from pulpo.codes.credentials import masked, without_credentials
from pulpo.codes.report import diagnostics_as_data
from pulpo.diagnostics import Diagnostic, errors
from pulpo.errors import DiagnosticsError, PulpoError
from pulpo.lock.check import check, check_manifest
from pulpo.lock.declared import base_of
from pulpo.lock.overrides import overrides
from pulpo.manifest.load import load, read_file
from pulpo.manifest.yaml_write import dumps

if TYPE_CHECKING:
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project

MEDIA_TYPES: Final = {"json": "application/json", "yaml": "application/yaml"}

_LOG = logging.getLogger("pulpo.api")
#: Seconds between two looks at the file.
_EVERY: Final = 0.5

Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class _Seen:
    """The file at one moment, and what is wrong with it."""

    stamp: Stamp
    text: str | None
    report: dict[str, Any]
    #: What the file is, unless it has errors.
    valid: tuple[Manifest, Document] | None = None
    #: What people changed in it, with its place.
    edited: tuple[dict[str, Any], ...] = ()


@dataclass(slots=True)
class LockFile:
    """The lock on disk, beside what the app answers by; `app.state.lock_file`."""

    app: FastAPI
    project: Project | None
    _seen: _Seen | None = None
    #: What is answered as JSON, for as long as the file and what is answered by stay: pages ask again and again.
    _body: tuple[_Seen, Context, bytes] | None = None
    _busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def now(self) -> _Seen:
        """The file as it is; if it is another one than before, and valid, the app answers by it from now on."""
        async with self._busy:
            if self._seen is None or (self.project is not None and _stamp(self.project) != self._seen.stamp):
                before, self._seen = self._seen, await asyncio.to_thread(_look, self.app.state.context, self.project)
                self._adopt(self._seen, first=before is None)
            return self._seen

    def is_current(self, seen: _Seen) -> bool:
        """Whether the app answers by the file as it was seen; not so while the file has errors."""
        return seen.valid is not None or self.project is None

    def body(self, seen: _Seen, context: Context) -> bytes:
        """The answer as JSON."""
        if self._body is None or self._body[0] is not seen or self._body[1] is not context:
            self._body = (seen, context, _body(seen, context, current=self.is_current(seen)))
        return self._body[2]

    def _adopt(self, seen: _Seen, *, first: bool) -> None:
        context: Context = self.app.state.context
        if seen.valid is None:
            if self.project is not None:
                _LOG.warning("the lock has errors; the last good one is answered by")
            return
        manifest, document = seen.valid
        if manifest != context.manifest or context.document is None or context.document.text != document.text:
            try:
                self.app.state.context = context.with_manifest(manifest, document)
            except DiagnosticsError as error:
                self._seen = _Seen(seen.stamp, seen.text, diagnostics_as_data(error.diagnostics), edited=seen.edited)
                return
            if not first:
                _LOG.info("the lock is another one, and answered by")


def _stamp(project: Project) -> Stamp:
    """What changes with the file; None where there is none."""
    try:
        status = project.lock_path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _look(context: Context, project: Project | None) -> _Seen:
    if project is None:
        return _without_file(context.manifest, context.document)
    # Before the file is read: what changes it meanwhile is seen the next time.
    stamp = _stamp(project)
    text: str | None = None
    edited: tuple[dict[str, Any], ...] = ()
    try:
        document = read_file(project.lock_path, project.lock_shown)
        text = document.text
        with contextlib.suppress(AttributeError, KeyError, TypeError):  # of data of any shape, whose errors are told
            edited = tuple(_edited(document))
        found = list(check(project, code=False))
        valid = None if errors(found) else load(project.lock_path, project.lock_shown, project.environment)
    except DiagnosticsError as error:
        return _Seen(stamp, text, diagnostics_as_data(error.diagnostics), edited=edited)
    except PulpoError as error:  # the environment is gone from the file
        return _Seen(stamp, text, diagnostics_as_data([Diagnostic("PLP001", error.message, hint=error.hint)]), edited=edited)
    return _Seen(stamp, text, diagnostics_as_data(found), valid, edited)


def _edited(document: Document) -> Iterator[dict[str, Any]]:
    """The hand edits, in the order of the file."""
    for note in overrides(document.data):
        section, name, *keys = map(str, note.path)
        base = base_of(document.data, section, name) or {}
        entry = document.data[section][name]
        said, value = (base.get(keys[0]), entry.get(keys[0])) if keys else (None, None)
        line = document.locate(note.path).line
        yield masked({"path": [section, name, *keys], "line": line, "base": said, "value": value, "message": note.message})


def _codes(report: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What the codes of a report mean."""
    found = sorted({diagnostic["code"] for diagnostic in report["diagnostics"]})
    return {code: {"title": pages.page(code).title, "summary": pages.page(code).summary} for code in found}


def _without_file(manifest: Manifest, document: Document | None) -> _Seen:
    found = check_manifest(manifest)
    if document is not None:
        found = [d.located(document.locate) for d in found]
    report = diagnostics_as_data(sorted(found, key=lambda d: d.sort_key))
    return _Seen(None, document.text if document else dumps(manifest.data()), report)


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Within it a newer lock is noticed."""
    lock_file = app.state.lock_file
    if lock_file.project is None:
        yield
        return
    task = asyncio.create_task(_watch(lock_file))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _watch(lock_file: LockFile) -> None:
    while True:
        try:
            await lock_file.now()
        except Exception:  # noqa: BLE001 - one look that failed is not the last
            _LOG.exception("looking at the lock failed")
        await asyncio.sleep(_EVERY)


def install(app: FastAPI, context: Context) -> None:
    """Let the app know the file that its manifest is from."""
    app.state.lock_file = LockFile(app, context.project)


def router(context: Context) -> APIRouter:  # noqa: ARG001 - all routers are made alike
    """The routes of the manifest."""
    routes = APIRouter(tags=["manifest"], dependencies=[Depends(known_alone)])
    routes.add_api_route(
        "/manifest",
        get_manifest,
        operation_id="get_manifest",
        summary="The manifest",
        response_model=ManifestInfo,
        responses={200: {"content": {"application/yaml": {"schema": {"type": "object"}}}}},
    )
    return routes


async def get_manifest(
    request: Request,
    format: Annotated[  # noqa: A002 - the parameter's name
        Literal["json", "yaml"] | None, Query(description="Which form; goes before the header `Accept`.")
    ] = None,
) -> Response:
    """The file's text, the manifest that the API answers by, what `pulpo check --no-code` says of the file, and its hand edits.

    As YAML, by the header `Accept` or by `format`, it is the file's text alone. Passwords are `***` in all of it.
    """
    name = chosen(request, MEDIA_TYPES, format)
    lock_file: LockFile = request.app.state.lock_file
    seen = await lock_file.now()
    context: Context = request.app.state.context
    if name == "yaml":
        return tagged(request, without_credentials(seen.text or "").encode(), MEDIA_TYPES[name], {"Vary": "Accept"})
    return tagged(request, lock_file.body(seen, context), MEDIA_TYPES[name], {"Vary": "Accept"})


def _body(seen: _Seen, context: Context, *, current: bool) -> bytes:
    content = {
        "file": context.project.lock_shown if context.project else None,
        "environment": context.project.environment if context.project else None,
        "current": current,
        "text": None if seen.text is None else without_credentials(seen.text),
        "data": masked(context.manifest.data()),
        "report": seen.report,
        "codes": _codes(seen.report),
        "edited": seen.edited,
    }
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
