"""Which piece of a declaration's code a manifest path is about.

A path here begins below the entry, `("inputs", "raw", "select", 0)` for `operations.parsing.clean.inputs.raw.select[0]`. Two
more beginnings name what the manifest has no word for: `DECORATOR`, an argument of the decorator even where the signature
says the same, and `RETURNED`, the return annotation, with the number of the tuple's element.
"""

from __future__ import annotations

import abc
import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pulpo.declare.signature import DECORATOR, RETURNED, callable_of
from pulpo.declare.source import FunctionNode, Site, SourceFile, descend, elements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulpo.declare.registry import ModelDeclaration, OperationDeclaration
    from pulpo.declare.source import Definition, Sources
    from pulpo.diagnostics import Path, Place

#: Parts of an entry that the class or function itself stands for.
_WHOLE = ("entrypoint", "async", "schema")


@dataclass(frozen=True, slots=True)
class DeclaredPlaces(abc.ABC):
    """The places of one declaration; None where the exact one is not known."""

    declaration: ModelDeclaration | OperationDeclaration
    sources: Sources
    #: The entry that the declaration became, as far as it is made.
    entry: Mapping[str, Any] = field(default_factory=dict)

    def find(self, path: Path) -> Place | None:
        """The place that a path below the entry is about, else of the part that it lies in."""
        site = self.sources.site(self.declaration)
        if not path:
            return self._name(site)
        if path[0] in _WHOLE and not path[1:]:
            return self._definition(site) or self._name(site)
        if path[0] == DECORATOR:
            return self._argument(site, str(path[1]), path[2:])
        if path[0] == "description" and not self.declaration.settings.get("description"):
            return self._docstring(site) or self._name(site)
        return self._part(site, path) or self._setting(site, path)

    @abc.abstractmethod
    def _part(self, site: Site | None, path: Path) -> Place | None:
        """The place of what stands in the class or function rather than in the decorator."""

    @abc.abstractmethod
    def _defined(self, site: Site | None) -> tuple[SourceFile, Definition] | None:
        """The class or function that is declared."""

    def _setting(self, site: Site | None, path: Path) -> Place | None:
        key = str(path[0])
        return self._argument(site, key, path[1:]) if self._given(key) else self._name(site)

    def _given(self, key: str) -> bool:
        return key in self.declaration.settings or getattr(self.declaration, key, None) is not None

    def _argument(self, site: Site | None, key: str, rest: Path) -> Place | None:
        """An argument of the decorator; the whole call where the argument is hidden, as by `**settings`."""
        if site is None:
            return None
        value = site.argument(key)
        return site.source.place(site.call if value is None else descend(value, rest))

    def _name(self, site: Site | None) -> Place | None:
        """The name as the decorator says it, else as the class or function has it, else the decorator."""
        if site is None:
            return None
        given = site.name_argument()
        if given is not None and (not isinstance(given, ast.Constant) or given.value == self.declaration.name):
            return site.source.place(given)
        own = site.definition
        if given is None and own is not None and getattr(own, "name", None) == self.declaration.name:
            return site.source.name_of(own)
        return site.source.place(site.call)

    def _definition(self, site: Site | None) -> Place | None:
        found = (site.source, site.definition) if site and site.definition else self._defined(site)
        return found[0].name_of(found[1]) if found else None

    def _docstring(self, site: Site | None) -> Place | None:
        found = self._defined(site)
        if found is None or isinstance(found[1], ast.Lambda) or ast.get_docstring(found[1], clean=False) is None:
            return None
        return found[0].place(found[1].body[0])


