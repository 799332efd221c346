import pytest

from pulpo.errors import UsageError
from pulpo.graph.dataflow import analyze
from pulpo.graph.select import select
from tests.graph.strategies import locked, operation

OPERATIONS = {
    "scraping.linkedin.fetch": operation(returns="Raw"),
    "scraping.stepstone.fetch": operation(returns="Raw"),
    "parsing.clean": operation({"raw": "list[Raw]"}, "Clean"),
    "parsing.rank": operation({"clean": "Clean"}, "Ranked"),
    "report": operation({"ranked": "Ranked"}),
}
TAGS = {"scraping.linkedin.fetch": ["nightly", "slow"], "report": ["nightly"]}
FETCHERS = {"scraping.linkedin.fetch", "scraping.stepstone.fetch"}


def chosen(operations=tuple(OPERATIONS), **options):
    return select(analyze(locked(OPERATIONS)), operations, TAGS, **options)


def test_without_options_everything_is_chosen():
    assert chosen() == set(OPERATIONS)


@pytest.mark.parametrize(
    ("expressions", "names"),
    [
        (["report"], {"report"}),
        (["+parsing.clean"], {"parsing.clean", *FETCHERS}),
        (["parsing.clean+"], {"parsing.clean", "parsing.rank", "report"}),
        (["+parsing.clean+"], set(OPERATIONS)),
        (["scraping.*"], FETCHERS),
        (["*.stepstone.*"], {"scraping.stepstone.fetch"}),
        (["scraping"], FETCHERS),
        (["scraping.linkedin"], {"scraping.linkedin.fetch"}),
        (["scraping.linkedin+"], {"scraping.linkedin.fetch", "parsing.clean", "parsing.rank", "report"}),
        (["pipeline"], set(OPERATIONS)),
        (["tag:nightly"], {"scraping.linkedin.fetch", "report"}),
        (["tag:slow+"], {"scraping.linkedin.fetch", "parsing.clean", "parsing.rank", "report"}),
        (["report", "scraping.linkedin"], {"report", "scraping.linkedin.fetch"}),
    ],
)
def test_expressions_choose_and_add_up(expressions, names):
    assert chosen(select=expressions) == names


def test_from_takes_what_is_downstream_and_to_what_is_upstream_and_both_what_is_between():
    assert chosen(from_=["parsing.clean"]) == {"parsing.clean", "parsing.rank", "report"}
    assert chosen(to=["parsing.clean"]) == {"parsing.clean", *FETCHERS}
    assert chosen(from_=["parsing.clean"], to=["parsing.rank"]) == {"parsing.clean", "parsing.rank"}


def test_only_takes_exactly_these():
    assert chosen(only=["parsing.rank", "report"]) == {"parsing.rank", "report"}


def test_what_is_not_in_the_flow_is_never_chosen():
    assert chosen(["parsing.clean", "parsing.rank"], select=["+parsing.rank"]) == {"parsing.clean", "parsing.rank"}


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"select": ["parsing.claen"]}, "no operation or flow has the name: parsing.claen", "did you mean 'parsing.clean'?"),
        ({"select": ["+scrapin"]}, "no operation or flow has the name: scrapin", "did you mean 'scraping'?"),
        ({"select": ["tag:nigtly"]}, "no operation has the tag: nigtly", "did you mean 'nightly'?"),
        ({"select": ["tag:x"]}, "no operation has the tag: x", "there are the tags nightly, slow"),
        ({"select": ["scrapin.*"]}, "no operation matches: scrapin.*", "did you mean 'scraping.*'?"),
        ({"only": ["+report"]}, "`+` has a meaning in --select only, not in: +report", None),
        ({"select": [""]}, "no operation or flow has the name: ", None),
        ({"select": ["+"]}, "no operation or flow has the name: ", None),
    ],
)
def test_what_means_nothing_is_a_usage_error(options, message, hint):
    with pytest.raises(UsageError) as error:
        chosen(**options)
    assert (error.value.message, error.value.hint) == (message, hint)


def test_a_selection_that_leaves_nothing_is_a_usage_error():
    with pytest.raises(UsageError, match="leaves no operation"):
        chosen(from_=["report"], to=["parsing.clean"])
