"""The reference, made from the code: `python -m tests.docs.reference` writes docs/reference; with `--check` it only compares."""

from __future__ import annotations

import inspect
import json
import re
import sys
import tempfile
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HERE = ROOT / "docs" / "reference"
NOTE = "<!-- Made from the code by `make reference`. -->\n"
#: The smallest project that has all kinds of endpoints; its names stand for any.
PROJECT = """
version: 1
project: {name: pulpo, modules: [project]}
models:
  Model: {entrypoint: "project:Model", schema: {type: object, properties: {field: {type: string, description: "As the model says."}}}}
operations:
  flow.step:
    entrypoint: project:step
    async: false
    inputs: {}
    outputs: [{model: Model}]
"""


def main(arguments: list[str]) -> int:
    """Write the pages, or say which are not as the code makes them; returns the exit code."""
    HERE.mkdir(exist_ok=True)
    stale = []
    for name, page in PAGES.items():
        path, text = HERE / f"{name}.md", re.sub(r"\n{3,}", "\n\n", page()).rstrip() + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in arguments:
                path.write_text(text, encoding="utf-8")
    if stale and "--check" in arguments:
        print(f"docs/reference is not as the code makes it, `make reference` writes it: {', '.join(stale)}", file=sys.stderr)
        return 1
    return 0


def commands() -> str:
    """Every command of the command line, with its arguments and options."""
    parts = ["# Commands\n", NOTE]
    parts.append(
        "Global options may stand anywhere, after a command as well. Exit codes: 0 fine, 1 problems, 2 usage or could not run, "
        "3 changes are pending (only `plan --detailed-exitcode`), 130 on Ctrl-C. Data are on stdout, talk is on stderr.\n"
    )
    for words, context in _commands():
        command = context.command
        usage = " ".join(command.collect_usage_pieces(context))
        parts.append(f"\n## {' '.join(words)}\n\n{_spaced(command.help)}\n\n```text\n{' '.join(words)} {usage}\n```\n")
        records = [_record(parameter, context) for parameter in command.get_params(context)]
        parts.append(_table(("argument or option", "says"), [(f"`{given}`", said) for given, said in filter(None, records)]))
    return "\n".join(parts)


def _commands() -> Iterator[tuple[list[str], Any]]:
    """Each command with a context of it, in the order of the help."""
    from pulpo.cli.typer_app import build

    def walk(command: Any, words: list[str], parent: Any) -> Iterator[tuple[list[str], Any]]:
        context = command.make_context(words[-1], [], parent=parent, resilient_parsing=True)
        yield words, context
        for name in getattr(command, "commands", {}):
            yield from walk(command.commands[name], [*words, name], context)

    return walk(build(), ["pulpo"], None)


def _record(parameter: Any, context: Any) -> tuple[str, str] | None:
    """How an argument or an option is given, and what it says; nothing for `--help`, which all have."""
    record = parameter.get_help_record(context)
    if record is None or parameter.name == "help":
        return None
    given, said = record
    return given, said


def schema() -> str:
    """The manifest, field by field, from its JSON Schema."""
    data = json.loads((ROOT / "pulpo.schema.json").read_text(encoding="utf-8"))
    named = data["$defs"]
    kept = [name for name in named if not name.endswith(("Settings", "Overlay")) or _is_used(name, data)]
    parts = ["# The manifest's schema\n", NOTE]
    parts.append(
        "What each field of `pulpo.lock.yaml` may hold. Who owns it is in [The manifest](../manifest.md). The same, for editors and "
        "other validators, is `pulpo.schema.json` at the root of the repository (JSON Schema 2020-12), which `pulpo schema DIR` "
        "writes. Keys that begin with `x-` are yours, anywhere; other keys that are not listed are errors.\n"
    )
    for title, one in [("The file", data), *((named[name]["title"], named[name]) for name in kept)]:
        parts.append(f"\n## {title}\n\n{_spaced(one['description'])}\n")
        rows = [_field(key, field, key in one.get("required", ()), named) for key, field in one.get("properties", {}).items()]
        parts.append(_table(("key", "type", "says"), rows))
    return "\n".join(parts)


def _is_used(name: str, data: dict[str, Any]) -> bool:
    return f'"#/$defs/{name}"' in json.dumps(data)


