"""Data: what is too little, too long or made up to hurt."""


def test_one_line_of_ten_megabytes_is_trained_on(place, make_trainer):
    place.write("text.txt", b"0123456789" * 1_000_000)
    fit = make_trainer("train.max_steps=2", "data.split=[1, 0, 0]")
    fit.run()
    assert fit.counters.step == 2


def test_a_prompt_of_a_hundred_thousand_tokens_is_read(finished_run, place, command):
    place.write("long.txt", "the cat " * 12_500 + "\n")
    ended = command(
        "generate", finished_run, "--input", "long.txt", "--max-length", 3, "--output", "out.txt"
    )
    assert ended.code == 0, ended.err
