from __future__ import annotations

import datetime as dt
import itertools
import threading

from pulpo.services.logs import KEPT, LogLine, RotatingLog, follow, read


def written(path, count: int, max_bytes: int, first: int = 0) -> None:
    log = RotatingLog(path, max_bytes=max_bytes)
    for number in range(first, first + count):
        log.write(f"line {number}\n".encode())
    log.close()


def texts(lines) -> list[str]:
    return [line.text for line in lines]


def test_lines_are_read_with_their_times(tmp_path):
    before = dt.datetime.now(dt.UTC).replace(microsecond=0)
    written(tmp_path / "a.log", 3, 10_000)
    lines = read(tmp_path / "a.log")
    assert texts(lines) == ["line 0", "line 1", "line 2"]
    assert before <= lines[0].time <= lines[2].time <= dt.datetime.now(dt.UTC)


def test_the_last_lines_and_those_since_a_time(tmp_path):
    path = tmp_path / "a.log"
    stamps = [f"2026-01-01T00:00:0{n}.000Z line {n}\n" for n in range(5)]
    path.write_text("".join(stamps))
    since = dt.datetime(2026, 1, 1, 0, 0, 2, tzinfo=dt.UTC)
    assert texts(read(path, tail=2)) == ["line 3", "line 4"]
    assert texts(read(path, since=since)) == ["line 2", "line 3", "line 4"]
    assert texts(read(path, since=since, tail=1)) == ["line 4"]
    assert read(path, tail=0) == []


def test_no_log_has_no_lines(tmp_path):
    assert read(tmp_path / "a.log") == []


def test_a_full_log_is_put_aside_and_the_oldest_is_dropped(tmp_path):
    path = tmp_path / "a.log"
    written(path, 1000, 1000)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.log", *(f"a.log.{n}" for n in range(1, KEPT + 1))]
    lines = texts(read(path))
    assert lines[-1] == "line 999"
    assert lines == [f"line {n}" for n in range(1000 - len(lines), 1000)]
    assert all(p.stat().st_size < 1100 for p in tmp_path.iterdir())


def test_following_misses_no_line_when_logs_are_put_aside(tmp_path):
    path = tmp_path / "a.log"
    written(path, 10, 100_000)
    lines = follow(path, tail=2, every=0.001)
    assert texts(itertools.islice(lines, 2)) == ["line 8", "line 9"]
    writer = threading.Thread(target=written, args=(path, 500, 20_000, 10))
    writer.start()
    found = texts(itertools.islice(lines, 500))
    writer.join()
    assert found == [f"line {n}" for n in range(10, 510)]


def test_following_begins_before_there_is_a_log(tmp_path):
    path = tmp_path / "a.log"
    lines = follow(path, every=0.001)
    writer = threading.Timer(0.05, written, (path, 1, 1000))
    writer.start()
    assert next(lines).text == "line 0"
    writer.join()


def test_half_a_line_waits_for_its_end(tmp_path):
    path = tmp_path / "a.log"
    path.write_bytes("2026-01-01T00:00:00.000Z half é".encode()[:-1])
    lines = follow(path, every=0.001)

    def end() -> None:
        with path.open("ab") as file:
            file.write("é".encode()[1:] + b" done\n")

    writer = threading.Timer(0.05, end)
    writer.start()
    assert next(lines) == LogLine(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "half é done")
    writer.join()
