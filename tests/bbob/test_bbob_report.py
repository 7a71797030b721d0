from __future__ import annotations

import importlib.util
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from lmcma.bbob import reference, report, runs, summary
from lmcma.errors import CampaignError, MissingDependencyError


class Page(HTMLParser):
    """What a page loads, and whether its elements are closed in order."""

    void = frozenset({"meta", "br", "img", "link", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.void:
            self.open.append(tag)
        for key, value in attrs:
            if key in ("src", "href", "xlink:href", "srcset", "data"):
                self.links.append(str(value))
            if key == "id":
                self.ids.append(str(value))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def text(small: Path) -> str:
    return report.page([runs.load(small)], reference.load("bbob"))


def test_page_is_whole_and_loads_nothing(text: str) -> None:
    page = Page(text)
    assert page.open == []
    assert page.links
    assert all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert "http" not in text
    assert "<script" not in text
    assert "url(" not in re.sub(r"url\(#", "", text)
    assert text.count("<svg") == 2  # one figure a dimension


def test_page_says_what_was_run(text: str) -> None:
    words = "".join(Page(text).text)
    for word in ("random", "pycma-single", "cma", "best 2009", "250 D", "instances 1-3", "functions 1,8,15", "seed 1"):
        assert word in words
    assert "#010203" not in text  # stand-ins for the page's colours
    assert "var(--ink)" in text


def test_table_shows_the_scores(small: Path, text: str) -> None:
    found = runs.load(small).results["cma"]
    value = found.ert(1, 2, [1e-1])[0] / 2
    rows = re.findall(r"<tr.*?</tr>", text)
    row = next(r for r in rows if ">cma</td>" in r and 'class="gap"' in r)  # the first is f1 in 2-D
    assert f"{value:.3g}" in row
    assert row.endswith('<td class="gap">3/3</td></tr>')


def test_without_reference(small: Path) -> None:
    page = report.page([runs.load(small)], None)
    assert "best 2009" not in page
    assert "cocopp, which is not installed" in page


def test_labels_are_escaped_and_runs_of_the_same_method_kept_apart(small: Path, tmp_path: Path) -> None:
    one = runs.load(small)
    runs.save_compact(tmp_path / "a&b.csv", one)
    two = runs.load(tmp_path / "a&b.csv")
    renamed = runs.Run("a<b", two.results, two.about, {})
    merged = runs.merge([one, renamed])
    assert "cma @ small run" in merged
    assert "cma @ a<b" in merged
    assert len(merged) == 6
    page = report.page([one, renamed], None)
    assert "a&lt;b" in page
    assert "a<b" not in page


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_compact_round_trip(small: Path, tmp_path: Path, name: str) -> None:
    run = runs.load(small)
    runs.save_compact(tmp_path / name, run)
    again = runs.load(tmp_path / name)
    assert list(again.results) == list(run.results) == ["random", "pycma-single", "cma"]
    assert again.about == run.about
    for method, found in run.results.items():
        assert found.trials.keys() == again.results[method].trials.keys()
        for key, trials in found.trials.items():
            other = again.results[method].trials[key]
            assert np.array_equal(trials.instances, other.instances)
            assert np.array_equal(trials.lengths, other.lengths)
            assert np.array_equal(trials.hits, other.hits, equal_nan=True)
    first = (tmp_path / name).read_bytes()
    runs.save_compact(tmp_path / name, again)
    assert (tmp_path / name).read_bytes() == first
    assert len(first) < 10_000


def test_bad_compact_files(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    for content in (b"", b"a,b\n1,2\n", b"# {}\n", b'# {"format": 9}\n', b"\x1f\x8bnot gzip", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(CampaignError, match=r"x\.csv"):
            runs.load(path)
    with pytest.raises(CampaignError, match=r"\.csv"):
        runs.save_compact(tmp_path / "x.json", runs.load(small))
    with pytest.raises(CampaignError, match="there is no"):
        runs.load(tmp_path / "nothing")


def test_summary(small: Path) -> None:
    results = runs.load(small).results
    rows = summary.rows(results, reference.load("bbob"), bootstrap=20)
    assert [(r.dim, r.method) for r in rows[:3]] == [(2, "random"), (2, "pycma-single"), (2, "cma")]
    assert rows[0].to_first is None
    assert rows[2].to_first is not None
    assert rows[2].to_first.low <= rows[2].to_first.value <= rows[2].to_first.high
    assert rows[0].area < rows[2].area
    assert summary.budget(results, 2) == 250.0
    assert summary.groups((("a", (1, 2)), ("b", (3, 4))), [1, 3]) == [
        ("all functions (2)", [1, 3]),
        ("a (f1-f2)", [1]),
        ("b (f3-f4)", [3]),
    ]


def test_missing_packages_are_named(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"lmcma\[plot\]"):
        report.page([runs.load(small)], None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"lmcma\[bbob\]"):
        reference.load("bbob")


def test_cocopp_needs_raw_data(tmp_path: Path, small: Path) -> None:
    run = runs.load(small)
    with pytest.raises(CampaignError, match="compact files"):
        report.cocopp([runs.Run("x", run.results, {}, {})], tmp_path)


def test_page_is_written_whole_or_not_at_all(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "sub" / "page.html"
    report.write(target, [runs.load(small)], None)
    assert target.read_text().endswith("</html>\n")
    assert [p.name for p in target.parent.iterdir()] == ["page.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(CampaignError, match="cannot be written"):
        report.write(tmp_path / "file" / "page.html", [runs.load(small)], None)
