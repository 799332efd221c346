"""From declarations to manifest data: the facts of the code, nothing decided yet."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pulpo.declare.annotations import is_pydantic
from pulpo.declare.json_schema import model_schema, required_init_vars, undefined_name
from pulpo.declare.places import DeclaredPlaces, ModelPlaces, OperationPlaces
from pulpo.declare.registry import ModelDeclaration, OperationDeclaration
from pulpo.declare.signature import found_by, is_async, read_signature, resolvable_name
from pulpo.declare.source import Sources
from pulpo.diagnostics import Diagnostic, Related, plainly
from pulpo.manifest.model import ModelSettings, OperationSettings
from pulpo.names import model_name_problem, nearest_operation_name, operation_name_problem
from pulpo.settings import LOCK_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from pulpo.declare.registry import Registry
    from pulpo.diagnostics import Path as ManifestPath
    from pulpo.diagnostics import Place

    Declaration = ModelDeclaration | OperationDeclaration

#: Fields that Beanie adds to every document; the store has its own id and revision.
_DOCUMENT_FIELDS = ("id", "_id", "revision_id")
D = TypeVar("D", ModelDeclaration, OperationDeclaration)


@dataclass(slots=True)
class Lowered:
    """The declarations as manifest data, entries sorted by name."""

    sources: Sources
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Earlier names of operations, by the present one.
    previously: dict[str, tuple[str, ...]] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    #: What each entry was made of, by its section and name.
    declarations: dict[ManifestPath, Declaration] = field(default_factory=dict)
    #: Arguments built from parameters, and their classes, by operation.
    objects: dict[str, dict[str, type]] = field(default_factory=dict)

    def locate(self, path: ManifestPath) -> Place | None:
        """The piece of code that a manifest path is about, as exactly as it can be told; at least the declaration's line.

        The source is read here, when it is asked for, each file once.
        """
        declaration = self.declarations.get(path[:2])
        return self.place_in(declaration, path[2:]) if declaration is not None else None

    def place_in(self, declaration: Declaration, path: ManifestPath = ()) -> Place:
        """The piece of a declaration's code that a path below its entry is about."""
        name = str(declaration.name)
        places: DeclaredPlaces
        if isinstance(declaration, OperationDeclaration):
            places = OperationPlaces(declaration, self.sources, self.operations.get(name, {}), self.objects.get(name, {}))
        else:
            places = ModelPlaces(declaration, self.sources, self.models.get(name, {}))
        try:
            found = places.find(path)
        except Exception:  # noqa: BLE001 - of the hooks of what is declared; a line is known all the same
            found = None
        return found or declaration.place.seen_from(str(self.sources.root))

    def problem(self, code: str, message: str, *path: str | int, at: ManifestPath | None = None, hint: str | None = None) -> None:
        """Note an error at a manifest path; `at` is the path of its place where that is another one."""
        self.diagnostics.append(Diagnostic(code, message, path, self.locate(at or path), hint=hint))


def lower(registry: Registry, root: Path) -> Lowered:
    """All declarations as manifest data; places are relative to `root`."""
    result = Lowered(Sources(root, registry.files))
    models = _unique("models", registry.models, model_name_problem, result)
    operations = _unique("operations", registry.operations, operation_name_problem, result)
    names: dict[type, str] = {}
    for model in models:
        if isinstance(model.target, type) and names.setdefault(model.target, model.name) != model.name:
            message = f"the class is declared already, as {names[model.target]}"
            result.problem(
                "PLP111", message, "models", model.name, hint="declare it once; a second model needs a class of its own"
            )
    for model in models:
        result.models[model.name] = _lower_model(model, result)
    for operation in operations:
        result.operations[operation.name] = _lower_operation(operation, names, result)
    return result


