"""The benchmarks keep working; what they measure is never tested."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import sharekit
from benchmarks import __main__ as command
from benchmarks import commands, memory_cloud, overhead, panel, plot, reading, workbooks, writing
from benchmarks.table import Table


def test_overhead_counts_every_call() -> None:
    """Each chunk costs the bare loop two calls, and sharekit at least as many."""
    table = overhead.run(chunks=9, images=(3,), latency=0.0, at_once=4, repetitions=1)
    ours, bare = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert ours["chunks"] == bare["chunks"]
    assert bare["calls"] == 2 * bare["chunks"]
    assert ours["calls"] > bare["calls"]


@pytest.mark.slow
@pytest.mark.needs("chromium")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_panel_is_measured_in_a_real_page() -> None:
    """Every step of the panel's benchmark happens, and bytes are counted."""
    table = panel.run(sizes=(500,), repetitions=1)
    (line,) = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert line["rows"] == 500
    assert all(value > 0 for value in line.values())


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", ["run", "million"])
def test_reading_compares_like_with_like(benchmark: str) -> None:
    """Both sides flag the same rows, except IDs kept as numbers, which only sharekit sees."""
    table = getattr(reading, benchmark)(sizes=(800,), repetitions=1)
    lines = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    ours, usual = lines[::2], lines[1::2]
    assert [line["rows"] for line in lines] == [800] * 4
    assert all(a["rows flagged"] >= b["rows flagged"] for a, b in zip(ours, usual, strict=True))
    assert all(line["work s"] < line["whole process s"] for line in lines)


def test_a_command_is_measured_as_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its CPU, time and memory are its own; a table compares them for each kind of input."""
    cost = commands.measure_command("--help")
    assert 0 < cost.cpu < 60
    assert 1 < cost.peak < 1000
    with pytest.raises(RuntimeError, match="ended with 2"):
        commands.measure_command("--no-such-option")
    monkeypatch.setattr(commands, "_both", lambda *_: (cost, cost))
    table = commands.run(rows=20)
    assert {line[0] for line in table.rows} == {f"plan, {kind}" for kind in commands._FORMATS}
    assert not table.met


def test_a_run_without_a_network_is_one_that_can_be(tmp_path: Path) -> None:
    """What `verify` is measured with is intact, and each planned row is confirmed."""
    shares = workbooks.decisions(tmp_path / "shares.parquet", rows=60, images=6)
    run = memory_cloud.run(shares, tmp_path / "run.ledger")
    assert run.finished
    assert run.succeeded
    assert run.counts["confirmed"] > 50
    assert sharekit.verify(run.path).intact


def test_commands_on_a_ledger_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table says of each command what it cost, and if `verify` costs more than it may."""
    cost = commands.Cost(1.0, 2.0, 3.0)
    monkeypatch.setattr(commands, "_python", lambda *_: cost)
    table = commands.ledger(rows=20)
    assert [line[0] for line in table.rows] == ["plan", "status", "report", "verify"]
    assert table.met


def test_the_picture_shows_cpu_and_memory_of_both_sides(tmp_path: Path) -> None:
    """A kind of input that was measured at several sizes has a line for each side in both parts."""
    sizes = [("plan, xlsx", 10), ("plan, xlsx", 100), ("plan, csv", 100)]
    rows = [(kind, size, *[float(size)] * 8) for kind, size in sizes]
    plot.draw(Table("", "", True, commands._COLUMNS, rows), tmp_path / "picture.svg")
    text = (tmp_path / "picture.svg").read_text(encoding="utf-8")
    assert text.count("<polyline") == 4
    assert text.count(">sharekit plan, xlsx<") == text.count(">pandas + pandera, xlsx<") == 2


def test_reading_refuses_sides_that_disagree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A side that checks less than the other is no measure for it."""
    lax = {"work": 1.0, "flagged": 3, "numbers": 0, "duplicates": 1}
    strict = lax | {"flagged": 5, "numbers": 1}
    sides = {"sharekit": strict, "usual": lax}
    monkeypatch.setattr(reading, "measured", lambda _, side, *__: sides[side])
    with pytest.raises(RuntimeError, match="do not agree"):
        reading._both(tmp_path / "shares.xlsx", tmp_path, 1)


@pytest.mark.parametrize("met", [True, False])
def test_the_command_writes_what_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, met: bool
) -> None:
    """Each table names command and machine, and others stay; the exit code says if aims are met."""
    table = Table("Speed", "fast", met, ("what", "s"), [("all", 1.25)])
    monkeypatch.setitem(command.BENCHMARKS, "reading", lambda: table)
    file = tmp_path / "results.md"
    file.write_text("# Results\n\n## Speed\n\nold\n\n## Size\n\nkept\n", encoding="utf-8")
    result = CliRunner().invoke(command.main, ["reading", "--output", str(file)])
    text = file.read_text(encoding="utf-8")
    assert result.exit_code == (0 if met else 1)
    assert "| all | 1.25 |" in result.stdout
    assert table.markdown() in text
    assert "`python -m benchmarks reading`" in text
    assert "cores" in text
    assert "old" not in text
    assert text.endswith("## Size\n\nkept\n")


def test_a_benchmark_that_is_stopped_has_written_what_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that grows is written after each row."""

    def growing() -> Iterator[Table]:
        yield Table("Speed", "fast", False, ("what", "s"), [("one", 1)])
        raise KeyboardInterrupt

    monkeypatch.setitem(command.BENCHMARKS, "reading", growing)
    file = tmp_path / "results.md"
    CliRunner().invoke(command.main, ["reading", "--output", str(file)])
    assert "| one | 1 |" in file.read_text(encoding="utf-8")


@pytest.mark.slow
def test_writing_measures_every_report() -> None:
    """Each report is written from a ledger that the benchmark made itself, and both ways read."""
    table = writing.run(rows=600)
    lines = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert [*lines] == ["ledger", "audit.xlsx", "outcomes.csv", "audit.html",
                        "review sheet out", "review sheet in"]  # fmt: skip
    assert all(line["file MB"] > 0 for line in lines.values())
    assert lines["audit.xlsx"]["usual s"] > 0