def _field(key: str, field: dict[str, Any], required: bool, named: dict[str, Any]) -> tuple[str, str, str]:
    said = _spaced(field.get("description", "")).replace("\n\n", " ")
    for label, value in (("Default", field.get("default")), ("Example", next(iter(field.get("examples", ())), None))):
        if value not in (None, [], {}):
            said += f" {label}: `{json.dumps(value, ensure_ascii=False)}`."
    return f"`{key}`" + (" *" if required else ""), _type(field, named), said + (" Required." if required else "")


def _type(field: dict[str, Any], named: dict[str, Any]) -> str:
    """What a field may hold, in words; entries of the schema are links."""
    if reference := field.get("$ref"):
        title = named[reference.rpartition("/")[2]]["title"]
        return f"[{title}](#{_anchor(title)})"
    if choices := field.get("anyOf") or field.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(one, named) for one in choices))
    if values := field.get("enum") or ([field["const"]] if "const" in field else None):
        return ", ".join(f"`{json.dumps(value)}`" for value in values)
    kind = field.get("type", "anything")
    if kind == "array":
        return f"list of {_type(field.get('items', {}), named)}"
    if kind == "object" and isinstance(values := field.get("additionalProperties"), dict):
        return f"{_type(values, named)} by name"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def python() -> str:
    """The public names of `pulpo` and `pulpo.testing`, with signatures and docstrings."""
    import pulpo
    import pulpo.testing

    parts = ["# Python\n", NOTE, "What can be imported. Everything else is Pulpo's own, and may change.\n"]
    for module in (pulpo, pulpo.testing):
        parts.append(f"\n## {module.__name__}\n\n{_spaced(module.__doc__.partition(chr(10))[0])}\n")
        for name in sorted(module.__all__, key=lambda one: (one == "CLI", one)):
            parts += _public(f"{module.__name__}.{name}", getattr(module, name), module)
    return "\n".join(parts)


def _public(name: str, thing: Any, module: Any) -> Iterator[str]:
    if not inspect.isclass(thing) and not inspect.isfunction(thing):
        yield f"\n### {name}\n\n{_comment(name.rpartition('.')[2], thing, module)}\n"
        return
    yield f"\n### {name}\n\n```python\n{_signature(name.rpartition('.')[2], thing)}\n```\n\n{_docstring(thing)}\n"
    if not inspect.isclass(thing):
        return
    for key in sorted(key for key in dir(thing) if not key.startswith("_")):
        static = inspect.getattr_static(thing, key)
        method = inspect.unwrap(getattr(static, "__func__", static))
        if isinstance(static, property):
            yield f"\n#### {name}.{key}\n\n```python\n{key}: {static.fget.__annotations__['return']}\n```\n\n{_docstring(static)}\n"
        elif callable(method):
            yield f"\n#### {name}.{key}\n\n```python\n{_signature(key, method)}\n```\n\n{_docstring(method)}\n"
    for key in [key for key in getattr(thing, "__dataclass_fields__", {}) if not key.startswith("_")]:
        kind = thing.__dataclass_fields__[key].type
        yield f"\n#### {name}.{key}\n\n```python\n{key}: {kind}\n```\n\n{_comment(key, None, thing)}\n"


def _comment(name: str, thing: Any, owner: Any) -> str:
    """The `#:` comment above a name where it is assigned; of a class's field, or in the module that declares it."""
    if not inspect.isclass(owner):
        from pulpo.declare import decorators as owner
    lines = re.search(rf"((?:^ *#: .*\n)+) *{name}\b", inspect.getsource(owner), re.MULTILINE)
    return " ".join(line.strip().removeprefix("#: ") for line in lines[1].splitlines()) if lines else str(thing)


def _signature(name: str, thing: Any) -> str:
    """A signature as it is written, a parameter a line where it is long; without a class's `self`."""
    overloads = [] if inspect.isclass(thing) else typing.get_overloads(thing)
    made = re.sub(r"^\((self|cls)(, )?", "(", _written(inspect.signature(overloads[-1] if overloads else thing)))
    text = f"{'class ' if inspect.isclass(thing) else ''}{name}{made}"
    if inspect.isclass(thing):
        text = text.replace(" -> None", "")
        if any(key.startswith("_") for key in getattr(thing, "__dataclass_fields__", ())):
            return f"class {name}"  # made by Pulpo
    return text if len(text) <= 100 else _folded(text)


