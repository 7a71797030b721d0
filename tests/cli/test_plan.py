"""`lmcma plan`, as a user meets it."""

from __future__ import annotations

import re
import sys
import tracemalloc

import numpy as np
import pytest

import lmcma
from lmcma.cli.plan import parse_bytes, parse_count

# those with models do not fit in n = 1000
ONE = [m for m in lmcma.methods().values() if m.n_obj == 1 and m.target and not m.inner]
SINGLE = [m.name for m in ONE if "surrogate" not in m.target]
LIMITED = ["lm-cma", "lm-cma-es", "lm-ma", "rm-es"]


@pytest.fixture
def plan(monkeypatch, capsys):
    """Run `lmcma plan ARGUMENTS` in this process; gives (exit status, stdout, stderr)."""
    from lmcma.cli import main

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["lmcma", "plan", *arguments])
        monkeypatch.setenv("COLUMNS", "160")
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return end.value.code or 0, "\n".join(line.rstrip() for line in out.splitlines()), err

    return call


def test_help(plan):
    code, out, _ = plan("--help")
    assert code == 0
    for option in ("--dim", "--method", "--popsize", "--memory", "--max-memory"):
        assert option in out


@pytest.mark.parametrize("method", SINGLE)
def test_prints_the_parts_their_sum_and_that_it_fits(plan, method):
    code, out, err = plan("--method", method, "--dim", "1e3", "--popsize", "20", "--max-memory", "1GiB")
    assert (code, err) == (0, "")
    kind = lmcma.methods()[method].load()
    need = kind.memory(1000, 20)
    for name, part in kind.memory_parts(1000, 20).items():
        row = re.search(rf"^{name} +(\S+ [KM]?i?B) +(\S+)%$", out, re.MULTILINE)
        assert (row is not None) == (part > 0), name
        if row:
            assert parse_bytes(row[1]) == pytest.approx(part, rel=1e-3)  # four digits are printed
            assert float(row[2]) == pytest.approx(100 * part / need, abs=0.051)
    assert parse_bytes(re.search(r"^sum +(\S+ \S+)", out, re.MULTILINE)[1]) == pytest.approx(need, rel=1e-3)
    assert "limit: 1 GiB, --max-memory" in out
    assert "it fits" in out
    assert re.search(r"^dimension +1000$", out, re.MULTILINE)
    assert re.search(r"^popsize +20$", out, re.MULTILINE)
    assert ("stored vectors" in out) == (method in LIMITED)


def test_defaults_are_those_of_the_method(plan):
    code, out, _ = plan("--method", "lm-cma", "--dim", "1e4", "--max-memory", "1GiB")
    es = lmcma.LMCMA(np.ones(10_000), 0.5)
    assert code == 0
    assert re.search(rf"^popsize +{es.popsize}$", out, re.MULTILINE)
    assert re.search(rf"^stored vectors +{es.params.memory}$", out, re.MULTILINE)
    _, out, _ = plan("--method", "rm-es", "--dim", "1e4")
    assert re.search(r"^stored vectors +2$", out, re.MULTILINE)
    _, out, _ = plan("--method", "self-cma", "--dim", "50")
    assert re.search(r"^popsize +500$", out, re.MULTILINE)


def test_limit_of_the_machine(plan):
    _, out, _ = plan("--method", "cma", "--dim", "10")
    assert "four fifths of the machine's memory" in out


@pytest.mark.parametrize(("dim", "method"), [("20", "cma"), ("1e6", "lm-cma")])
def test_auto_is_the_method_that_it_stands_for(plan, dim, method):
    _, out, _ = plan("--method", "auto", "--dim", dim)
    assert re.search(rf"^method +{method}$", out, re.MULTILINE)


def test_nothing_is_allocated(plan):
    plan("--dim", "10")  # imports
    tracemalloc.start()
    try:
        code, out, _ = plan("--dim", "1e12")
        assert tracemalloc.get_traced_memory()[1] < 50e6  # one vector would be 8e12
    finally:
        tracemalloc.stop()
    assert code == 0
    assert "1000000000000" in out


def test_one_line_for_each_method(plan):
    code, out, _ = plan("--dim", "1e5", "--max-memory", "1GB")
    assert code == 0
    for method in SINGLE:
        row = re.search(rf"^{method} +(\d+) +(\S+) +(\S+ \S+) +(yes|no)", out, re.MULTILINE)
        kind = lmcma.methods()[method].load()
        need = kind.memory(100_000, kind.default_popsize(100_000))
        assert int(row[1]) == kind.default_popsize(100_000)
        assert (row[2] != "-") == (method in LIMITED)
        assert parse_bytes(row[3]) == pytest.approx(need, rel=1e-3)
        assert row[4] == ("yes" if need <= 1e9 else "no")
    assert "ipop" not in out