def _unique(section: str, declarations: list[D], problem_of: Callable[[str], str | None], result: Lowered) -> list[D]:
    """One declaration a name, sorted; the same line run twice (a reload, `__main__`) counts once, the last time."""
    by_name: dict[str, D] = {}
    of_another_project = functools.cache(functools.partial(_of_another_project, root=result.sources.root))
    for declaration in declarations:
        if of_another_project(declaration.place.file):
            continue
        name = declaration.name
        given: object = name  # a decorator takes what it is given
        why = problem_of(given) if isinstance(given, str) else f"a name is a string, not {given!r}"
        if why:
            hint = nearest_operation_name(str(name)) if section == "operations" else None
            result.diagnostics.append(Diagnostic("PLP102", why, (section, str(name)), result.place_in(declaration), hint=hint))
            continue
        first = by_name.get(name)
        if first is not None and (first.place != declaration.place or first.settings != declaration.settings):
            result.diagnostics.append(
                Diagnostic(
                    "PLP111", f"{name} is declared twice", (section, name), result.place_in(declaration),
                    hint="rename one of them", related=(Related("first declared here", place=result.place_in(first)),),
                )
            )  # fmt: skip
            continue
        by_name[name] = declaration
    found = [by_name[name] for name in sorted(by_name)]
    result.declarations |= {(section, declaration.name): declaration for declaration in found}
    return found


def _of_another_project(file: str, root: Path) -> bool:
    """Whether a file lies in a project other than the one in `root`: one process may look at several."""
    path = Path(file)
    if path.is_relative_to(root):
        return False
    return any((parent / LOCK_NAME).exists() for parent in path.parents if not root.is_relative_to(parent))


def _entrypoint(declaration: ModelDeclaration | OperationDeclaration, section: str, result: Lowered) -> str:
    name = resolvable_name(declaration.target, declaration.module)  # type: ignore[arg-type]
    if name is None:
        shown = getattr(declaration.target, "__qualname__", repr(declaration.target))
        result.problem(
            "PLP116",
            f"{shown} can't be imported from {declaration.module}",
            section, declaration.name, at=(section, declaration.name, "entrypoint"),
            hint="bind it to a name at the top level of its module",
        )  # fmt: skip
    return f"{declaration.module}:{name}"


# ------------------------------------------------------------------------------------------------------------- models


def _lower_model(declaration: ModelDeclaration, result: Lowered) -> dict[str, Any]:
    cls, name = declaration.target, declaration.name
    if not isinstance(cls, type) or not (is_pydantic(cls) or dataclasses.is_dataclass(cls)):
        result.problem(
            "PLP110", f"{getattr(cls, '__name__', cls)} is neither a pydantic model nor a dataclass",
            "models", name, at=("models", name, "entrypoint"),
            hint="derive it from pydantic.BaseModel, or decorate it with @dataclass below @datamodel",
        )  # fmt: skip
        return {"entrypoint": _entrypoint(declaration, "models", result)}
    if missing := required_init_vars(cls):
        result.problem(
            "PLP117", f"a record can't be read back: InitVar {missing[0]} is not stored and has no default", "models", name,
            at=("models", name, "schema", "properties", missing[0]), hint="give it a default, or make it a field",
        )  # fmt: skip
    if excluded := [n for n, info in getattr(cls, "model_fields", {}).items() if info.exclude and n not in _DOCUMENT_FIELDS]:
        message = f"its field {excluded[0]} is excluded from what is dumped, and so from what is stored"
        at = ("models", name, "schema", "properties", excluded[0])
        result.problem("PLP117", message, "models", name, at=at, hint="let it be stored, or take it out of the model")
    schema: dict[str, Any] = {}
    try:
        if undefined := undefined_name(cls):
            _tell_undefined(undefined, cls, name, result)
        else:
            schema = _without_document_fields(model_schema(cls)) if _is_document(cls) else model_schema(cls)
    except TypeError as error:
        result.problem(
            "PLP117", f"it can't be stored: {error}",
            "models", name, at=("models", name, "schema"), hint="use types that pydantic has a JSON Schema for",
        )  # fmt: skip
    given = {**_document_settings(cls), "description": _summary(cls), **declaration.settings}
    settings = _settings(ModelSettings, given, ("models", name), result)
    structure: dict[str, Any] = {"entrypoint": _entrypoint(declaration, "models", result)}
    if _has_object_ids(cls):
        structure["object_ids"] = True
    return {**structure, **settings, "schema": schema}


