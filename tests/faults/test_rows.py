"""What may go wrong, row by row, and the tests that hold what happens then.

The tables are those of docs/reliability.md. A test stands here as `file::name`, with the file below
tests/; one that is renamed or goes is missed here.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent

RECIPES = {
    "`1e-3`, `3E-4` and `.5` are numbers; `no`, `on` and `12:30` are strings; `010` is ten": [
        "test_yaml_loader.py::test_plain_ones_are_yaml_1_2_and_quoted_ones_are_strings",
        "test_recipe.py::test_yaml_1_2_numbers_reach_the_options",
    ],
    "a key that is there twice, nested or not: both places are named": [
        "test_yaml_loader.py::test_say_where_and_what_on_one_line",
        "test_recipe.py::test_one_line_with_the_place",
    ],
    "an unknown key, a misspelt part or option: what was meant, and all there are": [
        "test_recipe.py::test_one_line_with_the_place",
        "test_options.py::test_a_near_one_is_suggested_and_all_are_listed",
    ],
    "alias bombs, recursive aliases, depth 3000, 300 KB, 5000 digits: at once, in little memory": [
        "test_yaml_loader.py::test_hostile_files_are_refused_at_once",
        "faults/test_recipe_faults.py::test_every_verb_refuses_it_with_its_line",
    ],
    "tags such as `!!python/object/apply`: nothing is executed": [
        "test_recipe.py::test_one_line_with_the_place",
        "test_yaml_loader.py::test_say_where_and_what_on_one_line",
    ],
    "empty files, comments, lists, scalars, two documents, tabs, NUL, Latin-1, UTF-16": [
        "faults/test_recipe_faults.py::test_every_verb_refuses_it_with_its_line",
        "test_yaml_loader.py::test_they_do_not_depend_on_line_ends_nor_on_a_byte_order_mark",
    ],
    "any bytes at all are read or refused, never a crash": [
        "test_yaml_loader.py::test_any_file_is_read_or_refused",
        "test_overrides.py::test_any_text_is_read_or_refused",
    ],
    "NaN, infinite, negative, zero and huge numbers: the range is named": [
        "faults/test_recipe_faults.py::test_a_number_out_of_its_range_is_named_with_the_range",
        "test_recipe.py::test_ranges",
    ],
    "a model that does not suit the data": [
        "faults/test_recipe_faults.py::test_a_model_that_does_not_suit_the_data_is_named",
    ],
    "overrides to unknown places, of the wrong type, empty, `a=b=c`": [
        "faults/test_recipe_faults.py::test_a_wrong_override_is_named",
        "test_recipe.py::test_the_override_is_named",
    ],
    "a recipe that is missing, a folder, unreadable, a loop of links, a pipe or endless": [
        "test_recipe.py::test_what_cannot_be_read",
        "test_recipe.py::test_what_is_not_there",
        "test_files.py::test_what_is_no_file_is_not_read",
    ],
    "a run directory that is taken, foreign, a file or cannot be written": [
        "test_run_directory.py::test_a_run_must_be_resumed_or_overwritten",
        "test_run_directory.py::test_what_is_no_run_is_never_touched",
        "test_run_directory.py::test_where_something_else_is_nothing_goes",
        "test_run_directory.py::test_in_place_of_a_file",
        "cli/test_run.py::test_when_no_folder_can_be_there",
        "faults/test_run_directory_faults.py::test_a_read_only_one_is_said_and_read",
        "faults/test_run_directory_faults.py::test_a_folder_of_someone_else",
        "faults/test_run_directory_faults.py::test_the_modes_of_all_files_follow_the_umask",
    ],
    "text with markup, escape codes, bidirectional marks or NUL acts on no terminal or page": [
        "cli/test_display.py::test_samples_do_not_act_on_the_terminal",
        "cli/test_generate.py::test_what_a_model_generates_does_not_act_either",
        "cli/test_comparison_table.py::test_labels_do_not_act",
    ],
    "two runs at once in one folder: the second is refused": [
        "test_run_directory.py::test_a_second_process_is_refused_and_a_killed_one_forgotten",
        "cli/test_run.py::test_when_another_run_is_writing_there",
    ],
}

DATA = {
    "no text, blank lines, one character, fewer tokens than a batch: the needed count": [
        "faults/test_data_faults.py::test_too_little_text_says_how_much_is_needed",
        "data/test_text.py::test_the_minimum_is_named_and_suffices",
    ],
    "blank lines among sources or targets: dropped, kept or refused, as the recipe says": [
        "cli/test_line_answers.py::test_dropped_ones_are_answered_with_an_empty_line",
        "cli/test_line_answers.py::test_kept_ones_are_asked",
        "cli/test_line_answers.py::test_by_default_they_are_an_error",
    ],
    "source and target files of different length: both counts": [
        "data/test_tables.py::test_files_that_are_not_in_parallel_are_refused",
        "data/test_pairs.py::test_bad_data_is_one_line_with_its_place",
    ],
    "line ends of any kind, no final one, a byte order mark: normalised once": [
        "data/test_text_files.py::test_a_text_is_normalised_once_and_hashed_as_it_is",
        "data/test_pairs.py::test_line_ends_and_a_byte_order_mark_are_no_part_of_texts",
    ],
    "invalid UTF-8: line and byte; replaced ones are counted": [
        "data/test_text_files.py::test_utf_8_with_faults_may_be_replaced",
        "data/test_text_files.py::test_faults_are_counted_when_replaced",
    ],
    "a token id that no vocabulary has: its place; one behind the vocabulary's end": [
        "tokenizers/test_base.py::test_an_id_that_no_vocabulary_has_is_named_with_its_place",
        "tokenizers/test_base.py::test_counts_of_more_ids_than_there_are_are_refused",
    ],
    "lone surrogates": [
        "tokenizers/test_base.py::test_lone_surrogates_are_refused",
        "data/test_pairs.py::test_what_is_no_source_line_is_refused",
    ],
    "unknown characters and words: counted, or refused where `unk: error` says so": [
        "cli/test_generate.py::test_unknown_characters_are_counted",
        "tokenizers/test_char.py::test_unknown_characters_can_be_refused",
        "tokenizers/test_word.py::test_unknown_words_can_be_refused",
    ],
    "text that looks like a special token is plain text": [
        "tokenizers/test_base.py::test_text_that_looks_like_a_special_token_is_plain",
    ],
    "a line of 10 MB, a prompt of 100,000 tokens": [
        "faults/test_data_faults.py::test_one_line_of_ten_megabytes_is_trained_on",
        "faults/test_data_faults.py::test_a_prompt_of_a_hundred_thousand_tokens_is_read",
        "tokenizers/test_sentencepiece.py::test_a_long_line_is_read",
    ],
    "a vocabulary that is too large or too small for its text: the bound is named": [
        "tokenizers/test_sentencepiece.py::test_the_maximum_is_named_and_possible",
        "tokenizers/test_sentencepiece.py::test_the_minimum_is_named",
        "tokenizers/test_sentencepiece.py::test_no_text",
    ],
    "a SentencePiece model that is cut short, empty, foreign or another one": [
        "tokenizers/test_pieces.py::test_every_shorter_file_is_refused",
        "tokenizers/test_pieces.py::test_foreign_files_are_refused",
        "tokenizers/test_pieces.py::test_another_model_than_the_record_says_is_refused",
    ],
    "random Unicode through every tokenizer and back": [
        "tokenizers/test_base.py::test_what_was_read_in_training_comes_back",
        "tokenizers/test_base.py::test_known_text_comes_back_from_lossless_tokenizers",
    ],
    "vocabularies are the same bytes in every process and at every hash seed": [
        "tokenizers/test_base.py::test_vocabularies_are_the_same_bytes_in_every_process",
    ],
    "word vectors with a bad row, another size, a header, words that come twice": [
        "embeddings/test_pretrained.py::test_a_bad_row_is_named",
        "embeddings/test_pretrained.py::test_headers_and_sizes",
        "embeddings/test_pretrained.py::test_the_first_of_equal_words_counts",
    ],
    "reading vectors leaves the checking of certificates on": [
        "embeddings/test_pretrained.py::test_certificates_are_still_checked",
    ],
    "every row once an epoch; a batch is a function of the seed and the step": [
        "data/test_batches.py::test_each_epoch_has_every_row_once",
        "data/test_batches.py::test_rows_depend_on_the_seed_and_the_step_alone",
        "data/test_text.py::test_a_batch_is_a_function_of_its_step",
    ],
    "the batch size changes no figure of an evaluation": [
        "test_evaluate.py::test_the_figures_are_those_of_one_reading",
        "data/test_text.py::test_each_target_once_from_the_state_that_is_true_there",
    ],
}

DECODING = {
    "nothing follows the first end token; rows that have ended leave": [
        "decoders/test_base.py::test_a_sequence_ends_with_its_first_end_token_or_at_the_limit",
        "decoders/test_sampling.py::test_rows_leave_as_they_end",
        "decoders/test_beam.py::test_sources_leave_when_they_are_done",
    ],
    "a beam stops only where nothing can win any more; more results change none": [
        "decoders/test_beam.py::test_stopping_early_loses_nothing",
        "decoders/test_beam.py::test_more_hypotheses_do_not_change_the_first_ones",
    ],
    "the best n are those of enumeration": [
        "decoders/test_beam.py::test_a_beam_as_wide_as_the_space_is_enumeration",
        "decoders/test_exact.py::test_it_finds_the_best_of_all",
        "decoders/test_exact.py::test_with_a_length_normalisation_it_may",
    ],
    "length normalisation of any sign and at 0, for finished and unfinished alike": [
        "decoders/test_search.py::test_the_divisor",
        "decoders/test_beam.py::test_unfinished_ones_compete_at_the_maximum_length",
        "decoders/test_search.py::test_an_alpha_out_of_range_is_refused",
    ],
    "a model that never ends costs no more than the limit": [
        "decoders/test_base.py::test_what_never_ends_costs_no_more_than_the_limit",
        "decoders/test_beam.py::test_unfinished_ones_compete_at_the_maximum_length",
    ],
    "a maximum of 0 or 1, a minimum above the maximum": [
        "test_generate.py::test_no_length_no_text",
        "decoders/test_base.py::test_no_length_is_nothing_at_all",
        "decoders/test_base.py::test_no_room_and_no_sources",
        "faults/test_decoding_faults.py::test_more_than_there_is_or_nothing_is_no_fault",
    ],
    "constraints hold together, in any order; where they leave nothing, the output says so": [
        "decoders/test_base.py::test_of_several_all_hold_in_any_order",
        "decoders/test_base.py::test_nothing_is_nan_and_what_was_impossible_stays_so",
        "decoders/test_history.py::test_where_all_is_banned_the_sequence_ends",
        "decoders/test_phrases.py::test_exactly_what_still_leads_to_a_text_in_time_is_allowed",
    ],
    "thresholds that rounding would decide, or that would leave nothing": [
        "decoders/test_sampling.py::test_a_mass_is_reached_whatever_rounding_says",
        "decoders/test_sampling.py::test_so_is_a_share_of_the_best",
        "decoders/test_sampling.py::test_one_possible_token_stays_at_least",
    ],
    "an unknown word is replaced by the one that was looked at, whatever the tokenizer drops": [
        "test_generate.py::test_of_words_that_a_pattern_finds",
        "tokenizers/test_base.py::test_tokens_are_where_their_spans_say",
    ],
    "memory grows with what was read, not with the maximum": [
        "decoders/test_history.py::test_memory_follows_what_was_read_and_not_the_limit",
    ],
    "several end tokens, the same one twice": [
        "decoders/test_beam.py::test_the_same_end_token_twice_is_one",
        "decoders/test_beam.py::test_each_group_sees_enough_to_go_on_whatever_ends",
    ],
    "temperatures of 0, almost 0, negative, infinite": [
        "decoders/test_sampling.py::test_zero_is_greedy_where_tokens_are_equal",
        "decoders/test_sampling.py::test_any_temperature_is_stable",
        "faults/test_decoding_faults.py::test_settings_out_of_range_are_named",
    ],
    "scores that are NaN, infinite or all impossible: row and step, and nothing is chosen": [
        "faults/test_decoding_faults.py::"
        "test_scores_that_are_no_numbers_end_in_one_line_with_step_and_row",
        "decoders/test_base.py::test_nan_and_infinite_scores_are_refused",
        "decoders/test_base.py::test_scores_without_any_possible_token_are_refused",
        "decoders/test_sampling.py::test_a_fault_in_a_row_that_has_ended_does_not_matter",
    ],
    "other neighbours, order or batch size: the same tokens": [
        "decoders/test_base.py::test_a_sequence_depends_on_its_source_and_its_number_alone",
        "test_generate.py::test_a_text_does_not_depend_on_its_neighbours_or_on_batches",
    ],
    "a beam of one is greedy; one wider than the vocabulary is one": [
        "decoders/test_beam.py::test_one_path_is_greedy",
        "faults/test_decoding_faults.py::test_more_than_there_is_or_nothing_is_no_fault",
        "cli/test_decoder_option.py::test_a_beam_becomes_wide_enough",
    ],
    "the narrowest truncation is greedy, the widest draws as none; draws follow their shares": [
        "decoders/test_sampling.py::test_the_narrowest_truncation_is_greedy",
        "decoders/test_sampling.py::test_without_truncation_the_draws_are_those_of_multinomial",
        "decoders/test_sampling.py::test_draws_follow_the_truncated_distribution",
        "decoders/test_sampling.py::test_draws_follow_the_tempered_distribution",
    ],
    "states of any nesting move with their rows": [
        "decoders/test_base.py::test_a_nested_state_moves_as_a_whole",
        "decoders/test_search.py::"
        "test_what_is_read_after_any_reordering_is_what_the_path_alone_would_read",
        "test_state.py::test_reorder_takes_rows",
        "test_state.py::test_repeat_is_a_reorder",
        "test_state.py::test_rebuild_undoes_leaves",
        "test_state.py::test_detach_cuts_the_graph_and_keeps_the_values",
    ],
    "reported scores are those of reading the output again": [
        "test_generate.py::test_scores_are_those_of_the_model_that_reads_the_whole",
        "test_generate.py::test_scores_are_those_of_teacher_forcing",
    ],
}

TRAINING = {
    "a batch without a real target": [
        "training/test_loop.py::test_a_batch_without_a_real_target_is_skipped",
        "models/test_language_model.py::test_a_batch_without_targets_has_no_loss",
    ],
    "a loss or gradient that is not finite: no step, the last checkpoint stays": [
        "training/test_loop.py::test_a_loss_that_is_not_a_number_stops_before_the_step",
        "training/test_loop.py::test_a_gradient_that_is_not_finite_stops_it_too",
        "test_run.py::test_divergence_keeps_the_last_checkpoint",
    ],
    "a figure of validation that is NaN is never the best, and patience counts it": [
        "training/test_loop.py::test_nan_is_never_the_best",
        "training/test_loop.py::test_where_all_are_nan_there_is_no_best",
    ],
    "a short last batch, a batch of one, none": [
        "cells/test_base.py::test_a_batch_may_be_empty",
        "cells/test_base.py::test_a_row_alone_is_the_row_in_the_batch",
        "test_evaluate.py::test_a_short_split",
    ],
    "a state of another shape, type or nesting, NaN in it: named, and the process lives": [
        "cells/test_base.py::test_a_malformed_state_is_a_value_error",
        "cells/test_base.py::test_what_is_wrong_is_an_error_that_names_the_cell",
        "testing/test_check.py::test_a_crash_is_a_finding_with_its_place",
    ],
    "a part from outside that raises, lacks a method or is nothing": [
        "faults/test_training_faults.py::"
        "test_a_part_from_outside_is_named_and_not_called_a_defect_of_ours",
        "decoders/test_base.py::test_a_breach_is_told_with_the_place",
        "faults/test_training_faults.py::"
        "test_where_only_our_code_is_seen_the_plugins_in_use_are_named",
    ],
    "a device that is not there, too little memory: before any work": [
        "faults/test_training_faults.py::test_a_device_that_is_not_there_is_said_before_any_work",
        "faults/test_training_faults.py::test_too_little_memory_is_said_before_any_file",
        "training/test_loop.py::test_too_little_of_it_is_no_defect_of_ours",
    ],
    "a watcher that raises, a disk that takes no log: training goes on": [
        "training/test_loop.py::test_a_watcher_that_fails_is_left_out",
        "training/test_log.py::test_a_full_disk_ends_the_log_with_one_warning",
    ],
}

CHECKPOINTS = {
    "killed or stopped at any moment: the same bytes in the end": [
        "test_run.py::test_signals_and_kills_at_any_moment_change_no_byte",
        "faults/test_run_directory_faults.py::test_what_a_killed_end_lacks_is_made_when_it_goes_on",
        "training/test_loop.py::test_at_any_moment_of_saving_costs_no_byte",
    ],
    "Ctrl-C, SIGTERM, twice": [
        "training/test_loop.py::test_it_changes_no_byte_of_the_result",
        "training/test_loop.py::test_sigterm_ends_it_too",
        "training/test_loop.py::test_a_second_signal_ends_it_at_once",
    ],
    "a full disk: the checkpoint before stays, and the run can be resumed": [
        "training/test_checkpoint.py::test_full_to_the_last_byte",
        "training/test_checkpoint.py::test_the_checkpoint_before_stays",
        "test_run.py::test_a_full_disk_costs_nothing_but_time",
        "faults/test_run_directory_faults.py::test_a_full_one_keeps_the_last_checkpoint_and_says_so",
    ],
    "a flipped bit anywhere": [
        "training/test_checkpoint.py::test_a_flipped_bit_is_found_wherever_it_is",
        "training/test_checkpoint.py::test_a_flipped_bit_in_the_checksums_is_found_too",
        "cli/test_generate.py::test_a_flipped_bit",
    ],
    "files that are cut short, empty, swapped or gone": [
        "training/test_checkpoint.py::test_a_file_that_is_cut_short_is_named",
        "training/test_checkpoint.py::test_the_files_of_another_checkpoint_are_refused",
        "faults/test_run_directory_faults.py::test_what_is_no_file_of_sane_size_keeps_nobody_waiting",
        "faults/test_run_directory_faults.py::test_of_the_training_state",
        "faults/test_run_directory_faults.py::test_of_the_checksums",
        "faults/test_run_directory_faults.py::test_of_the_manifest",
        "faults/test_run_directory_faults.py::test_of_the_result",
        "faults/test_run_directory_faults.py::test_of_answers_and_attention",
        "faults/test_run_directory_faults.py::test_of_a_tokenizer",
        "faults/test_run_directory_faults.py::test_a_log_of_brackets_is_cut_back_and_remarked_on",
        "faults/test_checkpoint_faults.py::test_no_file_of_a_run_is_executed_or_believed",
        "faults/test_checkpoint_faults.py::test_a_missing_part_is_named_and_foreign_files_stay",
    ],
    "a pickle in the place of any file: refused, and never executed": [
        "training/test_checkpoint.py::test_one_in_disguise_is_refused_and_not_executed",
        "faults/test_checkpoint_faults.py::test_no_file_of_a_run_is_executed_or_believed",
    ],
    "resumed within an epoch, at its end, twice, after the end": [
        "training/test_loop.py::test_it_is_the_same_run_again_without_a_stop",
        "training/test_loop.py::test_it_changes_no_byte_of_the_result",
        "test_run.py::test_a_finished_run_is_left_as_it_is",
        "test_run.py::test_a_run_of_many_parts_too",
    ],
    "resumed with another recipe, other data or another model: what differs": [
        "test_run.py::test_another_recipe_is_refused",
        "test_run.py::test_other_data_under_the_same_name_is_refused",
        "training/test_checkpoint.py::test_weights_of_another_model_are_refused",
    ],
    "resumed with other threads, another torch, another precision: a warning": [
        "test_run.py::test_another_number_of_threads_is_a_warning",
        "faults/test_checkpoint_faults.py::"
        "test_another_machine_is_a_warning_that_the_bytes_may_differ",
    ],
    "a vocabulary of the same size with other tokens": [
        "faults/test_checkpoint_faults.py::test_the_same_number_of_other_tokens_is_refused",
        "test_trained.py::test_another_vocabulary_of_the_same_size_is_refused",
    ],
    "a plugin that is missing or was not named, a newer format": [
        "test_plugins.py::test_it_is_refused_with_the_flag_to_give",
        "test_plugins.py::test_a_file_that_is_not_there",
        "training/test_checkpoint.py::test_a_newer_format_is_named",
    ],
    "tied weights, tensors that do not lie in one piece": [
        "training/test_checkpoint.py::test_a_tied_weight_is_saved_once_and_stays_tied",
        "training/test_checkpoint.py::test_a_tensor_may_lie_in_memory_as_it_likes",
    ],
    "only the best and the last are kept; what is foreign stays": [
        "training/test_checkpoint.py::test_best_and_last_are_kept_and_others_go",
        "training/test_checkpoint.py::test_foreign_files_and_folders_are_left_alone",
    ],
}

TABLES = (RECIPES, DATA, DECODING, TRAINING, CHECKPOINTS)
ROWS = [(row, tests) for table in TABLES for row, tests in table.items()]


@cache
def names_in(file):
    """The names of the tests of a file, those in its classes too."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}


@pytest.mark.parametrize(("row", "tests"), ROWS, ids=[row for row, _ in ROWS])
def test_each_row_has_its_tests(row, tests):
    assert tests
    for test in tests:
        file, name = test.split("::")
        assert (TESTS / file).is_file(), test
        assert name in names_in(file), test


def test_every_test_of_a_fault_is_in_a_row():
    named = {test for _, tests in ROWS for test in tests}
    for path in (TESTS / "faults").glob("test_*_faults.py"):
        for name in names_in(f"faults/{path.name}"):
            assert not name.startswith("test_") or f"faults/{path.name}::{name}" in named, name


def test_the_page_on_reliability_counts_the_rows():
    page = (TESTS.parent / "docs" / "reliability.md").read_text(encoding="utf-8")
    table = page[page.index("| table | rows |") :]
    counts = [int(line.split("|")[2]) for line in table.splitlines()[2 : 2 + len(TABLES)]]
    assert counts == [len(each) for each in TABLES]
