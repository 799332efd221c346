"""`pulpo explain`: what a code means, with an example and the fix; or what a name of the lock is."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pulpo.cli.options import Format, FormatOption

if TYPE_CHECKING:
    from pulpo.cli.output import Output
    from pulpo.codes.pages import Page

#: What is meant as a code, well written or not.
_CODE = re.compile(r"PLP[0-9A-Z]*", re.IGNORECASE)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(explain)


def explain(
    context: typer.Context,
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="CODE|NAME", help="Such as PLP101; all where not given.", show_default=False),
    ] = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Explain a problem by its code.

    What it means, with an example and the fix. Of an operation, a model or a flow: show it.
    """
    names = [name for name in what or () if not _CODE.fullmatch(name)]
    if names:
        if len(what or ()) > 1:
            raise typer.BadParameter(f"give codes, or one name: {' '.join(what or ())}")
        _show(context, names[0], format)
        return
    from pulpo.codes import pages

    found = [pages.page(code) for code in what or pages.codes()]
    output: Output = context.obj.output
    if format is Format.JSON:
        output.json([_data(page, whole=bool(what)) for page in found])
    elif what:
        output.data("\n".join(_styled(page.text, output) for page in found))
    else:
        output.table([(page.code, page.title) for page in found], ("code", "what"))


def _data(page: Page, *, whole: bool) -> dict[str, str]:
    from pulpo.codes.pages import url

    data = {"code": page.code, "title": page.title, "url": url(page.code)}
    return data | {"text": page.text} if whole else data


def _styled(text: str, output: Output) -> str:
    """Markdown as it is; on a terminal headings are bold, without their marks, and code is dim."""
    if not output.color(sys.stdout):
        return text
    lines: list[str] = []
    fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
            title = re.search(r'title="(.*)"', line)
            lines += [output.style(f"  {title[1]}:", "dim", stream=sys.stdout)] if title else []
        elif fenced:
            lines.append(f"    {line}")
        elif line.startswith("#"):
            lines.append(output.style(line.lstrip("# "), "bold", stream=sys.stdout))
        else:
            lines.append(re.sub(r"`([^`]+)`", lambda m: output.style(m[1], "bold", stream=sys.stdout), line))
    return "\n".join(lines) + "\n"


def _show(context: typer.Context, name: str, format: Format) -> None:  # noqa: A002 - the option's name
    """The operation, model or flow of that name, as the command for its kind shows it."""
    from pulpo.cli.commands import show
    from pulpo.codes.pages import codes
    from pulpo.errors import UsageError
    from pulpo.names import did_you_mean

    cli = context.obj.cli
    kinds = ((show.operations, cli.operations), (show.models, cli.models), (show.flows, lambda: [f.name for f in cli.flows()]))
    known: list[str] = []
    for command, listed in kinds:
        names = sorted(listed())
        if name in names:
            command(context, name, format)
            return
        known += names
    near = did_you_mean(name, known) or did_you_mean(name.upper(), codes())
    raise UsageError(
        f"no code, operation, model or flow has the name: {name}",
        hint=near or "`pulpo explain` lists the codes, `pulpo operations`, `models` and `flows` the names",
    )
