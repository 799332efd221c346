"""What a YAML parser stumbled over, in words that help: what is wrong, where it began, and what to write instead.

libyaml says where it could not go on, which is often a line after the mistake, and what it had expected there. The text
around tells the usual mistakes apart: a colon without its space, a quote or bracket that is not closed, indentation.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ruamel.yaml.error import YAMLError

from pulpo.diagnostics import Diagnostic, Place, Related
from pulpo.manifest.yaml_text import place_at, shortened

try:
    from ruamel.yaml.cyaml import CParser as _Base  # type: ignore[attr-defined]
except ImportError:
    from ruamel.yaml.loader import SafeLoader as _Base

if TYPE_CHECKING:
    from collections.abc import Callable

    from ruamel.yaml.error import MarkedYAMLError

#: `key:value`, perhaps as a list item: a plain text to YAML.
_NO_SPACE = re.compile(r"(?P<key>[\w.$-]+):(?P<value>[^\s:/].*)")
_LIST_MARK = re.compile(r"(?:- +)*")
#: libyaml gives up looking for the colon of a key after so many characters (YAML 1.2.2, 7.4.2).
_LONGEST_SIMPLE_KEY = 1024
_BRACKETS = {"]": "[", "}": "{"}


class Parser(_Base):  # type: ignore[misc]
    """libyaml's parser, else ruamel's own."""

    # ruamel's own parser asks its loader for these, which only its front door sets.
    max_depth = version = tags = None


@dataclass(frozen=True, slots=True)
class _Stumble:
    """Where the parser stopped in a text, and where that began which it was reading."""

    text: str
    file: str
    index: int
    context: int | None

    @property
    def at(self) -> str:
        """The character it stopped at; empty at the end."""
        return self.text[self.index : self.index + 1]

    @property
    def before(self) -> str:
        """What stands before it on its line."""
        return self.text[self.line_start(self.index) : self.index]

    @property
    def column(self) -> int:
        return self.index - self.line_start(self.index)

    def line_start(self, index: int) -> int:
        return max(self.text.rfind("\n", 0, index), self.text.rfind("\r", 0, index)) + 1

    def line(self, start: int) -> str:
        """The line from an index on, without a comment."""
        return re.split(r"[\r\n]|(?:^|\s)#", self.text[start : start + 10_000], maxsplit=1)[0].rstrip()

    def line_above(self) -> int | None:
        """Where the nearest line above begins that says something, behind its indentation."""
        start = self.line_start(self.index)
        while start > 0:
            start = self.line_start(start - 1)
            line = self.line(start)
            if line.strip():
                return start + len(line) - len(line.lstrip())
        return None

    def place(self, index: int) -> Place:
        return place_at(self.text, index, self.file)

    def problem(
        self, message: str, hint: str | None = None, *, index: int | None = None, related: str | None = None
    ) -> Diagnostic:
        """A diagnostic at an index, else where the parser stopped; `related` is what to say of the context's place."""
        at = self.place(self.index if index is None else index)
        others = (Related(related, place=self.place(self.context)),) if related and self.context is not None else ()
        return Diagnostic("PLP002", message, place=at, hint=hint, related=others)


def syntax_problem(error: MarkedYAMLError, text: str, file: str) -> Diagnostic:
    """The diagnostic of a parser's error (PLP002)."""
    mark = error.problem_mark or error.context_mark
    context = error.context_mark.index if error.context_mark else None
    stumble = _Stumble(text, file, mark.index if mark else 0, context)
    tab = stumble.before.find("\t") if not stumble.before.strip() else -1
    if tab >= 0 or stumble.at == "\t":
        return _tab(stumble, stumble.index - len(stumble.before) + tab if tab >= 0 else stumble.index)
    found = _EXPLAINED.get(str(error.problem), shortened(str(error.problem)))
    if callable(found):
        return found(stumble)
    message, hint, related = (found, None, None) if isinstance(found, str) else found
    return stumble.problem(message, hint, related=related)


def _tab(stumble: _Stumble, index: int) -> Diagnostic:
    if stumble.text[stumble.line_start(index) : index].strip():
        return stumble.problem("a tab can't stand here", "use spaces", index=index)
    return stumble.problem("a tab indents this line", "indent with spaces", index=index)


