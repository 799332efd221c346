"""Reading postings off a page: both boards mark them up with the vocabulary of schema.org."""

from html.parser import HTMLParser

from jobs.models import RawJob

#: The properties of schema.org's JobPosting that are read, and our names for them.
FIELDS = {"title": "title", "hiringOrganization": "company", "jobLocation": "place", "baseSalary": "salary"}


class PageParser(HTMLParser):
    """Collects the page's title and its postings in the order of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.postings: list[dict[str, str]] = []
        self._into: tuple[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a posting, or a text that is wanted."""
        attributes = {name: value or "" for name, value in attrs}
        if attributes.get("itemtype", "").endswith("/JobPosting"):
            self.postings.append({})
        if tag == "title":
            self._into = (tag, "")
        elif (field := FIELDS.get(attributes.get("itemprop", ""))) and self.postings:
            self._into = (tag, field)
        if attributes.get("itemprop") == "url" and self.postings:
            self.postings[-1]["url"] = attributes.get("href", "")

    def handle_data(self, data: str) -> None:
        """Keep the text if it is wanted."""
        match self._into:
            case ("title", ""):
                self.title += data
            case (_, field):
                self.postings[-1][field] = self.postings[-1].get(field, "") + data

    def handle_endtag(self, tag: str) -> None:
        """End the text that the tag began."""
        if self._into and self._into[0] == tag:
            self._into = None


def parse(html: str) -> tuple[str, list[RawJob]]:
    """The title of a page and its postings, in the order of the page."""
    parser = PageParser()
    parser.feed(html)
    parser.close()
    return parser.title, [RawJob.model_validate(posting) for posting in parser.postings]
