"""Every snippet of the documentation holds: Python compiles, YAML is a piece of a manifest, commands and their options exist."""

from __future__ import annotations

import ast
import functools
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from pulpo.cli.main import hoisted
from pulpo.cli.typer_app import build
from tests.docs.blocks import DOCS, Block, blocks, pages, printed
from tests.docs.pictures import PAGES as DRAWN
from tests.docs.test_tutorial import FOLLOWED

ROOT = DOCS.parent
#: The README and what is written about the project for who builds it are pages like others.
ALL = [*pages(), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
#: What else a word between two commands of the shell may be.
SEPARATORS = {"&&", "||", "|", ";", "&"}
#: YAML that is no manifest: files of GitLab, of pre-commit and of Kedro; and what is wrong, of which tests/test_codes.py sees to that.
OTHERS = {"ci.md", "migrate-kedro.md", "diagnostics.md"}


def every(*languages: str) -> list[Any]:
    found = (block for page in ALL for block in listed(page) if block.language in languages)
    return [pytest.param(block, id=str(block)) for block in found]


def listed(page: Path) -> list[Block]:
    return list(blocks(page))


@pytest.mark.parametrize("block", every("python"))
def test_python_compiles_and_has_what_it_imports(block):
    if block.page == "reference/python.md":
        return  # signatures, as the code has them
    text = block.text.rstrip()
    tree = ast.parse(f"{text} ..." if text.endswith(":") else text)  # of a long function only the head is shown
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "pulpo":
            module = importlib.import_module(node.module)
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == [], str(block)


@pytest.mark.parametrize("block", every("yaml"))
def test_yaml_is_a_piece_of_a_manifest(block):
    if block.page in OTHERS | set(DRAWN) or (block.page in FOLLOWED and not block.append):
        return  # of the last two the tests compare it with locks that are made
    data = YAML(typ="safe").load(block.text)
    if not set(data) <= set(schema()["properties"]):  # an entry, or what stands in one
        assert any(not problems(wrap(data)) for wrap in WRAPPED), str(block)
        return
    assert problems(data) == [], str(block)


def problems(piece: dict[str, Any]) -> list[str]:
    """What is wrong with a piece of a manifest, apart from what a piece may leave out."""
    found = jsonschema.Draft202012Validator(schema()).iter_errors({"version": 1, "project": {"name": "jobs"}, **piece})
    return [error.message for error in found if error.validator != "required"]


WRAPPED = (
    lambda data: {"operations": data},
    lambda data: {"flows": {"pipeline": data}},
    lambda data: {"services": data},
)


@functools.cache
def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "pulpo.schema.json").read_text())
    return found


@pytest.mark.parametrize("block", every("bash", "console"))
def test_commands_and_options_exist(block):
    for line, _ in block.commands:
        for words in pulpo_commands(line):
            parse(words)


@pytest.mark.parametrize("block", every(""))
def test_commands_in_other_blocks_exist(block):
    if block.page == "README.md":
        return  # the list of commands, in the notation of help: tests/test_readme.py has it
    for line in re.findall(r"^(?:\$ )?(pulpo .*)", block.text, re.MULTILINE):
        for words in pulpo_commands(line):
            parse(words)


def test_a_project_in_a_minute_is_made_and_runs(tmp_path):
    commands = [command for block in listed(DOCS / "init.md") if block.language == "bash" for command, _ in block.commands]
    assert commands.pop(0) == "pip install pulpocore"
    assert "3 of 3 operations" in printed(" && ".join(commands), tmp_path)


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_commands_in_the_text_exist(page):
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for said in re.findall(r"`(pulpo [^`\n]+)`", text):
        given = re.sub(r"--(env|mode|project)[ =]\S+", "", said).split()[1:]
        command = root()
        for word in given:
            if word.startswith("-"):
                assert word.partition("=")[0] in options(command) | options(root()) | {"--help"}, said
            elif hasattr(command, "commands"):
                names = word.replace("\\", "").split("|")
                assert set(names) <= set(command.commands) or re.fullmatch("[A-Z]+|…", word), said
                command = command.commands.get(names[0], command)


def pulpo_commands(line: str) -> Iterator[list[str]]:
    """The calls of `pulpo` in a line of the shell, each as its arguments."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word in SEPARATORS:
            if words[:1] == ["pulpo"]:
                yield words[1:]
            words = []
        else:
            words.append(word)


def parse(words: list[str]) -> None:
    """Let the command line read arguments as it would, and call nothing.

    Raises:
        click.UsageError: There is no such command, option or value.
    """
    command, context, rest = root(), None, hoisted(words)
    name = "pulpo"
    while True:
        context = command.make_context(name, list(rest), parent=context)
        rest = [*context._protected_args, *context.args]
        if not rest or not hasattr(command, "commands"):
            return
        name, command, rest = command.resolve_command(context, rest)


def options(command: Any) -> set[str]:
    return {one for parameter in command.params for one in (*parameter.opts, *parameter.secondary_opts)}


@functools.cache
def root() -> Any:
    return build()


def test_paths_that_the_architecture_page_names_exist():
    text = (DOCS / "architecture.md").read_text()
    for name, attribute in re.findall(r"`(?:pulpo/)?([a-z_/]+\.py)(?:::(\w+))?`", text):
        found = sorted((ROOT / "pulpo").rglob(name))
        assert found, name
        assert not attribute or any(re.search(rf"(def|class) {attribute}\b", one.read_text()) for one in found), (name, attribute)


def test_every_package_is_on_the_architecture_page():
    table = (DOCS / "architecture.md").read_text().partition("## The packages")[2].partition("\n## ")[0]
    packages = {path.parent.name for path in (ROOT / "pulpo").glob("*/__init__.py")}
    assert sorted(packages - set(re.findall(r"`(\w+)`", table))) == []
