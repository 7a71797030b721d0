from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lmcma.cli.bbob import app
from lmcma.errors import CampaignError

FLAGS = ["--methods=random", "--dims=2", "--functions=1", "--instances=71-73", "--budget=20", "--workers=1"]


def test_run_prints_the_table_and_writes_the_page(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["run", *FLAGS, "--suite", "bbob", "--output", str(tmp_path / "o")])
    assert result.exit_code == 0, result.output
    assert "1 jobs run" in result.stderr
    assert "random" in result.stdout
    assert f"report: {tmp_path / 'o' / 'report.html'}" in result.stdout.replace("\n", "")
    assert "instances 71-73" in (tmp_path / "o" / "report.html").read_text()
    again = CliRunner().invoke(app, ["run", *FLAGS, "--output", str(tmp_path / "o"), "--no-report"])
    assert "0 jobs run" in again.stderr
    assert "1 were finished before" in again.stderr


def test_flags_replace_keys_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f'methods = ["cma"]\ndims = 40\ninstances = 1\noutput = "{tmp_path / "o"}"\n')
    result = CliRunner().invoke(app, ["run", str(file), *FLAGS, "--no-report"])
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "o" / "report.html").exists()
    assert (tmp_path / "o" / "data" / "random" / "d02_f01").is_dir()


def test_report_of_folders_and_compact_files(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    compact = tmp_path / "small.csv"
    first = CliRunner().invoke(app, ["report", str(small), "--compact", str(compact), "--output", "one.html"])
    assert first.exit_code == 0, first.output
    assert (tmp_path / "one.html").exists()
    both = CliRunner().invoke(app, ["report", str(small), str(compact)])
    assert both.exit_code == 0, both.output
    assert "cma @ small run" in (tmp_path / "bbob-report.html").read_text()
    alone = CliRunner().invoke(app, ["report", str(compact), "--output", "two.html"])
    assert alone.exit_code == 0
    table = first.stdout.split("report:")[0]
    assert alone.stdout.split("report:")[0] == table


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["run", "--methods", "cmaa", "--output", "o"], "did you mean 'cma'"),
        (["run", "--methods", "random"], "`output`"),
        (["run", "none.toml"], "does not exist"),
        (["report", "none"], "there is no 'none'"),
        (["report", "a", "b", "--compact", "x.csv"], "--compact takes one RUN"),
    ],
)
def test_bad_input(arguments: list[str], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, CampaignError)
    assert word in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_failure_is_exit_status_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lmcma.bbob import jobs, runner

    def run(campaign: object, progress: object) -> runner.Summary:
        job = jobs.Job(campaign.methods[0], 2, 1)  # type: ignore[attr-defined]
        return runner.Summary(0, 0, [runner.Failure(job, "ValueError: no", tmp_path / "x.log")])

    monkeypatch.setattr(runner, "run", run)
    result = CliRunner().invoke(app, ["run", *FLAGS, "--output", str(tmp_path)])
    assert result.exit_code == 1
    assert "failed: random f1 in 2-D: ValueError: no" in result.stderr
