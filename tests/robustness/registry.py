"""Every entry of the two lists, and the tests that hold it.

`FILE::FUNCTION` is a test in Python or Rust, `TABLE.toml::NAME` a conformance case.
"""

from __future__ import annotations

from typing import NamedTuple

STATE, ASSOCIATION, DATA, DIMSE, MATCHING, GET, MOVE, ACCEPTOR, REQUESTOR, RETRIEVAL = (
    f"tests/conformance/cases/{name}.toml"
    for name in (
        *("state_table", "association", "data", "dimse", "matching", "get", "move"),
        *("acceptor", "requestor", "requestor_retrieval"),
    )
)
HOSTILE, ODD = "tests/robustness/test_hostile.py", "tests/robustness/test_odd.py"
STREAM, PDU, ASSOCIATIONS = (f"rust/protocol/tests/{name}.rs" for name in ("stream", "pdu", "association"))
STORING = "tests/python/test_storing.py"
DATASETS = "tests/python/test_hostile_datasets.py"


class Entry(NamedTuple):
    """What happens, and the tests that show what comes of it."""

    what: str
    tests: list[str]


HOSTILE_INPUT = {
    "H1": Entry(
        "UIDs and titles that are paths",
        [
            f"{HOSTILE}::test_h01_a_uid_is_never_a_path_and_is_echoed_as_it_came",
            f"{STORING}::test_hostile_values_stay_in_the_folder_and_apart",
            "tests/python/test_storing_decisions.py::test_the_objects_of_a_get_go_the_same_ways",
            "tests/python/test_client_retrieval.py::test_objects_of_others_are_refused_and_names_stay_in_the_folder",
            "rust/network/src/sink/file_tests.rs::hostile_values_stay_in_the_folder",
            f"{DIMSE}::a store of an instance {{}}",
        ],
    ),
    "H2": Entry(
        "PDU lengths up to 4 GiB, unknown PDU types",
        [
            f"{STREAM}::an_association_pdu_is_measured_before_it_is_awaited",
            f"{STREAM}::limits_hold_before_memory_is_taken",
            f"{STATE}::Sta2 Evt19: an HTTP request",
            f"{ASSOCIATION}::a PDU length of 4 GiB",
            f"{DATA}::a P-DATA-TF length of 4 GiB",
        ],
    ),
    "H3": Entry(
        "items, sub-items and PDVs that exceed their parent",
        [
            f"{PDU}::more_items_than_the_limit_are_refused_before_they_are_kept",
            f"{PDU}::every_truncation_is_an_error_or_ends_between_items",
            f"{ASSOCIATION}::an item longer than its PDU: {{}}",
            f"{ASSOCIATION}::a sub-item longer than its item: {{}}",
            f"{DATA}::a PDV length of {{}}",
            f"{HOSTILE}::test_h03_requests_full_of_items_retain_little",
        ],
    ),
    "H4": Entry(
        "a last fragment that never comes",
        [
            f"{DATA}::a command set that never ends",
            "tests/python/test_storing_failures.py::test_an_object_that_is_broken_off_leaves_nothing",
            f"{HOSTILE}::test_h04_a_dataset_that_never_ends_is_bounded",
        ],
    ),
    "H5": Entry(
        "fragments and PDUs where none are due",
        [
            f"{STREAM}::what_breaks_the_rules_ends_the_association_with_its_reason",
            f"{DATA}::a dataset before its command",
            f"{DATA}::a command before the dataset is complete",
            f"{DATA}::a release in the middle of a message",
        ],
    ),
    "H6": Entry(
        "sequences nested without end",
        [
            f"{DATASETS}::test_sequences_that_are_nested_too_deep",
            f"{DATASETS}::test_defined_lengths_that_are_nested_too_deep",
            "rust/identifier/tests/codec.rs::nesting_has_a_limit",
        ],
    ),
    "H7": Entry("a deflated dataset that inflates 1000:1", [f"{DATASETS}::test_a_bomb_is_not_inflated"]),
    "H8": Entry(
        "elements that are missing, empty, cut or too long",
        [
            f"{DATASETS}::test_every_truncation_is_an_error_or_ends_between_elements",
            f"{DATASETS}::test_lengths_at_their_extremes",
            f"{DIMSE}::a group length of {{}}",
            f"{DIMSE}::an echo without element {{}}",
            f"{DIMSE}::a store without element {{}}",
            f"{MATCHING}::an identifier that cannot be read: {{}}",
        ],
    ),
    "H9": Entry(
        "control characters and format strings in titles, UIDs and names",
        [
            f"{HOSTILE}::test_h09_control_characters_do_not_reach_the_log",
            f"{ASSOCIATION}::calling AE title with {{}}",
        ],
    ),
    "H10": Entry(
        "slow peers",
        [
            f"{ASSOCIATIONS}::a_request_that_does_not_end_closes_the_connection",
            f"{ASSOCIATIONS}::a_pdu_has_its_time_from_its_first_byte",
            f"{HOSTILE}::test_h10_slow_peers_are_ended_and_nobody_else_waits",
            "tests/python/test_tls_hostile.py::test_silent_tls_connections_cost_only_themselves",
            "tests/python/test_tls_hostile.py::test_a_handshake_that_trickles_has_the_deadline_of_a_request",
        ],
    ),
    "H11": Entry(
        "connections that say nothing, probes, resets, peers that never close",
        [
            "tests/python/test_opening.py::test_silent_connections_keep_nobody_out",
            "tests/python/test_opening.py::test_a_silent_connection_is_closed_after_the_acse_timeout",
            f"{ASSOCIATIONS}::the_wait_for_the_close_always_ends",
            f"{HOSTILE}::test_h11_probes_and_resets_leave_nothing",
            f"{HOSTILE}::test_h11_a_peer_that_never_closes_loses_its_seat",
        ],
    ),
    "H12": Entry(
        "operations that end in the middle, handlers that misbehave",
        [
            "tests/python/test_service_retrieve.py::test_the_requestor_leaves_in_the_middle_of_a_move",
            "tests/python/test_service_find.py::test_leaving_the_loop_cancels_and_the_next_request_sees_its_own_responses",
            "tests/python/test_service_retrieve.py::test_move_where_something_goes_wrong",
            "tests/python/test_service_find.py::test_a_find_handler_that_raises_or_is_missing",
            "tests/faults/test_handlers.py::test_whatever_a_handler_does_the_server_goes_on",
            "tests/faults/test_connections.py::test_a_destination_that_fails_is_counted_by_the_move",
            f"{MOVE}::a release while a sub-operation is on its way",
            f"{MOVE}::a destination that {{}} before it answers the second of two",
            f"{GET}::a response to another Message ID before the one that is due",
            f"{RETRIEVAL}::get: left after the first response",
            f"{RETRIEVAL}::get: a response that is not its own comes first: {{}}",
        ],
    ),
    "H13": Entry(
        "full disks, folders that cannot be written, processes that are killed",
        [
            "tests/python/test_storing_failures.py::test_a_full_disk_fails_the_object_and_leaves_nothing",
            "tests/python/test_storing_failures.py::test_what_dead_processes_left_is_removed_at_start_and_nothing_else",
            "tests/faults/test_process_faults.py::test_a_killed_receiver_keeps_what_it_acknowledged",
            "tests/archive/test_crashes.py::test_what_was_acknowledged_survives_being_killed",
            "tests/archive/test_failures.py::test_on_a_full_disk_objects_are_refused_and_those_before_are_indexed_later",
            "tests/archive/test_failures.py::test_an_index_that_is_locked_is_waited_for",
            "tests/archive/test_failures.py::test_a_folder_that_cannot_be_written_to_is_named",
        ],
    ),
    "H14": Entry(
        "more than 4 GiB, more than 65,535 sub-operations",
        [
            # `make large`: sent, kept and retrieved.
            "tests/endurance/large.py::store",
            "tests/endurance/large.py::get",
            "rust/network/src/sink/mod.rs::more_than_4_gib_are_counted",
            "rust/protocol/tests/command.rs::more_sub_operations_than_a_counter_holds_stay_at_its_end",
        ],
    ),
    "H15": Entry("patient data in logs", [f"{HOSTILE}::test_h15_logs_have_no_patient_data"]),
}

