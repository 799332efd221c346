"""`/manifest`: the file with what is wrong in it and what people changed; and `/manifest/plan`, what would come of it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup
from starlette.responses import Response
from starlette.routing import Route

from pulpo.ui.api_client import ApiProblem
from pulpo.ui.page import api_of, page

if TYPE_CHECKING:
    from starlette.requests import Request

#: Lines that a browser lays out at once, and only when they are looked at.
_BLOCK: Final = 100
_SEVERITIES: Final = ("error", "warning", "note")
#: The parts of a line of YAML that are shown apart: a comment, a key, a text in quotes, a reference to a variable.
_TOKEN: Final = re.compile(
    r"""(?P<c>(?:^|(?<=\s))\#.*)|(?P<k>(?:^|(?<=[\s{,\[]))(?:"[^"]*"|[\w./$-]+):(?=\s|$))|(?P<v>\$\{[^}]*\})"""
    r"""|(?P<s>"(?:[^"\\]|\\.)*"|'[^']*')"""
)
_REFERENCE: Final = re.compile(r"\$\{[^}]*\}")
_TARGETS: Final = ("services", "database", "prefect")
_SIGNS: Final = {"create": "+", "update": "~", "replace": "±", "delete": "-"}
_UNAUTHORISED: Final = 401


async def show(request: Request) -> Response:
    """The file."""
    answer = await api_of(request).ask("GET", "manifest")
    found: dict[str, Any] = answer.data
    diagnostics = found["report"]["diagnostics"]
    notes = _notes(diagnostics, found["edited"], found["file"])
    text = found["text"]
    counts = {severity: found["report"]["summary"].get(severity, 0) for severity in _SEVERITIES}
    blocks = None if text is None else list(_blocks(text, notes))
    return page(
        request, "manifest.html", manifest=found, diagnostics=diagnostics, counts=counts, blocks=blocks, tag=answer.etag or "",
        lines=0 if text is None else text.count("\n"),
    )  # fmt: skip


async def changed(request: Request) -> Response:
    """Whether the file is another one than what a page shows: nothing where it is not."""
    tag = request.query_params.get("tag", "")
    answer = await api_of(request).ask("GET", "manifest", headers={"If-None-Match": tag})
    return page(request, "manifest_changed.html", tag=tag, is_other=answer.data is not None)


async def plan(request: Request) -> Response:
    """What `plan` would do; a page without it comes at once, and asks for it."""
    if "now" not in request.query_params:
        return page(request, "plan.html", plan=None, problem=None, targets=(), signs=_SIGNS, environment=None)
    api = api_of(request)
    try:
        found = await api.get("plan")
        environment = (await api.get("manifest"))["environment"]
    except ApiProblem as problem:
        if problem.status == _UNAUTHORISED:
            raise
        # A page that asked for it shows what is wrong in the place of it, which is no failure of its own.
        status = 200 if request.headers.get("hx-request") == "true" else problem.status
        return page(request, "plan.html", status, plan={}, problem=problem, targets=(), signs=_SIGNS, environment=None)
    targets = _by_target(found["changes"])
    return page(request, "plan.html", plan=found, problem=None, targets=targets, signs=_SIGNS, environment=environment)


def _notes(diagnostics: Sequence[Mapping[str, Any]], edited: Sequence[Mapping[str, Any]], file: str | None) -> dict[int, Any]:
    """What is said of lines, by line: what is wrong, then what was changed by hand."""
    found: dict[int, list[dict[str, str]]] = {}
    for one in diagnostics:
        if one["line"] and one["file"] == file:
            text = f"{one['code']}: {one['message']}"
            found.setdefault(one["line"], []).append({"kind": one["severity"], "text": text})
    for edit in edited:
        path = ".".join(edit["path"][2:])
        text = f"{path}: {edit['message']}" if path else edit["message"]
        found.setdefault(edit["line"], []).append({"kind": "edited", "text": text})
    return found


def _blocks(text: str, notes: Mapping[int, Any]) -> Iterator[Markup]:
    """The lines of a file with what is said of them, in blocks."""
    lines = text.removesuffix("\n").split("\n")
    for begin in range(0, len(lines), _BLOCK):
        block = enumerate(lines[begin : begin + _BLOCK], begin + 1)
        # All that is not from here is escaped by `_coloured` and `_note`.
        yield Markup("".join(_line(number, line, notes.get(number, ())) for number, line in block))  # noqa: S704


def _line(number: int, line: str, notes: Sequence[Mapping[str, str]]) -> str:
    kinds = f' data-kind="{notes[0]["kind"]}"' if notes else ""
    told = "".join(_note(note) for note in notes)
    return f'<div class="line" id="L{number}"{kinds}><a href="#L{number}">{number}</a><code>{_coloured(line)}</code></div>{told}'


def _note(note: Mapping[str, str]) -> str:
    return f'<p class="note" data-kind="{note["kind"]}">{html.escape(note["text"])}</p>'


def _coloured(line: str) -> str:
    """A line of YAML as HTML, its parts in elements of their own."""
    parts: list[str] = []
    at = 0
    for token in _TOKEN.finditer(line):
        shown = html.escape(token[0])
        if token.lastgroup == "s":
            shown = _REFERENCE.sub(r'<span class="v">\g<0></span>', shown)
        parts += [html.escape(line[at : token.start()]), f'<span class="{token.lastgroup}">{shown}</span>']
        at = token.end()
    return "".join([*parts, html.escape(line[at:])])


def _by_target(changes: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """The changes by what is changed, what was changed behind the manifest's back by itself, last; as the command has them."""
    groups = [(target, [c for c in changes if c["target"] == target and not c["drift"]]) for target in _TARGETS]
    groups.append(("changed behind the manifest's back", [c for c in changes if c["drift"]]))
    return [(name, found) for name, found in groups if found]


ROUTES: Final = (
    Route("/manifest", show),
    Route("/manifest/changed", changed),
    Route("/manifest/plan", plan),
)