class _Source(str):
    """Text that stands in a signature as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _written(signature: inspect.Signature) -> str:
    """A signature with its annotations as they are in the source; a default that is a function is not shown."""

    def source(given: Any) -> Any:
        return _Source(given.strip('"')) if isinstance(given, str) else given

    parameters = [
        one.replace(annotation=source(one.annotation), default=_Source("...") if inspect.isfunction(one.default) else one.default)
        for one in signature.parameters.values()
    ]
    return str(signature.replace(parameters=parameters, return_annotation=source(signature.return_annotation)))


def _folded(text: str) -> str:
    """The parameters of a signature a line each: those between its outer parentheses."""
    start, depth, parts = text.index("("), 0, [""]
    for place in range(start + 1, len(text)):
        letter = text[place]
        if letter == ")" and not depth:
            break
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return text[: start + 1] + "".join(f"\n    {part.strip()}," for part in parts) + "\n" + text[place:]


def _docstring(thing: Any) -> str:
    """A docstring of Google's style as Markdown: its sections are lists."""
    parts = []
    for block in inspect.cleandoc(thing.__doc__ or "").split("\n\n"):
        head, _, body = block.partition("\n")
        if head in ("Args:", "Returns:", "Raises:"):
            entries = re.split(r"\n(?=\S)", inspect.cleandoc(body))
            flat = [" ".join(entry.split()) for entry in entries]
            listed = [re.sub(r"^(\w+): ", r"`\1`: ", entry) for entry in flat]
            parts.append(f"**{head.removesuffix(':')}**\n\n" + "\n".join(f"- {entry}" for entry in listed))
        else:
            parts.append(_spaced(block))
    return "\n\n".join(parts)


def http() -> str:
    """Every endpoint of the REST API, from its OpenAPI document."""
    document = _openapi()
    parts = ["# HTTP\n", NOTE]
    parts.append(
        "Every endpoint of the [REST API](../api.md), where each is shown with curl. A project's own document, with its models' "
        "schemas, is at `/openapi.json`, and pages of it at `/docs`. `Model`, `flow` and `flow.step` stand for the names of a project. Where "
        "something fails, the answer is a problem (`application/problem+json`), with any path.\n"
    )
    for path, item in sorted(document["paths"].items()):
        for method, operation in item.items():
            if "responses" in operation:
                parts += _endpoint(f"{method.upper()} {path}", operation, document["components"]["schemas"])
    return "\n".join(parts)


def _openapi() -> dict[str, Any]:
    from pulpo.api.app import create_app
    from pulpo.manifest.load import load
    from pulpo.store.memory import MemoryStore

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "pulpo.lock.yaml"
        path.write_text(PROJECT, encoding="utf-8")
        manifest, _ = load(path, file=path.name)
    return create_app(manifest, MemoryStore()).openapi()


def _endpoint(title: str, operation: dict[str, Any], named: dict[str, Any]) -> Iterator[str]:
    said = operation.get("description") or operation.get("summary", "")
    yield f"\n## `{title}`\n\n{_spaced(said)}\n"
    yield _table(
        ("parameter", "in", "says"),
        [
            (f"`{one['name']}`" + (" *" if one.get("required") else ""), one["in"], _spaced(one.get("description", "")))
            for one in operation.get("parameters", ())
        ],
    )
    content = operation.get("requestBody", {}).get("content", {})
    body = content.get("application/json", {}).get("schema", {})
    body = named.get(body.get("$ref", "").rpartition("/")[2], body)
    yield _table(
        ("in the body", "says"),
        [
            (
                f"`{key}`" + (" *" if key in body.get("required", ()) else ""),
                _spaced(one.get("description", one.get("title", ""))),
            )
            for key, one in body.get("properties", {}).items()
        ],
    )
    answers = {code: one.get("description", "") for code, one in operation["responses"].items() if code != "default"}
    yield _table(
        ("answer", "is"), [(code, _spaced(said.replace("Successful Response", "Done."))) for code, said in answers.items()]
    )


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table; nothing where it would have no rows."""
    if not rows:
        return ""
    cells = [heads, tuple("---" for _ in heads), *rows]
    return "".join("| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in row) + " |\n" for row in cells)


def _spaced(text: str | None) -> str:
    """Paragraphs, each on one line; what looks like a tag is none."""
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n".join(" ".join(one.split()) for one in paragraphs).replace("<", "&lt;")


def _anchor(title: str) -> str:
    return re.sub(r"[^\w]+", "-", title.lower()).strip("-")


PAGES: dict[str, Callable[[], str]] = {"cli": commands, "manifest": schema, "python": python, "http": http}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