def _colon(stumble: _Stumble) -> Diagnostic:
    """A colon where no key can be: a second one on its line, or the line above is not what it looks like."""
    line = stumble.before.strip()
    if len(line) > _LONGEST_SIMPLE_KEY:
        return stumble.problem(f"a key is longer than {_LONGEST_SIMPLE_KEY} characters: {shortened(line)}")
    above = stumble.line_above()
    if ": " in line or above is None:
        return stumble.problem("a second colon in a value", "put the value in quotes")
    text = stumble.line(above)
    if line.startswith("- ") and text.startswith("- "):
        start = stumble.index - len(stumble.before.lstrip())
        return stumble.problem("indented like no list item above", "check the indentation", index=start)
    if ": " not in text:
        return _no_colon(stumble, above)
    hint = "indent it like the line above, or put the text there in quotes if it goes on here"
    return stumble.problem("a key below a key that has a value already", hint)


def _no_colon(stumble: _Stumble, index: int) -> Diagnostic:
    text = stumble.line(index)
    mark = len((_LIST_MARK.match(text) or [""])[0])
    match = _NO_SPACE.fullmatch(text[mark:])
    if match:
        hint = f"write `{shortened(match['key'])}: {shortened(match['value'])}`"
        return stumble.problem(f"no space after the colon: {shortened(match[0])}", hint, index=index + mark + match.end("key"))
    return stumble.problem(f"a key without its colon: {shortened(text[mark:])}", "a key ends with a colon", index=index + mark)


def _unfinished_key(stumble: _Stumble) -> Diagnostic:
    return _no_colon(stumble, stumble.index if stumble.context is None else stumble.context)


def _no_key(stumble: _Stumble) -> Diagnostic:
    """Something that is neither a key of the mapping nor its end."""
    before = stumble.before.rstrip()
    if before.strip():
        return _text_behind(stumble, before[-1])
    if stumble.at in _BRACKETS:
        return _closes_nothing(stumble)
    if stumble.at == ":":
        return stumble.problem("a key is missing before the colon")
    mapping = "the mapping begins here"
    if stumble.context is not None and stumble.column == stumble.context - stumble.line_start(stumble.context):
        if stumble.at == "-":
            return stumble.problem("a list item among keys", "indent it below its key", related=mapping)
        return stumble.problem("a key was expected", "check the quotes and the indentation above", related=mapping)
    return stumble.problem("indented like no key above", "indent it like the keys that it belongs to", related=mapping)


def _text_behind(stumble: _Stumble, last: str) -> Diagnostic:
    if last in "\"'":
        hint = 'put all of the value in quotes; a \' within \' \' is written twice, a " within " " as \\"'
        start = _quote_start(stumble)
        found = stumble.problem("text after a closing quote", hint)
        if start is None or stumble.place(start).line == stumble.place(stumble.index).line:
            return found
        related = (Related("the quotes that end here begin here: is one of them missing?", place=stumble.place(start)),)
        return Diagnostic(found.code, found.message, place=found.place, hint=hint, related=related)
    if last in "]}":
        return stumble.problem(f"text after a closing {last}", "put all of the value in quotes if it is one text")
    return stumble.problem("a key was expected", "check the quotes and the indentation above")


def _quote_start(stumble: _Stumble) -> int | None:
    """Where the quoted text begins that ends right before the stumble."""
    parser = Parser(stumble.text)
    start = None
    with contextlib.suppress(YAMLError):
        while (token := parser.get_token()) is not None and token.start_mark.index < stumble.index:
            start = token.start_mark.index
    parser.dispose()
    return start


def _closes_nothing(stumble: _Stumble) -> Diagnostic:
    return stumble.problem(f"a {stumble.at} that closes nothing", f"remove it, or add its {_BRACKETS[stumble.at]}")


def _no_item(stumble: _Stumble) -> Diagnostic:
    before = stumble.before.rstrip()
    if before.strip():
        return _text_behind(stumble, before[-1])
    if stumble.at in _BRACKETS:
        return _closes_nothing(stumble)
    items = "the list begins here"
    if stumble.context is not None and stumble.column == stumble.context - stumble.line_start(stumble.context):
        return stumble.problem("a key among list items", "check the indentation", related=items)
    return stumble.problem("indented like no list item above", "check the indentation", related=items)


