"""The page for authors of variants shows the example as it is."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples/plugins/marketgpt-example-model"
PAGE = ROOT / "docs/plugins/model-variant.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="not in a checkout: there is no docs/")


@pytest.mark.parametrize("name", ["plugin.py", "variant.py", "tcn.py"])
def test_listings_are_the_files(name):
    source = (EXAMPLE / "src/marketgpt_example_model" / name).read_text(encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    assert f"`src/marketgpt_example_model/{name}`:\n\n```python\n{source}```" in page


def test_the_project_file_is_shown_but_for_its_licence():
    lines = (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8").splitlines(keepends=True)
    shown = "".join(line for line in lines if not line.startswith("license"))
    assert f"```toml\n{shown}```" in PAGE.read_text(encoding="utf-8")


def test_what_is_said_of_the_suite_is_so():
    """The page's table names the methods the protocol has, and its hook and group are ours."""
    import inspect

    from marketgpt_models import hookspecs
    from marketgpt_models.generation import PathDecoder
    from marketgpt_models.registry import models

    page = PAGE.read_text(encoding="utf-8")
    methods = [name for name in vars(PathDecoder) if not name.startswith("_")]
    assert len(methods) == 5
    for name in methods:
        given = [one for one in inspect.signature(getattr(PathDecoder, name)).parameters if one != "self"]
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}("))
        for one in given:
            assert one.split("_")[0] in row, (name, one)
    assert "marketgpt_model_variants" in vars(hookspecs)
    assert models().group.group == "marketgpt.models"
    assert "`marketgpt.models`" in page
