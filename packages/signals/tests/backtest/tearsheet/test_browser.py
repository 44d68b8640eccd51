"""The page in a real Chromium, wide and narrow, light and dark."""

from __future__ import annotations

import pytest

from marketgpt_signals.backtest.tearsheet import write_tearsheet

pytestmark = pytest.mark.browser

NAMES = ("equity", "underwater", "rolling", "costs", "exposure", "turnover", "returns")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_draws_itself_from_a_file_alone(chromium, tested, tmp_path, scheme, width):
    path = write_tearsheet(tmp_path / "t.html", tested)
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    trouble, urls = [], []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: urls.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot .main-svg .xtick').length > 0")
    for name in NAMES:
        assert page.locator(f"#{name}.js-plotly-plot .main-svg").count(), name
    assert trouble == []
    assert urls == [path.as_uri()]
    # Tables scroll by themselves; the page never sideways.
    assert page.evaluate("document.documentElement.scrollWidth") == width
    ink = page.evaluate("getComputedStyle(document.querySelector('#equity .xtick text')).fill")
    assert ink == ("rgb(31, 41, 51)" if scheme == "light" else "rgb(229, 233, 240)")
    page.close()