def _tell_undefined(undefined: str, cls: type, model: str, result: Lowered) -> None:
    fields = (field for field, said in inspect.get_annotations(cls).items() if re.search(rf"\b{undefined}\b", str(said)))
    result.problem(
        "PLP112", f"an annotation can't be resolved: name {undefined!r} is not defined", "models", model,
        at=("models", model, "schema", "properties", next(fields, ""), "type"), hint="import or define the name at run time",
    )  # fmt: skip


def _is_document(cls: type) -> bool:
    """Whether a class is a Beanie document, told without importing Beanie."""
    return any(k.__module__.startswith("beanie.") and k.__name__ == "Document" for k in cls.__mro__)


def _has_object_ids(cls: type) -> bool:
    """Whether a class is a Beanie document whose ids are ObjectIds, which is what they are unless it says otherwise."""
    if not _is_document(cls):
        return False
    annotation = cls.model_fields["id"].annotation  # type: ignore[attr-defined]
    return any(getattr(one, "__name__", "") in ("PydanticObjectId", "ObjectId") for one in (annotation, *get_args(annotation)))


def _without_document_fields(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {k: v for k, v in schema.get("properties", {}).items() if k not in _DOCUMENT_FIELDS}
    return {**schema, "properties": properties}


def _document_settings(cls: type) -> dict[str, object]:
    """Collection and indexes as a Beanie document has them in its inner class `Settings` and in `Indexed` fields."""
    if not _is_document(cls):
        return {}
    inner = getattr(cls, "Settings", None)
    indexed = [n for n, f in cls.model_fields.items() if any(type(m).__name__ == "IndexedAnnotation" for m in f.metadata)]  # type: ignore[attr-defined]
    indexes = [[field] for field in indexed] + [_index_fields(index) for index in getattr(inner, "indexes", ())]
    unique = [fields for number, fields in enumerate(indexes) if fields not in indexes[:number]]
    settings: dict[str, object] = {"collection": getattr(inner, "name", None), "indexes": unique or None}
    return {k: v for k, v in settings.items() if v is not None}


def _index_fields(index: Any) -> list[str]:
    """The fields of an index as Beanie takes it: a field, fields with or without a direction, or pymongo's `IndexModel`."""
    if isinstance(index, str):
        return [index]
    fields = index.document["key"] if hasattr(index, "document") else index
    return [field if isinstance(field, str) else str(field[0]) for field in fields]


# --------------------------------------------------------------------------------------------------------- operations


def _lower_operation(declaration: OperationDeclaration, models: Mapping[type, str], result: Lowered) -> dict[str, Any]:
    name = declaration.name
    signature = read_signature(declaration, models)
    if signature.objects:
        result.objects[name] = signature.objects
    result.diagnostics += [
        dataclasses.replace(d, path=("operations", name, *d.path), place=result.locate(("operations", name, *at)))
        for d, at in signature.problems
    ]
    given = {"description": _summary(declaration.target), **declaration.settings}
    entry = {
        **_settings(OperationSettings, given, ("operations", name), result),
        "entrypoint": _entrypoint(declaration, "operations", result),
        "async": is_async(found_by(declaration.target, declaration.module)),
        **({"parameters": signature.parameters} if signature.parameters else {}),
        "inputs": signature.inputs,
        "outputs": signature.outputs,
    }
    if signature.objects:
        entry["parameter_objects"] = {a: _class_entrypoint(c, declaration, result) for a, c in sorted(signature.objects.items())}
    for key, value in (("models_in", declaration.models_in), ("models_out", declaration.models_out)):
        if value is not None:
            entry[key] = _model_names(value, key, name, models, result)
    if declaration.previously is not None:
        earlier = _strings(declaration.previously)
        if isinstance(earlier, list) and all(isinstance(n, str) for n in earlier):
            result.previously[name] = tuple(earlier)
        else:
            result.problem("PLP114", f"earlier names are strings: {declaration.previously!r}", "operations", name, "previously")
    return entry


def _class_entrypoint(cls: type, declaration: OperationDeclaration, result: Lowered) -> str:
    module = declaration.module if cls.__module__ == "__main__" else cls.__module__
    name = resolvable_name(cls, module)
    if name is None:
        result.problem(
            "PLP116", f"{cls.__qualname__} can't be imported from {module}", "operations", declaration.name,
            at=("operations", declaration.name, "entrypoint"), hint="define it at the top level of its module",
        )  # fmt: skip
    return f"{module}:{name}"


def _model_names(value: object, key: str, operation: str, models: Mapping[type, str], result: Lowered) -> list[str]:
    items = value if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str) else [value]
    names = []
    for item in items:
        if isinstance(item, str):
            names.append(item)
        elif isinstance(item, type) and item in models:
            names.append(models[item])
        else:
            shown = getattr(item, "__name__", repr(item))
            result.problem(
                "PLP115", f"{shown} is not declared", "operations", operation, key,
                at=("operations", operation, key, shown), hint="decorate the class with @datamodel",
            )  # fmt: skip
    return sorted(set(names))