def _no_value(stumble: _Stumble) -> Diagnostic:
    if stumble.at and stumble.at in "]}" and stumble.context == stumble.index and not _within_brackets(stumble):
        return _closes_nothing(stumble)
    if stumble.at == ",":
        return stumble.problem("nothing stands before this comma", "remove it")
    return stumble.problem("a value was expected", "put it in quotes if it is a text")


def _within_brackets(stumble: _Stumble) -> bool:
    return any(bracket in stumble.before for bracket in "[{")


def _no_start(stumble: _Stumble) -> Diagnostic:
    """The document's one value has ended, and more follows."""
    if stumble.at in _BRACKETS:
        return _closes_nothing(stumble)
    if stumble.before.strip():
        return _text_behind(stumble, stumble.before.rstrip()[-1])
    return stumble.problem("the document has ended above", "the lock is one mapping: check the first line, and lines of `...`")


def _unstartable(stumble: _Stumble) -> Diagnostic:
    return stumble.problem(f"a value can't begin with this: {stumble.at}", "put it in quotes")


def _unclosed_quotes(stumble: _Stumble) -> Diagnostic:
    """Where they begin: the file's end, where the parser stopped, has no line to show."""
    return stumble.problem("quotes that are not closed", "close them", index=stumble.context)


def _bad_escape(stumble: _Stumble) -> Diagnostic:
    escape = stumble.text[stumble.index : stumble.index + 2]
    hint = "write \\\\ for a backslash, or put the text in ' '"
    return stumble.problem(f"a backslash within double quotes that means nothing: {escape}", hint)


def _bad_code(stumble: _Stumble) -> Diagnostic:
    digits = re.match(r"[0-9a-fA-F]{0,8}", stumble.text[stumble.index : stumble.index + 8])
    hint = "write the character itself, or all of it as \\U and 8 digits"
    return stumble.problem(f"no character has this number: {digits[0] if digits else ''}", hint)


_LIST, _MAPPING = "the [ that is not closed is here", "the { that is not closed is here"
_NAME = ("a name was expected here: letters, digits, - and _", "put the text in quotes if it is no anchor or alias", None)
_EXPLAINED: dict[str, str | tuple[str, str | None, str | None] | Callable[[_Stumble], Diagnostic]] = {
    "mapping values are not allowed in this context": _colon,
    "could not find expected ':'": _unfinished_key,
    "did not find expected key": _no_key,
    "did not find expected '-' indicator": _no_item,
    "did not find expected node content": _no_value,
    "did not find expected <document start>": _no_start,
    "found character that cannot start any token": _unstartable,
    "found unknown escape character": _bad_escape,
    "found invalid Unicode character escape code": _bad_code,
    "did not find expected hexdecimal number": (
        "digits 0-9 and a-f are missing after the backslash",
        "write \\\\ for a backslash",
        None,
    ),
    "found unexpected ':'": ("a colon within [ ] or { }", "put the text around it in quotes, or a space after it", None),
    "did not find expected ',' or ']'": ("a list in [ ] lacks a comma or its end", None, _LIST),
    "did not find expected ',' or '}'": ("a mapping in { } lacks a comma or its end", None, _MAPPING),
    "found unexpected end of stream": _unclosed_quotes,
    "found unexpected document indicator": ("the document ends within quotes", "close them", "the quotes begin here"),
    "block sequence entries are not allowed in this context": (
        "a list item can't stand here",
        "begin the list on a line of its own, or put the text in quotes",
        None,
    ),
    "mapping keys are not allowed in this context": ("a `?` can't stand here", "put the text in quotes", None),
    "found undefined alias": (
        "an alias of an anchor that is not set above it",
        "write &NAME before the value that it repeats, or put the text in quotes",
        None,
    ),
    "but found another document": (
        "a second document begins here, but the lock is one",
        "remove one of them",
        "the first begins here",
    ),
    "found undefined tag handle": ("tags are not read", "write the value without it, text in quotes", None),
    "did not find expected alphabetic or numeric character": _NAME,
    "found incompatible YAML document": ("a version of YAML that does not exist", "remove the line", None),
    "could not find expected directive name": ("a % can't begin a line", "put the text in quotes", None),
    "found unknown directive name": ("a directive that YAML does not have", "remove the line", None),
    "found an indentation indicator equal to 0": ("a block of text can't be indented by 0", "leave the number out", None),
    "did not find expected comment or line break": ("the text of | and > begins on the next line", None, None),
}
