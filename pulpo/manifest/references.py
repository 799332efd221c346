"""References to environment variables: `${NAME}`, `${NAME:-default}`, and `$$` for a dollar sign, as Docker Compose has them.

They may stand in every text of a service and of `project.docker`, and in the parameters, work pools and task runners' options
of flows, in environments as well. A dollar sign before anything but `{` and `$` is one. A variable that is empty counts as unset
where there is a default. A default is text: it holds neither braces nor another reference.

What references stand for may be secret. So it lives in a `Resolved`, which does not show it, and what is printed goes through
`redact` where it may hold some of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from pulpo.diagnostics import Diagnostic, Path, Related
from pulpo.errors import DiagnosticsError

if TYPE_CHECKING:
    from pulpo.diagnostics import Locate

State = Literal["yes", "default", "no"]

#: A reference, an escaped dollar sign, or the beginning of what is meant as a reference but is none.
_TOKEN = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<has_default>:-(?P<default>[^{}]*))?\}|\$\{")
_NESTED = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*:-[^{}]*\{")
_WORD = re.compile(r"\$\{\w*\}?")
_HIDDEN = "***"
#: The settings of flows whose texts may hold references.
_OF_FLOWS = frozenset({"parameters", "work_pool", "task_runner_options"})


@dataclass(frozen=True, slots=True)
class Reference:
    """What stands for the value of an environment variable; a default of None is none."""

    name: str
    default: str | None = None

    def state(self, environ: Mapping[str, str]) -> State:
        """Whether the variable is set; where it is not, whether there is a default."""
        if self.default is None:
            return "yes" if self.name in environ else "no"
        return "yes" if environ.get(self.name) else "default"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A manifest's data with what its references stand for, which neither `repr` nor `str` shows."""

    data: dict[str, Any] = field(repr=False)
    #: The values of all variables that were put in, for `redact`.
    secrets: frozenset[str] = field(repr=False)


def references(text: str) -> Iterator[Reference]:
    """The references in a text, in their order; malformed ones are left out."""
    for token in _TOKEN.finditer(text):
        if token["name"]:
            yield _reference(token)


def parts(text: str) -> Iterator[str | Reference]:
    """A text taken apart, in order: its references, and what stands between them, with `$$` as the one dollar sign it means."""
    end = 0
    for token in _TOKEN.finditer(text):
        yield text[end : token.start()]
        yield _reference(token) if token["name"] else token[0].replace("$$", "$")
        end = token.end()
    yield text[end:]


def references_in(data: Mapping[str, Any]) -> Iterator[tuple[Path, Reference]]:
    """All references of a manifest's data, without those of its environments, with their paths, in the order of the file."""
    for path, text in _texts(data):
        for reference in references(text):
            yield path, reference


def variable_states(data: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, State]:
    """For each variable of a manifest's data, sorted, whether it is set; `no` where any of its uses lacks a value."""
    states: dict[str, State] = {}
    for _, reference in references_in(data):
        state = reference.state(environ)
        if states.get(reference.name) != "no":
            states[reference.name] = state
    return dict(sorted(states.items()))


