"""Whatever the documentation shows, works: examples in docstrings and pages, links, the build itself."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lmcma
from lmcma.termination import StopReason

ROOT = Path(__file__).resolve().parents[2]
MODULES = [
    "lmcma",
    *sorted(m.name for m in pkgutil.walk_packages(lmcma.__path__, "lmcma.") if "__main__" not in m.name),
]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in FENCE.findall(page.read_text(encoding="utf-8")) if kind == language]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name, tmp_path, monkeypatch):
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert failed == 0
    assert not list(tmp_path.iterdir()), "an example left a file behind"


# bbob.md reads the results of a campaign; tests/bbob has its examples
@pytest.mark.parametrize(
    "page", [p for p in PAGES if blocks(p, "python") and p.name != "bbob.md"], ids=lambda p: p.name
)
def test_python_blocks_of_a_page_run_in_order(page, tmp_path, monkeypatch):
    if "plotting" in page.read_text(encoding="utf-8"):
        pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks(page, "python"))
    exec(compile(code, str(page), "exec"), {"__name__": "page"})


def test_scripts_of_a_page_run(tmp_path):
    scripts = [text for page in PAGES for text in blocks(page, "python") if "__main__" in text]
    assert scripts
    for text in scripts:
        (tmp_path / "script.py").write_text(text)
        done = subprocess.run(
            [sys.executable, "-W", "error", "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_files_that_a_page_links_to_exist(page):
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_every_reason_to_stop_is_explained():
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs" / "stopping.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(reason.value for reason in StopReason)


def test_every_public_name_is_in_the_reference():
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    missing = [name for name in lmcma.__all__ if not re.search(rf"lmcma\.{name}\b", reference)]
    assert not missing


def test_readme_has_the_two_commands_each_in_one_block():
    commands = [text for text in blocks(ROOT / "README.md", "bash") if ".venv" in text]
    assert len(commands) == 2
    assert all(text.count("\n") == 1 for text in commands), "one line, to be copied as a whole"
    assert commands[0].rstrip().endswith("lmcma bbob run bbob_runs/quickstart.toml")
    assert "pytest" in commands[1]


def test_docs_build_without_a_warning(tmp_path):
    pytest.importorskip("myst_nb")
    build = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"),
            *("-d", str(tmp_path / "doctrees"), str(ROOT / "docs"), str(tmp_path / "html")),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert build.returncode == 0, build.stderr
    assert (tmp_path / "html" / "convergence.html").is_file()
    methods = (tmp_path / "html" / "methods.html").read_text(encoding="utf-8")
    for method in lmcma.methods().rows():
        for word in method.name.split():
            assert f">{word}<" in methods
