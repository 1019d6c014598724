"""The log of events: what each line says, and that it is there as soon as the event is."""

import csv
import json
from pathlib import Path

import pytest

from actiondet.event_log import EventLog
from actiondet.tubes.events import Event, read_thresholds
from evaluation.errors import InputError

FELL = Event("hall", 3, 'falls, "hard"', 12.4, 15.1, 0.91, 0.7, 13.0, (0.1, 0.2, 0.3, 0.4))
WALKS = Event("hall", 4, "走", 2.0, None, 0.6, 0.6, 2.5, (0.0, 0.0, 0.5, 1.0))


def test_each_line_of_json_is_an_event_and_is_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        assert path.read_text() == ""
        log.write(FELL)
        assert len(path.read_text().splitlines()) == 1
        log.write(WALKS)
    fell, walks = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    assert (fell["source"], fell["person"], fell["action"]) == ("hall", 3, 'falls, "hard"')
    assert (fell["start"], fell["end"], fell["state"]) == (12.4, 15.1, "end")
    assert (fell["peak"], fell["mean"], fell["peak_at"], fell["box"]) == (0.91, 0.7, 13.0, [0.1, 0.2, 0.3, 0.4])
    assert (walks["action"], walks["end"], walks["state"]) == ("走", None, "begin")


def test_a_table_has_a_header_and_quotes_names(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.csv") as log:
        log.write(FELL)
        log.write(WALKS)
    with (tmp_path / "events.csv").open(newline="", encoding="utf-8") as file:
        fell, walks = csv.DictReader(file)
    assert (fell["action"], fell["end"], fell["x1"], fell["state"]) == ('falls, "hard"', "15.1", "0.1", "end")
    assert (walks["end"], walks["state"]) == ("", "begin")


def test_the_standard_output_stays_open(capsys: pytest.CaptureFixture[str]) -> None:
    with EventLog("-") as log:
        log.write(FELL)
    print("after")
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first)["person"] == 3
    assert second == "after"


def test_other_names_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"events log\.txt: expected a name that ends in \.jsonl or \.csv"):
        EventLog("log.txt")
    with pytest.raises(InputError, match=r"none/e\.csv: cannot be created \(No such file or directory\)"):
        EventLog(tmp_path / "none" / "e.csv")


@pytest.mark.parametrize("content", ["[1]", "{", '{"fall": "high"}', ""])
def test_thresholds_are_numbers_by_name(content: str, tmp_path: Path) -> None:
    path = tmp_path / "thresholds.json"
    path.write_text('{"fall": 0.3, "walk": 1}')
    assert read_thresholds(path) == {"fall": 0.3, "walk": 1.0}
    path.write_text(content)
    with pytest.raises(InputError, match=r'thresholds\.json: .*expected \{"action": score, \.\.\.\}'):
        read_thresholds(path)