@dataclass(frozen=True, slots=True)
class OperationPlaces(DeclaredPlaces):
    """The places of an operation: decorator, signature, and the classes that parameters are fields of."""

    declaration: OperationDeclaration
    #: Arguments built from parameters, and their classes.
    objects: Mapping[str, type] = field(default_factory=dict)

    def _defined(self, site: Site | None) -> tuple[SourceFile, FunctionNode] | None:
        found = self.sources.function(callable_of(self.declaration.target))
        if found is None and site is not None and isinstance(site.definition, FunctionNode):
            return site.source, site.definition
        return found

    def _part(self, site: Site | None, path: Path) -> Place | None:
        section, *rest = path
        if section in ("outputs", RETURNED):
            return self._returned(site, str(section), tuple(rest)) or self._definition(site)
        if section in ("inputs", "parameters", "parameter_objects"):
            if not rest:
                return self._argument(site, "inputs", ()) if self._given("inputs") else self._definition(site)
            return self._taken(site, str(rest[0]), tuple(rest[1:])) or self._definition(site)
        if section in ("models_in", "models_out") and rest:
            return self._named_model(site, str(section), rest[0])
        return None

    def _taken(self, site: Site | None, name: str, part: Path) -> Place | None:
        """A parameter: its default, its annotation, a pattern of `From`, or, for the entry as a whole, all of it."""
        argument = self.entry.get("parameters", {}).get(name, {}).get("argument")
        if argument in self.objects and (found := field_place(self.objects[argument], name, part, self.sources)):
            return found
        defined = self._defined(site)
        found_parameter = parameter_of(defined[1], argument or name) if defined else None
        if defined is None or found_parameter is None:
            return None
        source, (parameter, default) = defined[0], found_parameter
        if part[:1] == ("default",):
            return source.place(default if default is not None else parameter)
        if parameter.annotation is None:
            return self._argument(site, "inputs", (name,)) if part and self._given("inputs") else source.place(parameter)
        if part[:1] in (("select",), ("from",)):
            return source.place(_pattern(parameter.annotation, self._patterns(name, part)))
        return source.place(parameter.annotation if part else parameter)

    def _patterns(self, name: str, part: Path) -> list[str]:
        patterns = list(self.entry.get("inputs", {}).get(name, {}).get("select", ()))
        index = part[1] if part[0] == "select" and len(part) > 1 else None
        return patterns[index : index + 1] if isinstance(index, int) else patterns

    def _returned(self, site: Site | None, section: str, rest: Path) -> Place | None:
        """The return annotation, or an element of it; what `outputs=` says where there is no annotation."""
        defined = self._defined(site)
        annotation = getattr(defined[1], "returns", None) if defined else None
        if annotation is None and self._given("outputs"):
            return self._argument(site, "outputs", rest)
        if defined is None or annotation is None:
            return None
        if section == "outputs" and len(elements(annotation)) != len(self.entry.get("outputs", ())):
            rest = ()  # some of what is returned is no model, so the numbers are others
        return defined[0].place(descend(annotation, rest[:1]))

    def _named_model(self, site: Site | None, key: str, model: str | int) -> Place | None:
        """A model in `models_in=` or `models_out=`, which the manifest has sorted: found by its name."""
        names = self.entry.get(key, ())
        name = names[model] if isinstance(model, int) and 0 <= model < len(names) else model
        value = site.argument(key) if site else None
        if site is None or value is None:
            return self._argument(site, key, ())
        items = value.elts if isinstance(value, ast.List | ast.Tuple | ast.Set) else []
        return site.source.place(next((item for item in items if _says(item, name)), value))