# ----------------------------------------------------------------------------------------------------------- settings


def _summary(target: object) -> str | None:
    """The first line of a docstring that a person wrote."""
    if isinstance(target, type):
        own = target.__dict__.get("__doc__")
        if not own or (dataclasses.is_dataclass(target) and own.startswith(f"{target.__name__}(")):
            return None
    elif not inspect.isroutine(target):
        return None  # the docstring of a partial or an instance is that of its class
    text = inspect.getdoc(target)
    return text.splitlines()[0].strip() or None if text else None


def _settings(spec: type[BaseModel], given: Mapping[str, object], path: ManifestPath, result: Lowered) -> dict[str, Any]:
    """The settings as manifest data; those that break the schema are reported and left out."""
    from pydantic import ValidationError

    from pulpo.manifest.explain import name_problem
    from pulpo.manifest.schema import portable

    plain = {key: _plain(key, value) for key, value in given.items() if value is not None}
    plain = {key: value for key, value in plain.items() if value is not None}
    try:
        checked: dict[str, Any] = spec.model_validate(plain).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        for problem in error.errors():
            setting = str(problem["loc"][0]) if problem["loc"] else ""
            message, hint = f"{plainly(problem['msg'])}: {plain.get(setting)!r}", None
            if problem["type"] == "string_pattern_mismatch":
                message, hint = name_problem(portable(problem["ctx"]["pattern"]), problem["input"])
            result.problem("PLP114", message, *path, setting, at=(*path, *problem["loc"]), hint=hint)
            plain.pop(setting, None)
        return {key: value for key, value in plain.items() if isinstance(value, str | int | float | bool)}
    return checked


def _plain(key: str, value: object) -> object:
    """A setting as the manifest writes it: sugar such as a single string for a list, or a timedelta, is gone."""
    if isinstance(value, dt.timedelta):
        value = value.total_seconds()
    if key == "cache":
        return _cache(value)
    if key == "version" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if key in ("tags", "after", "key"):
        return _strings(value)
    if key == "indexes" and isinstance(value, Sequence) and not isinstance(value, str):
        return [_strings(index) for index in value]
    return value


def _cache(value: object) -> object:
    if isinstance(value, bool):
        return {} if value else None
    return {"ttl": value} if isinstance(value, int | float) else value


def _strings(value: object) -> Any:
    if isinstance(value, str):
        return [value]
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)  # its own order is another one in each process
    return list(value) if isinstance(value, Sequence) else value
