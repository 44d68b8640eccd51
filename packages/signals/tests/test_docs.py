"""What the documentation shows is what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples/plugins/marketgpt-example-strategy"
PAGE = ROOT / "docs/plugins/signal-strategy.md"

README = Path(__file__).parents[1] / "README.md"

in_a_checkout = pytest.mark.skipif(not PAGE.exists(), reason="not in a checkout: there is no docs/")


def test_the_readme_prints_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = README.read_text(encoding="utf-8")
    code, printed = text.split("```python\n")[1].split("\n```\n\nprints\n\n```\n")
    exec(compile(code, str(README), "exec"), {})
    assert capsys.readouterr().out == printed.split("```")[0]


@in_a_checkout
@pytest.mark.parametrize("name", ["plugin.py", "unanimous.py"])
def test_listings_are_the_files(name):
    source = (EXAMPLE / "src/marketgpt_example_strategy" / name).read_text(encoding="utf-8")
    assert f"```python\n{source}```" in PAGE.read_text(encoding="utf-8")


@in_a_checkout
def test_the_rule_that_reads_candles_works():
    """As printed, through look-ahead and warm-up: it needs the 200 candles it says."""
    from marketgpt_signals.base import StrategyConfig
    from marketgpt_signals.verify.lookahead import check_lookahead
    from marketgpt_signals.verify.simulated import simulated
    from marketgpt_signals.verify.warmup import check_warmup

    text = PAGE.read_text(encoding="utf-8")
    (listing,) = [part for part in text.split("```python\n") if "class AboveAverage" in part]
    names: dict[str, type] = {}
    exec(compile(listing.split("```")[0], str(PAGE), "exec"), names)
    rule, data = names["AboveAverage"](StrategyConfig()), simulated(200, num_dates=6)
    assert all(check.passed and not check.note for check in check_lookahead(rule, *data, num_moments=3))
    warmup = check_warmup(rule, *data, num_moments=3)
    assert warmup.passed
    assert warmup.details["least_history"] == 200


@in_a_checkout
def test_the_project_file_is_shown_but_for_its_licence():
    lines = (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8").splitlines(keepends=True)
    shown = "".join(line for line in lines if not line.startswith("license"))
    assert f"```toml\n{shown}```" in PAGE.read_text(encoding="utf-8")
