"""`pulpo explain`: what a code means, with an example and the fix; or why something of the lock is where it is."""

from __future__ import annotations

import dataclasses
import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pulpo.cli import completion
from pulpo.cli.options import Format, FormatOption

if TYPE_CHECKING:
    from pulpo.cli.explaining import Explanation
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
        typer.Argument(
            metavar="CODE|NAME",
            help="Such as PLP101; all where not given.",
            show_default=False,
            autocompletion=completion.explainable,
        ),
    ] = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Explain a problem by its code, or a name of the lock.

    What a problem means, with an example and the fix. Of an operation, a model, a flow or a service: why it runs where it runs,
    what feeds it, who owns its settings. Of a path, such as operations.a.b.retries: who owns it.
    """
    names = [name for name in what or () if not _CODE.fullmatch(name)]
    if names:
        if len(what or ()) > 1:
            raise typer.BadParameter(f"give codes, or one name: {' '.join(what or ())}")
        _explain_name(context, names[0], format)
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


def _explain_name(context: typer.Context, name: str, format: Format) -> None:  # noqa: A002 - the option's name
    """Of an operation, model, flow or service, why it is where it is; of a dotted path of the lock, who owns it."""
    from pulpo.manifest.layout import MANIFEST

    output: Output = context.obj.output
    if name.partition(".")[0] in MANIFEST.order and "." in name:
        from pulpo.cli.commands.lock import print_ownership

        print_ownership(context.obj.cli.explain_lock(name), output, format)
        return
    found: Explanation = context.obj.cli.explain_name(name)
    if format is Format.JSON:
        output.json(dataclasses.asdict(found))
        return
    said = f": {found.description}" if found.description else ""
    place = f"  ({found.place})" if found.place else ""
    output.data(output.style(f"{found.kind} {found.name}", "bold", stream=sys.stdout) + said + place)
    for title, facts in found.parts.items():
        output.data(f"\n{output.style(title, 'bold', stream=sys.stdout)}")
        width = max(len(fact.subject) for fact in facts)
        for fact in facts:
            where = output.style(f"  ({fact.place})", "dim", stream=sys.stdout) if fact.place else ""
            output.data(f"  {fact.subject.ljust(width)}  {fact.text}{where}")
