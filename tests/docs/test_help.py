"""The blocks that a program printed are what it prints now; `python -m tests.docs.generated` writes them."""

from __future__ import annotations

import pytest

from tests.docs import generated, pages
from tests.docs.transcript import normalised


@pytest.mark.parametrize("name", [name for name in generated.BLOCKS if name != "example"])
def test_a_block_is_what_is_printed(name: str):
    page, make = generated.BLOCKS[name]
    assert pages.block(page, name) == make()


def test_the_example_is_what_a_rehearsal_prints():
    page, make = generated.BLOCKS["example"]
    assert normalised(pages.block(page, "example")) == normalised(make())
