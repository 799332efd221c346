"""Pages of a log: its end first, and then all that came since, once, however the log was put aside."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pulpo.services.log_pages import Position, log_page
from pulpo.services.logs import KEPT, RotatingLog


def texts(page) -> list[str]:
    return [line.text for line in page.lines]


def test_the_first_page_is_the_end(tmp_path):
    log = RotatingLog(tmp_path / "log", max_bytes=1000)
    for number in range(100):
        log.write(f"line {number}".encode())
    log.close()
    page = log_page(tmp_path / "log", limit=40)
    assert texts(page) == [f"line {number}" for number in range(60, 100)]
    assert texts(log_page(tmp_path / "log", page.end, limit=40)) == []


def test_a_log_that_has_not_begun_has_no_lines_and_is_gone_on_with(tmp_path):
    page = log_page(tmp_path / "log", limit=10)
    assert (page.lines, page.end) == ((), Position())
    log = RotatingLog(tmp_path / "log", max_bytes=1000)
    log.write(b"at last")
    log.close()
    assert texts(log_page(tmp_path / "log", page.end, limit=10)) == ["at last"]


def test_a_line_comes_when_it_is_whole(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"2026-01-01T00:00:00.000Z one\n2026-01-01T00:00:01.000Z tw")
    page = log_page(path, limit=10)
    assert texts(page) == ["one"]
    with path.open("ab") as file:
        file.write(b"o\nwithout a time\n")
    page = log_page(path, page.end, limit=10)
    assert texts(page) == ["two", "without a time"]
    assert page.lines[0].time == page.lines[1].time


def test_of_a_long_log_only_the_end_is_read(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"2026-01-01T00:00:00.000Z %07d %s\n" % (n, b"x" * 90) for n in range(40_000)))
    page = log_page(path, limit=100_000)
    assert texts(page)[-1].startswith("0039999")
    assert 8_000 < len(page.lines) < 10_000


def test_where_the_file_is_gone_the_end_is_shown_again(tmp_path):
    (tmp_path / "log").write_bytes(b"2026-01-01T00:00:00.000Z one\n")
    assert texts(log_page(tmp_path / "log", Position(1, 5), limit=10)) == ["one"]


@given(
    writes=st.lists(st.integers(0, 9), max_size=12),
    limit=st.integers(1, 7),
)
@settings(max_examples=60, deadline=None)
def test_pages_have_each_line_once_and_in_order(tmp_path_factory, writes, limit):
    """As long as no more is put aside between two looks than is kept."""
    path = tmp_path_factory.mktemp("log") / "log"
    log = RotatingLog(path, max_bytes=150 * (KEPT + 1))
    log.write(b"begin")
    end = log_page(path, limit=limit).end
    written, read = [], []
    for count in writes:
        for _ in range(count):
            written.append(f"line {len(written)}")
            log.write(written[-1].encode())
        while (page := log_page(path, end, limit=limit)).lines:
            assert len(page.lines) <= limit
            read += texts(page)
            end = page.end
    log.close()
    assert read == written