def test_options_count_in_the_list_of_methods(plan):
    _, out, _ = plan("--dim", "1e5", "--popsize", "10", "--memory", "7")
    need = sum(lmcma.LMCMA.memory_parts(100_000, 10, 7).values())
    row = re.search(r"^lm-cma +10 +7 +(\S+ \S+)", out, re.MULTILINE)
    assert parse_bytes(row[1]) == pytest.approx(need, rel=1e-3)


def remedies(out):
    """Options that the output recommends, by name of the remedy."""
    found = {}
    for line in out.splitlines():
        if line.startswith("- "):
            name, _, text = line[2:].partition(": ")
            found[name] = re.findall(r"--[a-z-]+ [^ ,]+", text)
    return found


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--method", "cma", "--dim", "1e4", "--max-memory", "100MB"], {"another method", "more memory"}),
        (["--method", "cma", "--dim", "100", "--popsize", "5000", "--max-memory", "5MB"],
         {"a smaller population", "more memory"}),
        (["--method", "self-cma", "--dim", "1000", "--max-memory", "300MB"],
         {"another method", "a smaller population", "more memory"}),
        (["--method", "lm-cma", "--dim", "1e6", "--max-memory", "700MB"],
         {"another method", "fewer stored vectors", "a smaller population", "more memory"}),
        (["--method", "lm-cma", "--dim", "1e6", "--max-memory", "330MB"], {"less of both", "more memory"}),
        (["--method", "lm-ma", "--dim", "1e6", "--max-memory", "1MB"], {"more memory"}),
    ],
)  # fmt: skip
def test_what_does_not_fit_has_remedies_that_fit(plan, arguments, names):
    code, out, _ = plan(*arguments)
    assert code == 1
    assert "it does not fit" in out
    found = remedies(out)
    assert found.keys() == names
    for name, options in found.items():
        assert options
        together = [options] if name == "less of both" else [[option] for option in options]
        for chosen in together:
            given = dict(zip(arguments[::2], arguments[1::2], strict=True))
            given.update(option.split() for option in chosen)
            code, out, _ = plan(*(word for pair in given.items() for word in pair))
            assert code == 0, chosen
            assert "it fits" in out
            if name in ("fewer stored vectors", "a smaller population"):  # and it is the most that fits
                flag = chosen[0].split()[0]
                assert plan(*(w for k, v in {**given, flag: str(int(given[flag]) + 1)}.items() for w in (k, v)))[0] == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--dim", "1.5"], "`--dim` must be an integer of 1 to 9.2e+18; got '1.5'. Write it as 10000 or 1e4."),
        (["--dim", "0"], "`--dim` must be an integer of 1 to"),
        (["--dim=-3"], "`--dim` must be an integer of 1 to 9.2e+18; got '-3'"),
        (["--dim", "many"], "`--dim` must be an integer of 1 to 9.2e+18; got 'many'"),
        (["--dim", "nan"], "`--dim` must be"),
        (["--dim", "inf"], "`--dim` must be"),
        (["--dim", "1e19"], "`--dim` must be"),
        (["--dim", "9", "--popsize", "1"], "`--popsize` must be an integer of 2 to 9.2e+18; got '1'"),
        (["--dim", "9", "--memory", "0"], "`--memory` must be an integer of 1 to 9.2e+18; got '0'"),
        (
            ["--dim", "9", "--memory", "3", "--method", "cma"],
            "`--memory` is an option of lm-cma, lm-cma-es, lm-ma, rm-es; got",
        ),
        (["--dim", "9", "--max-memory", "16G"], "got '16G'. Units are B, kB, MB"),
        (["--dim", "9", "--max-memory", "0"], "`--max-memory` must be a number of bytes > 0, or one with a unit"),
        (["--dim", "9", "--max-memory", "1.2.3GB"], "`--max-memory` must be"),
        (["--dim", "9", "--max-memory=-1GB"], "`--max-memory` must be"),
        (["--dim", "9", "--method", "lmcma"], "did you mean 'lm-cma'?"),
        (["--dim", "9", "--method", "ipop-cma"], "must be a method without restarts; got 'ipop-cma'"),
    ],
)
def test_errors(plan, arguments, text):
    code, out, err = plan(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("lmcma: ")
    assert text in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [("7", 7), ("1e7", 10**7), ("2.5e1", 25), (" 10 ", 10), ("9223372036854775807", 2**63 - 1)],
)
def test_counts(text, expected):
    assert parse_count("--dim", text, 1) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("100", 100), ("1e9", 1e9), ("16GiB", 2**34), ("16 gib", 2**34), ("1.5kB", 1500), ("2TB", 2e12), ("inf", np.inf)],
)
def test_bytes(text, expected):
    assert parse_bytes(text) == expected
