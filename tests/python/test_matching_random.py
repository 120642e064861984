"""Random queries: the engine against the reference matcher."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matching_forms import FORMS, Form, engine_matches, in_form, matcher
from matching_tables import Options
from pydicom import Dataset
from random_queries import MANY, NAME, NAMES, PROFILE, VALUES, dated_queries, forms, options_strategy, queries
from reference_matcher import matches, matching_items

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def check(query: tuple[Dataset, Dataset], options: Options, form: Form) -> None:
    identifier, stored = query
    assert engine_matches(identifier, stored, options, form) == matches(identifier, stored, options)


@MANY
@given(queries(VALUES), options_strategy, forms)
def test_the_engine_is_the_reference_on_values(query: tuple[Dataset, Dataset], options: Options, form: Form) -> None:
    check(query, options, form)


@MANY
@given(queries((NAME, NAMES)), options_strategy, forms)
def test_the_engine_is_the_reference_on_names(query: tuple[Dataset, Dataset], options: Options, form: Form) -> None:
    check(query, options, form)


@MANY
@given(dated_queries(), options_strategy, forms)
def test_the_engine_is_the_reference_on_dates(query: tuple[Dataset, Dataset], options: Options, form: Form) -> None:
    check(query, options, form)


@MANY
@given(queries(VALUES, 2), options_strategy, forms)
def test_the_engine_is_the_reference_on_sequences(query: tuple[Dataset, Dataset], options: Options, form: Form) -> None:
    check(query, options, form)


@settings(PROFILE, max_examples=200)
@given(queries(VALUES, 1), st.booleans(), st.sampled_from(FORMS))
def test_responses_have_the_requested_attributes_and_the_matching_items(
    query: tuple[Dataset, Dataset], worklist: bool, form: Form
) -> None:
    identifier, stored = query
    options = Options(worklist=worklist)
    if not matches(identifier, stored, options):
        return
    response = matcher(identifier, options, form).response(in_form(stored, form[1]))
    added = {0x00080005, 0x00080052}
    assert {int(tag) for tag in response.keys()} - added == {int(tag) for tag in identifier.keys()} - added  # noqa: SIM118
    for key in identifier:
        if key.VR == "SQ" and key.value and stored.get(key.tag) is not None:
            kept = matching_items(key.value[0], list(stored[key.tag].value), options)
            assert len(response[key.tag].value) == len(kept)