@dataclass(frozen=True, slots=True)
class ModelPlaces(DeclaredPlaces):
    """The places of a model: decorator, class, and fields, inherited ones where they are written."""

    declaration: ModelDeclaration

    def _defined(self, site: Site | None) -> tuple[SourceFile, ast.ClassDef] | None:
        if site is not None and isinstance(site.definition, ast.ClassDef):
            return site.source, site.definition
        cls = self.declaration.target
        return self.sources.class_of(cls) if isinstance(cls, type) else None

    def _part(self, site: Site | None, path: Path) -> Place | None:
        if path[0] == "schema":
            return self._field(site, path[1:]) or self._definition(site)
        defined = self._defined(site)
        if defined is None or self._given(str(path[0])):
            return None
        inner = [s for s in defined[1].body if isinstance(s, ast.ClassDef) and s.name == "Settings"]  # of a Beanie document
        name = {"collection": "name"}.get(str(path[0]), path[0])
        return next((defined[0].place(s.value) for c in inner for s in c.body if _assigns(s, name)), None)  # type: ignore[attr-defined]

    def _field(self, site: Site | None, rest: Path) -> Place | None:
        name, cls = _field_name(rest, self.entry.get("schema", {})), self.declaration.target
        if name is None or not isinstance(cls, type):
            return None
        name = attribute_of(cls, name)
        defined = self._defined(site)
        own = _annotated(defined[1], name) if defined else None
        if defined and own:
            return defined[0].place(_of_field(own, rest[2:]))
        return field_place(cls, name, rest[2:], self.sources)


def _field_name(rest: Path, schema: Mapping[str, Any]) -> str | None:
    """The property that a path into a schema is about."""
    if len(rest) > 1 and rest[0] == "properties":
        return str(rest[1])
    if len(rest) > 1 and rest[0] == "required" and isinstance(rest[1], int):
        return next(iter(schema.get("required", [])[rest[1] : rest[1] + 1]), None)
    return None


def attribute_of(cls: type, key: str) -> str:
    """The field that records have under a key, which may be an alias."""
    fields = getattr(cls, "model_fields", {})
    if key in fields:
        return key
    return next((name for name, info in fields.items() if key in (info.validation_alias, info.alias)), key)


def field_place(cls: type, name: str, part: Path, sources: Sources) -> Place | None:
    """Where a field of a class is written: in the class or in the nearest base of the project that has it."""
    for base in cls.__mro__:
        found = sources.class_of(base)
        statement = _annotated(found[1], name) if found else None
        if found and statement:
            return found[0].place(_of_field(statement, part))
    return None


def _annotated(node: ast.ClassDef, name: str) -> ast.AnnAssign | None:
    """The line of a class body that makes a field; the last one, as in Python."""
    lines = (s for s in reversed(node.body) if isinstance(s, ast.AnnAssign))
    return next((s for s in lines if isinstance(s.target, ast.Name) and s.target.id == name), None)


def _of_field(statement: ast.AnnAssign, part: Path) -> ast.AnnAssign | ast.expr:
    if part[:1] == ("default",) and statement.value is not None:
        return statement.value
    return statement.annotation if part and part[0] != "default" else statement


def _assigns(statement: ast.stmt, name: object) -> bool:
    if isinstance(statement, ast.AnnAssign):
        return statement.value is not None and isinstance(statement.target, ast.Name) and statement.target.id == name
    return isinstance(statement, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in statement.targets)


def parameter_of(node: FunctionNode, name: str) -> tuple[ast.arg, ast.expr | None] | None:
    """A parameter of a function and its default."""
    given = node.args
    positional = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(given.defaults))
    pairs = [*zip(positional, [*defaults, *given.defaults], strict=True), *zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    pairs += [(more, None) for more in (given.vararg, given.kwarg) if more is not None]
    return next(((parameter, default) for parameter, default in pairs if parameter.arg == name), None)


def _pattern(annotation: ast.expr, patterns: list[str]) -> ast.expr:
    """The `From(…)` that says patterns, or of one that says several the pattern; the annotation where it is not written there."""
    for node in ast.walk(annotation):
        if isinstance(node, ast.Call):
            literals = [a for a in ast.walk(node) if isinstance(a, ast.Constant) and a.value in patterns]
            if literals:
                return literals[0] if len(node.args) > 1 and len(patterns) == 1 else node
    return annotation


def _says(node: ast.expr, name: object) -> bool:
    said = node.value if isinstance(node, ast.Constant) else getattr(node, "id", getattr(node, "attr", None))
    return bool(said == name)