ODD_PEERS = {
    "T1": Entry(
        "AE titles with NULs, control bytes, or nothing in them",
        [
            f"{ASSOCIATION}::called AE title with {{}}",
            f"{REQUESTOR}::accepted, {{}}",
            f"{ODD}::test_t01_titles_are_compared_after_trimming",
        ],
    ),
    "T2": Entry(
        "UIDs padded with NUL or space, of odd length",
        [
            f"{DIMSE}::an echo whose SOP class is padded with {{}}",
            f"{ASSOCIATION}::application context name padded with {{}}",
            "rust/protocol/tests/command.rs::a_response_echoes_uids_exactly_as_they_came",
        ],
    ),
    "T3": Entry(
        "rejected contexts without transfer syntax, odd IDs and proposals",
        [
            f"{PDU}::a_context_that_is_rejected_may_lack_its_transfer_syntax_or_have_rubbish",
            f"{REQUESTOR}::accepted, {{}}",
            f"{ASSOCIATION}::an even context ID",
            f"{ASSOCIATION}::the same transfer syntax twice",
        ],
    ),
    "T4": Entry(
        "reserved bytes that are set, implementation versions of any length",
        [
            f"{ASSOCIATION}::reserved bytes {{}}",
            f"{ASSOCIATION}::an implementation version name of {{}} bytes: not allowed",
        ],
    ),
    "T5": Entry(
        "maximum lengths that are 0, tiny, or not kept to",
        [
            f"{STREAM}::a_pdu_somewhat_above_our_maximum_is_tolerated_and_counted",
            f"{ASSOCIATION}::a maximum length of {{}}: hardly room",
            f"{REQUESTOR}::accepted with a maximum length of {{}}",
            "tests/python/test_service_store.py::test_a_large_object_in_both_directions_of_the_smallest_pdu",
        ],
    ),
    "T6": Entry(
        "command and dataset in one PDU, odd last fragments",
        [
            f"{DATA}::a store, command and dataset in one PDU",
            f"{DATA}::a store whose last fragment is odd",
            "tests/python/test_conversion.py::test_fragments_are_even_whatever_the_length_of_the_deflated_dataset",
            "rust/network/src/send_tests.rs::every_length_arrives_byte_by_byte_in_even_fragments",
        ],
    ),
    "T7": Entry(
        "datasets where none belong, counters that are missing",
        [
            f"{REQUESTOR}::find: a final response that brings a dataset",
            f"{ODD}::test_t07_move_responses_with_a_dataset_or_without_counters",
            f"{RETRIEVAL}::move: Pending responses without counters, or with a dataset",
            f"{RETRIEVAL}::get: Success that brings a dataset",
        ],
    ),
    "T8": Entry(
        "C-GET without role selection, asynchronous operations only when asked for",
        [
            "tests/python/test_service_retrieve.py::test_get_without_the_role_fails_every_sub_operation",
            f"{GET}::{{}}: nothing can be sent",
            f"{RETRIEVAL}::get: the role is not granted, and an object comes all the same",
            "tests/python/test_negotiation.py::test_asynchronous_operations_only_where_both_want_them",
        ],
    ),
    "T9": Entry(
        "group lengths, group 0002, character sets that are misspelt",
        [
            f"{MATCHING}::a group length and a group 0002 in an identifier",
            f"{MATCHING}::Specific Character Set {{}}",
            "tests/python/test_decoding.py::test_text_of_every_character_set",
        ],
    ),
    "T10": Entry(
        "connections that close without a release, releases at odd times",
        [
            f"{STATE}::Sta6 Evt17: closed in an association",
            f"{REQUESTOR}::Sta7 Evt17: closed in place of the confirmation of a release",
            f"{ACCEPTOR}::Sta10: a release that collides is not confirmed yet",
            f"{MATCHING}::a release behind the find, in one segment",
            f"{ASSOCIATIONS}::network_timeout_counts_from_the_last_traffic_and_not_while_busy",
        ],
    ),
    "T11": Entry(
        "delimiters that are missing, UN sequences, private elements",
        [
            "rust/identifier/tests/codec.rs::odd_but_honest",
            "tests/python/test_decoding.py::test_sequences_of_every_encoding",
            "tests/python/test_decoding.py::test_an_unknown_sequence_has_its_items_in_implicit_vr",
        ],
    ),
    "T12": Entry(
        "the exact UIDs of the request in the response",
        [
            f"{ODD}::test_t12_uids_are_echoed_padding_included",
            "rust/protocol/tests/command.rs::a_response_echoes_uids_exactly_as_they_came",
        ],
    ),
    "T13": Entry("delayed acknowledgements", [f"{ODD}::test_t13_both_ends_turn_nagle_off"]),
}

REGISTRY = {**HOSTILE_INPUT, **ODD_PEERS}
