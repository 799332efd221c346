"""Operations that the code has under another name now: the file with the new names, wherever it mentions the former ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulpo.declare.lower import Lowered
    from pulpo.diagnostics import Path

Data = dict[str, Any]


def new_names(code: Lowered, file: Data) -> dict[str, str]:
    """The present names of operations that are in the file under a former one only."""
    operations = file.get("operations", {})
    names: dict[str, str] = {}
    for new, earlier in sorted(code.previously.items()):
        left = (old for old in earlier if old in operations and old not in code.operations and old not in names)
        if new not in operations and (old := next(left, None)):
            names[old] = new
    return names


def with_new_names(file: Data, names: Mapping[str, str]) -> tuple[Data, dict[Path, str]]:
    """The file with the new names, so that nothing but a name is a change, and the paths of what is called otherwise in it.

    Not in what is resolved anew, nor where an entry of the new name is there already.
    """
    if not names:
        return file, {}
    renamed: dict[Path, str] = {}
    declared = file.get("declared", {})
    # Of a name that the file has no operation of, nothing is known.
    known = {name: said for name, said in declared.get("operations", {}).items() if name not in names.values()}
    result = _renamed(file, (), names, renamed)
    result["declared"] = _renamed({**declared, "operations": known}, ("declared",), names, renamed)
    overlays: Data = file.get("environments", {})
    if overlays:
        result["environments"] = {
            name: _renamed(overlay, ("environments", name), names, renamed) for name, overlay in overlays.items()
        }
    return result, renamed


def former_path(path: Path, renamed: Mapping[Path, str]) -> Path:
    """The path that a path has in the file as it is."""
    for old, new in renamed.items():
        if path[: len(old)] == (*old[:-1], new):
            return (*old, *path[len(old) :])
    return path


def _renamed(part: Data, path: Path, names: Mapping[str, str], renamed: dict[Path, str]) -> Data:
    result = dict(part)
    for section in ("operations", "flows"):
        entries: Data = part.get(section, {})
        here = {old: new for old, new in names.items() if old in entries and new not in entries}
        if section == "flows":  # an operation without a dot is a flow of its own
            here = {old: new for old, new in here.items() if "." not in old + new}
        renamed |= {(*path, section, old): new for old, new in here.items()}
        if entries:
            result[section] = {here.get(name, name): _after(entry, names) for name, entry in entries.items()}
    return result


def _after(entry: Data, names: Mapping[str, str]) -> Data:
    after = entry.get("after")
    return {**entry, "after": [names.get(name, name) for name in after]} if isinstance(after, list) else entry
