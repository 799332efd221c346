"""What a class becomes."""

from __future__ import annotations

import pytest


def model_of(declare, text, name):
    lowered = declare(text)
    assert [str(d) for d in lowered.diagnostics] == []
    return lowered.models[name]


def test_a_pydantic_model_gives_its_schema_without_made_up_titles(declare):
    entry = model_of(
        declare,
        """
        class Place(BaseModel):
            city: str
        @datamodel(key=["url", "n"], indexes=["city", ["url", "n"]], collection="jobs")
        class Job(BaseModel):
            "A job."
            url: str
            n: int = 0
            city: Place | None = None
        """,
        "Job",
    )
    assert entry == {
        "entrypoint": "shop.code:Job",
        "description": "A job.",
        "collection": "jobs",
        "key": ["url", "n"],
        "indexes": [["city"], ["url", "n"]],
        "schema": {
            "type": "object",
            "properties": {
                "url": {"type": "string"},
                "n": {"type": "integer", "default": 0},
                "city": {"anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}], "default": None},
            },
            "required": ["url"],
            "$defs": {"Place": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
        },
    }


def test_a_dataclass_is_a_model(declare):
    entry = model_of(
        declare,
        "@datamodel(name='Job')\n@dataclasses.dataclass\nclass J:\n    url: str\n    v: dataclasses.InitVar[int] = 0\n",
        "Job",
    )
    assert entry["entrypoint"] == "shop.code:J"
    assert entry["schema"]["required"] == ["url"]
    assert "description" not in entry


def test_a_model_can_refer_to_itself(declare):
    entry = model_of(
        declare, "@datamodel(key='name')\nclass Node(BaseModel):\n    name: str\n    children: list[Node] = []\n", "Node"
    )
    assert entry["schema"]["$ref"] == "#/$defs/Node"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("@datamodel\nclass X: ...", "PLP110", "X is neither a pydantic model nor a dataclass"),
        ("@datamodel\ndef x(): ...", "PLP110", "x is neither a pydantic model nor a dataclass"),
        (
            "@datamodel\nclass X(BaseModel):\n    a: int\n    b: list[Missing]",
            "PLP112",
            "an annotation can't be resolved: name 'Missing' is not defined",
        ),
        (
            "@datamodel(collection='My Jobs')\nclass X(BaseModel): ...",
            "PLP114",
            "a collection is letters, digits, _, - and ., and begins with a letter or _: My Jobs",
        ),
        ("@datamodel('1x')\nclass X(BaseModel): ...", "PLP102", "a model's name is a Python identifier in ASCII, not '1x'"),
        (
            "@datamodel\n@dataclasses.dataclass\nclass X:\n    a: int\n    v: dataclasses.InitVar[int]",
            "PLP117",
            "a record can't be read back: InitVar v is not stored and has no default",
        ),
        (
            "from pydantic import RootModel\n@datamodel\nclass X(RootModel[int]): ...",
            "PLP117",
            "it can't be stored: its records are no objects but of type integer",
        ),
        (
            "@datamodel\nclass X(BaseModel):\n    token: SecretStr",
            "PLP117",
            "it can't be stored: its field token is a secret, which would be stored as asterisks",
        ),
        (
            "from pydantic import Field\n@datamodel\nclass X(BaseModel):\n    a: int = Field(exclude=True)",
            "PLP117",
            "its field a is excluded from what is dumped, and so from what is stored",
        ),
        ("@datamodel(name='RawJob')\nclass Other(BaseModel): ...", "PLP111", "RawJob is declared twice"),
    ],
)
def test_what_can_not_be_a_model_is_said(problems_of, text, code, message):
    assert problems_of(text) == [(code, message)]


def test_a_beanie_document_is_a_model_without_its_own_id(declare):
    entry = model_of(
        declare,
        """
        import beanie
        from pymongo import IndexModel
        @datamodel(key="url")
        class Ad(beanie.Document):
            url: str
            city: Annotated[str, beanie.Indexed()]
            title: str = ""
            class Settings:
                name = "ads"
                indexes = ["city", [("city", 1), ("url", -1)], IndexModel([("title", 1)])]
        """,
        "Ad",
    )
    assert entry["collection"] == "ads"
    assert entry["indexes"] == [["city"], ["city", "url"], ["title"]]
    assert list(entry["schema"]["properties"]) == ["url", "city", "title"]
