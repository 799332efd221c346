"""What the schema gives people in an editor, asked of the language server that editors use."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pulpo.manifest.schema import BUNDLE
from tests.manifest.language_server import LanguageServer, language_server

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = Path(__file__).parents[2] / BUNDLE
#: Marks where the cursor is.
CURSOR = "¦"
HEAD = f"# yaml-language-server: $schema={SCHEMA}\nversion: 1\nproject: {{name: jobs}}\n"


class Editor:
    """An editor with a lock open, and the cursor in it."""

    def __init__(self, server: LanguageServer, directory: Path) -> None:
        self._server = server
        self._path = directory / "pulpo.lock.yaml"

    def open(self, text: str) -> tuple[int, int]:
        """Open a text; gives the line and column of the cursor."""
        text = HEAD + textwrap.dedent(text)
        before = text.partition(CURSOR)[0]
        self._server.open(self._path, text.replace(CURSOR, ""))
        return before.count("\n"), len(before.rpartition("\n")[2])

    def hover(self, text: str) -> str:
        return self._server.hover(*self.open(text))

    def offers(self, text: str) -> dict[str, tuple[str, str]]:
        """What is offered at the cursor: by label what it inserts and its explanation."""
        items = self._server.completions(*self.open(text)).values()
        return {item["label"]: (item["insertText"], _plain(item.get("documentation", ""))) for item in items}

    def problems(self, text: str) -> list[tuple[int, int, str]]:
        """What is marked as wrong: line and column from 1, and message."""
        self.open(text)
        found = self._server.diagnostics
        return [(d["range"]["start"]["line"] + 1, d["range"]["start"]["character"] + 1, d["message"]) for d in found]


def _plain(documentation: str | dict[str, str]) -> str:
    return documentation if isinstance(documentation, str) else documentation["value"]


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    directory = tmp_path_factory.mktemp("project")
    with language_server(directory) as server:
        yield Editor(server, directory)


def test_a_lock_without_mistakes_has_no_marks(editor: Editor) -> None:
    text = """\
        operations:
          parsing.clean:
            entrypoint: jobs:clean
            inputs: {raw: {model: Raw, mode: each, from: [fetch]}}
            x-owner: [data, team]
        """
    assert editor.problems(text) == []


def test_keys_of_an_operation_are_offered_with_their_explanation(editor: Editor) -> None:
    offers = editor.offers(f"""\
        operations:
          parsing.clean:
            entrypoint: jobs:clean
            {CURSOR}
        """)
    assert offers["retries"] == (
        "retries: ${1:3}",
        "How often a call that failed is tried again; 0 where unset. The decorator gives the default; a value here overrides it.",
    )
    assert offers["version"][0] == 'version: ${1:"2"}'
    assert offers.keys() >= {"async", "inputs", "outputs", "on_error", "retry_delay", "timeout", "cache", "after"}
    assert "entrypoint" not in offers, "it is there already"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"operations:\n  a.b:\n    entrypoint: m:f\n    on_error: {CURSOR}\n",
            {"fail", "skip"},
        ),
        (
            f"operations:\n  a.b:\n    entrypoint: m:f\n    inputs:\n      raw:\n        model: M\n        mode: {CURSOR}\n",
            {"one", "each", "all", "keyed", "previous"},
        ),
        (
            f"operations:\n  a.b:\n    entrypoint: m:f\n    origin: {CURSOR}\n",
            {"manifest"},
        ),
        (f"operations:\n  a.b:\n    entrypoint: m:f\n    async: {CURSOR}\n", {"true", "false"}),
    ],
)
def test_values_are_offered(editor: Editor, text: str, expected: set[str]) -> None:
    assert editor.offers(text).keys() >= expected


def test_an_explanation_is_shown_over_a_key(editor: Editor) -> None:
    text = editor.hover(f"operations:\n  a.b:\n    entrypoint: m:f\n    retry_{CURSOR}delay: 3\n")
    assert text.startswith("#### Retry delay\n\nSeconds before the first retry, doubled before each one after it; 1 where unset.")
    assert "Example:\n\n```yaml\n10\n```" in text


def test_the_meaning_of_each_choice_is_shown_over_its_key(editor: Editor) -> None:
    text = editor.hover(f"operations:\n  a.b: {{entrypoint: 'm:f', inputs: {{raw: {{model: M, mo{CURSOR}de: each}}}}}}\n")
    assert "the operation runs once per record, after all producers are done" in text
    assert all(f"* `{mode}`" in text for mode in ("one", "each", "all", "keyed", "previous"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"oper{CURSOR}ations: {{}}\n", "The operations, by dotted name."),
        (f"operations:\n  a.{CURSOR}b: {{entrypoint: 'm:f'}}\n", "An operation: the user's function, what goes in"),
        (f"declar{CURSOR}ed: {{}}\n", "so that your edits show as yours. Not for editing."),
        (f"models:\n  M: {{k{CURSOR}ey: [id]}}\n", "records that agree in these fields are one record"),
    ],
)
def test_every_level_explains_itself(editor: Editor, text: str, expected: str) -> None:
    assert expected in editor.hover(text)


def test_an_unknown_key_and_a_wrong_value_are_marked(editor: Editor) -> None:
    text = """\
        operations:
          a.b:
            entrypoint: m:f
            retrys: 3
            on_error: ignore
        """
    assert sorted(editor.problems(text)) == [
        (7, 5, "Property retrys is not allowed."),
        (8, 15, 'Value is not accepted. Valid values: "fail", "skip".'),
    ]