def malformed_references(data: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """PLP216 for each text of a manifest's data, environments as well, in which a reference is malformed."""
    for path, text in _texts(data):
        if problem := _problem(text):
            yield _malformed(path, problem)
    for name, overlay in data.get("environments", {}).items():
        for path, text in _texts(overlay):
            if problem := _problem(text):
                yield _malformed(("environments", name, *path), problem)


def resolve(data: Mapping[str, Any], environ: Mapping[str, str], locate: Locate = lambda _: None) -> Resolved:
    """A manifest's data with the values of the variables in place of its references; environments stay as they are.

    Args:
        data: A manifest's plain data, or the parts of it that are of interest.
        environ: The environment variables.
        locate: Knows the places of paths, for problems.

    Raises:
        DiagnosticsError: References are malformed (PLP216), or variables without a default are not set (PLP217, one for each
            variable, at its first use); all of them.
    """
    problems = [_malformed(path, problem) for path, text in _texts(data) if (problem := _problem(text))]
    uses: dict[str, list[Path]] = {}
    secrets: set[str] = set()
    for path, reference in references_in(data):
        state = reference.state(environ)
        if state == "no":
            uses.setdefault(reference.name, []).append(path)
        elif state == "yes":
            secrets.add(environ[reference.name])
    problems += [_unset(name, paths) for name, paths in uses.items()]
    if problems:
        raise DiagnosticsError([problem.located(locate) for problem in problems])
    return Resolved(_changed(data, lambda _, text: _filled(text, environ)), frozenset(secrets - {""}))


def redact(text: str, secrets: frozenset[str]) -> str:
    """The text with `***` in place of each secret, also where it is written as in JSON or in a URI."""
    forms = {form for secret in secrets for form in _forms(secret)}
    if not forms:
        return text
    return re.sub("|".join(map(re.escape, sorted(forms, key=lambda form: (-len(form), form)))), _HIDDEN, text)


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield repr(secret)[1:-1]
    for as_ascii in (True, False):
        yield json.dumps(secret, ensure_ascii=as_ascii)[1:-1]
    for safe in ("", "/"):
        yield quote(secret, safe=safe, errors="surrogateescape")


def _reference(token: re.Match[str]) -> Reference:
    default = token["default"].replace("$$", "$") if token["has_default"] else None
    return Reference(token["name"], default)


def _filled(text: str, environ: Mapping[str, str]) -> str:
    def value(token: re.Match[str]) -> str:
        if not token["name"]:
            return "$"
        reference = _reference(token)
        return environ[reference.name] if reference.state(environ) == "yes" else reference.default or ""

    return _TOKEN.sub(value, text)


def _problem(text: str) -> str | None:
    """What is wrong with the first malformed reference; what may be a secret in it is not repeated."""
    bad = next((token for token in _TOKEN.finditer(text) if token[0] == "${"), None)
    if bad is None:
        return None
    word = _WORD.match(text, bad.start())
    shown = word[0] if word else bad[0]
    if _NESTED.match(text, bad.start()):
        return f"a default holds no braces and no other reference: {shown}:-…"
    if "}" not in text[bad.end() :]:
        return f"a reference without its end: {shown}…"
    if shown.endswith("}"):
        return f"a name is letters, digits and _, and does not begin with a digit: {shown}"
    return f"only ${{NAME}} and ${{NAME:-default}} are references: {shown}…"


def _malformed(path: Path, problem: str) -> Diagnostic:
    hint = "write ${NAME} or ${NAME:-default}; a dollar sign itself is written $$"
    return Diagnostic("PLP216", problem, path, hint=hint)


def _unset(name: str, paths: list[Path]) -> Diagnostic:
    related = tuple(Related("it is used here, too", path) for path in dict.fromkeys(paths[1:]) if path != paths[0])
    hint = f"set it, or write a default: ${{{name}:-…}}"
    return Diagnostic("PLP217", f"an environment variable is not set: {name}", paths[0], hint=hint, related=related)


def _texts(data: Mapping[str, Any]) -> list[tuple[Path, str]]:
    """All texts that references may stand in, with their paths, in the order of the data."""
    found: list[tuple[Path, str]] = []

    def take(path: Path, text: str) -> str:
        found.append((path, text))
        return text

    _changed(data, take)
    return found


def _changed(data: Mapping[str, Any], change: Callable[[Path, str], str]) -> dict[str, Any]:
    """A copy with all texts changed that references may stand in; keys of one's own (`x-…`) stay as they are."""
    changed = dict(data)
    for section, keys in (("services", None), ("flows", _OF_FLOWS)):
        if section in data:
            changed[section] = {
                name: _entry(entry, (section, name), keys, change)
                for name, entry in data[section].items()
                if isinstance(entry, Mapping)
            }
    docker = data.get("project", {}).get("docker")
    if isinstance(docker, Mapping):
        changed["project"] = {**data["project"], "docker": _entry(docker, ("project", "docker"), None, change)}
    return changed


def _entry(
    entry: Mapping[str, Any], path: Path, keys: frozenset[str] | None, change: Callable[[Path, str], str]
) -> dict[str, Any]:
    return {key: _referring(value, (*path, key), change) if _may_refer(key, keys) else value for key, value in entry.items()}


def _may_refer(key: str, keys: frozenset[str] | None) -> bool:
    return key in keys if keys is not None else not key.startswith("x-")


def _referring(value: Any, path: Path, change: Callable[[Path, str], str]) -> Any:
    if path[0] == "flows" and path[2] == "work_pool" and isinstance(value, Mapping):
        return {key: _walked(item, (*path, key), change) if _may_refer(key, None) else item for key, item in value.items()}
    return _walked(value, path, change)


def _walked(value: Any, path: Path, change: Callable[[Path, str], str]) -> Any:
    if isinstance(value, str):
        return change(path, value)
    if isinstance(value, Mapping):
        return {key: _walked(item, (*path, key), change) for key, item in value.items()}
    if isinstance(value, list):
        return [_walked(item, (*path, index), change) for index, item in enumerate(value)]
    return value
