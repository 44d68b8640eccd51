import pytest
from pydantic import ValidationError

from marketgpt_models import InputSpec
from marketgpt_models.testing import example_spec


def test_json_gives_the_same_spec_back():
    spec = example_spec()
    assert InputSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizons": (5, 1)}, "increase"),
        ({"horizons": (1, 2)}, "horizon_bins are for"),
        ({"vocab_sizes": (3, 0)}, "at least 1"),
        ({"vocab_sizes": ()}, "at least 1"),
        ({"surprise": 1}, "Extra inputs"),
    ],
)
def test_a_spec_that_disagrees_with_itself_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        InputSpec(**(example_spec().model_dump() | changes))


def test_without_horizons_there_are_no_bins():
    assert example_spec(()).num_bins == 0
    assert example_spec().num_bins == 32
