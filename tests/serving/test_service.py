"""The server as its clients see it: every route, what is refused, and how it ends."""

import asyncio
import importlib
import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from seqgen.serving import RequestError, ServerLimits, listen, service


def test_health_models_and_figures(client):
    assert client.get("/health").json() == {"status": "ok", "models": ["lm", "caps", "best"]}
    listed = client.get("/v1/models").json()
    assert [each["id"] for each in listed["data"]] == ["lm", "caps", "best"]
    assert client.get("/v1/models/caps").json() == listed["data"][1]
    before = client.figure("seqgen_generated_tokens_total")
    client.ask("/generate", model="caps", prompt="abc")
    client.ask("/v1/completions", model="lm", prompt="the ", max_tokens=7)
    assert client.figure("seqgen_generated_tokens_total") >= before + 10
    assert client.figure('seqgen_requests_total{route="/generate",status="200"}') >= 1
    assert client.figure("seqgen_rows") == client.figure("seqgen_waiting") == 0


GENERATIONS = [
    {},
    {"prompt": "the ", "seed": 3, "max_length": 9},
    {"prompt": "the ", "decoder": "top_p", "options": {"p": 0.7, "temperature": 0.5}},
    {"prompt": "the ", "decoder": {"name": "beam", "beam_size": 4}, "max_length": 8},
    {"prompt": "the ", "options": {"temperature": 0}},
    {"prompt": "the ", "generation": {"stop": "a", "keep_stop": True}},
    {"model": "caps", "prompt": "abc", "decoder": "exact"},
    {"model": "caps", "prompt": "edcba"},
]


@pytest.mark.parametrize("body", GENERATIONS, ids=json.dumps)
@pytest.mark.parametrize("stream", [False, True])
def test_generate_gives_what_the_run_generates(client, served, body, stream):
    given = {"model": "lm", "prompt": "the ", "max_length": 20, **body}
    run = served[given["model"]]
    decoder, options = given.get("decoder"), {**given.get("options", {})}
    if isinstance(decoder, dict):
        options |= {key: value for key, value in decoder.items() if key != "name"}
        decoder = decoder["name"]
    options |= given.get("generation", {})
    wanted = run.generate(
        given["prompt"], decoder, given["max_length"], given.get("seed"), **options
    )
    if stream:
        content = client.post("/generate", json={**given, "stream": True}).text
        *chunks, found, done = [each.removeprefix("data: ") for each in content.split("\n\n")[:-1]]
        assert done == "[DONE]"
        pieces = "".join(json.loads(each)["text"] for each in chunks)
        document = json.loads(found)
        assert pieces in ("", document["found"][0]["outputs"][0]["text"])
        assert bool(pieces) == run.decoder(decoder).streams
    else:
        document = client.ask("/generate", **given)
    [output] = document["found"][0]["outputs"]
    before = given["prompt"] if run.built.data.continues else ""
    assert before + output["text"] == wanted
    assert document["model"] == given["model"]


def test_generate_has_n_best_samples_and_remarks(client):
    body = {"model": "caps", "decoder": "beam", "n_best": 3}
    document = client.ask("/generate", prompt=["abc", "e"], **body)
    assert [len(each["outputs"]) for each in document["found"]] == [3, 3]
    document = client.ask("/generate", model="lm", prompt="the %", samples=2, max_length=5)
    assert len({each["text"] for each in document["found"][0]["outputs"]}) == 2
    assert "unknown to the model" in document["remarks"][0]


def test_score(client, served):
    rows = ["abc\tABC", "abc\tCBA"]
    one, other = client.ask("/score", model="caps", rows=rows)["rows"]
    assert one["score"] > other["score"]
    assert one["tokens"] == len(one["log_probs"]) == 4
    likely, unlikely = client.ask("/score", model="lm", rows=["the cat", "xhe cat"])["rows"]
    assert likely["score"] > unlikely["score"]
    assert likely["tokens"] == 7


def test_too_many_scores_are_sent_away(served):
    answering = service.Service(served, ServerLimits(queue=2))

    def ask():
        return answering.scored(served["lm"], ["the"])

    async def three():
        async with answering.scoring:  # as one does whose scores are computed
            first = [asyncio.create_task(ask()) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(RequestError) as refused:
                await ask()
        return refused.value.status, await asyncio.gather(*first)

    status, scores = asyncio.run(three())
    assert status == 429
    assert [len(row) for [row] in scores] == [3, 3]


COMPLETE, GENERATE = "/v1/completions", "/generate"
REFUSED = [
    (COMPLETE, {"max_tokens": "5"}, 400, "max_tokens: must be an integer, but is '5'"),
    (COMPLETE, {"max_tokens": 41}, 400, "max_tokens: must be at most 40, but is 41"),
    (COMPLETE, {"max_tokens": -1}, 400, "max_tokens: must be at least 0 and at most …, but is -1"),
    (COMPLETE, {"temperature": -1}, 400, "temperature: must be at least 0 and …, but is -1"),
    (COMPLETE, {"top_p": 0}, 400, "top_p: must be greater than 0 and at most 1, but is 0"),
    (COMPLETE, {"tempreature": 1}, 400, "tempreature: not an option of …'temperature'? …"),
    (COMPLETE, {"prompt": [1, 2]}, 400, "prompt: must be a string…"),
    (COMPLETE, {"prompt": []}, 400, "prompt: must have at least one text"),
    (COMPLETE, {"prompt": "x" * 301}, 400, "prompt: must have at most 300 characters…301"),
    (COMPLETE, {"prompt": ["a"] * 7}, 400, "prompt: 7 prompts times 1 outputs are more than 6 …"),
    (COMPLETE, {"n": 7}, 400, "prompt: 1 prompts times 7 outputs are more than 6 …"),
    (COMPLETE, {"n": 3, "best_of": 2}, 400, "best_of: must be at least `n`, which is 3, but is 2"),
    (COMPLETE, {"best_of": 2, "stream": True}, 400, "best_of: cannot be streamed unless it is `n`"),
    (COMPLETE, {"stop": ""}, 400, 'stop: must be at least 1 long, but is [""]'),
    (COMPLETE, {"seed": -1}, 400, "seed: must be at least 0 …, but is -1"),
    (COMPLETE, {"logprobs": 21}, 400, "logprobs: must be at least 0 and at most 20, but is 21"),
    (COMPLETE, {"presence_penalty": 3}, 400, "presence_penalty: must be at least -2 …, but is 3"),
    (COMPLETE, {"logit_bias": {"x": 1}}, 400, "logit_bias: …token ids as keys, but has 'x'"),
    (COMPLETE, {"suffix": "x"}, 400, "suffix: not an option of …"),
    (COMPLETE, {"model": "caps", "echo": True}, 400, "echo: this model answers its prompts, …"),
    (COMPLETE, {"model": "gpt"}, 404, "model: there is no model 'gpt'; these are: lm, caps, best"),
    (COMPLETE, {"model": None}, 400, "model: must name one; these are: lm, caps, best"),
    (GENERATE, {"decoder": "beem"}, 400, "…no decoder named 'beem'; did you mean 'beam'?…"),
    (GENERATE, {"decoder": {"k": 1}}, 400, "decoder: must have a `name`"),
    (GENERATE, {"options": {"temprature": 1}}, 400, "…temprature: not an option of …"),
    (GENERATE, {"options": {"temperature": -1}}, 400, "temperature: must be at least 0 …"),
    (GENERATE, {"decoder": "beam", "options": {"beam_size": 25}}, 400, "beam_size: …at most 24…"),
    (GENERATE, {"generation": {"stopp": "x"}}, 400, "…stopp…"),
    (GENERATE, {"generation": {"max_seconds": 0}}, 400, "max_seconds: must be greater than 0 …"),
    (GENERATE, {"max_length": 41}, 400, "max_length: must be at most 40, but is 41"),
    (
        GENERATE,
        {"decoder": {"name": "greedy", "constraints": [{"name": "forbid", "file": "/etc/passwd"}]}},
        *(400, "decoder: `file` names a file of the server, which no client may"),
    ),
    (
        GENERATE,
        {"options": {"constraints": [{"name": "ensemble", "runs": ["other"]}]}},
        *(400, "options: `runs` names a file of the server, which no client may"),
    ),
    ("/score", {"prompt": "x"}, 400, "prompt: not an option of /score…"),
    ("/score", {"rows": []}, 400, "rows: must be at least 1 long, but is []"),
    ("/score", {"rows": ["y" * 301]}, 400, "rows: must have at most 300 characters, but has 301"),
    ("/score", {"model": "caps", "rows": ["abc"]}, 400, "rows: rows:1: …"),
    ("/score", {"model": "caps", "rows": ["a\tA\nb\tB"]}, 400, "rows: a row must be one line"),
]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    REFUSED,
    ids=[f"{a} {json.dumps(b)[:60]}" for a, b, *_ in REFUSED],
)
def test_a_bad_field_is_named_in_a_line(client, path, body, status, said):
    rows = {} if path != "/score" or "rows" in body else {"rows": ["x"]}
    response = client.post(path, json={"model": "lm", **rows, **body})
    error = response.json()["error"]
    assert response.status_code == status
    check(error["message"], said)
    assert error["type"] == ("not_found_error" if status == 404 else "invalid_request_error")
    if error["param"] is not None:
        assert error["message"].startswith(error["param"])


def check(message, said):
    """That a message is as said, where … stands for anything."""
    assert "\n" not in message
    first, *rest = said.split("…")
    assert message.startswith(first), message
    for each in rest:
        assert each in message, message


RAW = [
    (COMPLETE, b"", 400, "the body must be JSON in UTF-8: "),
    (COMPLETE, b'{"prompt": "\xff"}', 400, "the body must be JSON in UTF-8: "),
    (COMPLETE, b'{"temperature": NaN}', 400, "the body must be JSON in UTF-8: NaN is no JSON"),
    (COMPLETE, b"[" * 1500, 400, "the body is nested too deeply"),
    (COMPLETE, b'["prompt"]', 400, "the body must be a JSON object"),
    (COMPLETE, b'{"model": "lm", "prompt": "\\ud800"}', 400, "prompt: "),
    (COMPLETE, b" " * 2001, 413, "the body must have at most 2000 bytes"),
    ("/nowhere", b"{}", 404, "Not Found"),
    ("/health", b"{}", 405, "Method Not Allowed"),
]


@pytest.mark.parametrize(("path", "content", "status", "said"), RAW, ids=[str(n) for n in range(9)])
def test_a_bad_body(client, path, content, status, said):
    response = client.post(path, content=content)
    assert response.status_code == status
    assert response.json()["error"]["message"].startswith(said)


def test_a_body_that_does_not_say_its_size(client):
    def parts():
        for _ in range(30):
            yield b" " * 100

    assert client.post(COMPLETE, content=parts()).status_code == 413


def test_a_body_that_does_not_come(server):
    client = server(seconds=0.2)

    def parts():
        yield b"{"
        time.sleep(0.6)

    response = client.post(COMPLETE, content=parts())
    assert response.status_code == 408
    assert response.json()["error"]["message"] == "the body did not come in time"


ENDLESS = {"model": "lm", "prompt": "the ", "max_tokens": 10**6}


def test_time_that_is_over_ends_a_text(server):
    client = server(seconds=0.3, tokens=10**6)
    [choice] = client.ask(COMPLETE, **ENDLESS)["choices"]
    assert choice["finish_reason"] == "length"
    assert len(choice["text"]) > 5
    document = client.ask("/generate", model="lm", prompt="the ", max_length=10**6)
    assert document["found"][0]["outputs"][0]["finish_reason"] == "time"


def wait_until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen")


def test_too_many_requests_are_sent_away_and_who_waits_too_long(server):
    client = server(rows=6, queue=1, seconds=1, tokens=10**6)
    found = []

    def ask():
        found.append(client.post(COMPLETE, json={**ENDLESS, "n": 6}))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    threads[0].start()
    wait_until(lambda: client.figure("seqgen_rows"))
    threads[1].start()
    wait_until(lambda: client.figure("seqgen_waiting"))
    refused = client.post(COMPLETE, json=ENDLESS)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["error"]["type"] == "rate_limit_error"
    for each in threads:
        each.join()
    assert {each.status_code for each in found} <= {200, 504}
    assert found[0].status_code == 200


@pytest.mark.parametrize("stream", [True, False])
def test_the_rows_of_a_client_that_goes_away_leave(server, stream):
    client = server(tokens=10**6)
    if stream:
        with client.stream("POST", COMPLETE, json={**ENDLESS, "stream": True}) as response:
            lines = response.iter_lines()  # the connection is closed with it
            next(lines)
            assert client.figure("seqgen_rows") == 1
    else:
        with pytest.raises(httpx.ReadTimeout):
            client.post(COMPLETE, json=ENDLESS, timeout=0.3)
    wait_until(lambda: client.figure("seqgen_rows") == 0)


def test_many_clients_at_once_get_the_texts_that_they_would_get_alone(server, served):
    client = server(rows=16)
    bodies = [
        {"prompt": ["the ", "a cat"][n % 2], "temperature": n % 3 / 2, "seed": n, "max_length": n}
        for n in range(1, 31)
    ]
    texts = [""] * len(bodies)

    def ask(place):
        body = {**bodies[place], "model": "lm", "decoder": "multinomial"}
        options = {"temperature": body.pop("temperature")}
        document = client.ask("/generate", options=options, **body)
        texts[place] = document["found"][0]["outputs"][0]["text"]

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(len(bodies))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for body, text in zip(bodies, texts, strict=True):
        body["decoder"] = "multinomial"
        assert body["prompt"] + text == served["lm"].generate(**body)


def test_the_benchmark_of_many_clients(server, finished_run, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    benchmark = importlib.import_module("serving")
    monkeypatch.setattr(benchmark, "PROMPTS", ("the ", "a "))
    address = str(server(["lm"]).base_url)
    found, seconds = asyncio.run(benchmark.load(address, 5, 2, 12))
    assert benchmark.row(5, 10, found, seconds).startswith("| 5 | 10 | 0 | ")
    assert benchmark.alike(finished_run, found) == (10, 10)


def test_a_port_that_is_taken(said):
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        line = said(listen, "127.0.0.1", port)
    taken = "cannot be listened at: Address already in use; --port N takes another one"
    assert line == f"127.0.0.1:{port}: {taken}"
    assert said(listen, "no.such.host.invalid", 0).startswith("no.such.host.invalid:0: ")


def test_sigterm_lets_what_runs_finish(spawn, finished_run):
    process = spawn("serve", finished_run, "--port", 0, "--max-tokens", 100_000)
    address = process.stdout.readline().split()[1].rpartition("/")[0]
    found = []

    def ask():
        body = {"prompt": "the ", "max_length": 4000, "stream": True}
        with httpx.stream("POST", f"{address}/generate", json=body, trust_env=False) as response:
            found.extend(response.iter_lines())

    thread = threading.Thread(target=ask)
    with httpx.Client(base_url=address, trust_env=False) as client:
        thread.start()
        wait_until(lambda: "\nseqgen_rows 1.0" in client.get("/metrics").text)
        os.kill(process.pid, signal.SIGTERM)
    thread.join()
    assert found[-2] == "data: [DONE]"
    assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 0


def test_ctrl_c_ends_it(command, finished_run, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]

    def interrupt():
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            wait_until(lambda: answers_at(client))
        os.kill(os.getpid(), signal.SIGINT)

    def answers_at(client):
        with suppress(httpx.ConnectError):
            return client.get("/v1/models").json()["data"][0]["id"] == "run"

    thread = threading.Thread(target=interrupt)
    thread.start()
    ended = command("serve", finished_run, "--port", port, "--double")
    thread.join()
    assert ended == (130, f"run: http://127.0.0.1:{port}/v1, Ctrl-C ends\n", "interrupted\n")


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (5, ["nowhere"], "nowhere: …"),
        (2, [], "…Missing argument 'RUN...'…"),
        (2, ["here", "there/../here"], "here: two runs have this name, by which clients ask …"),
        (2, ["here", "--port", "70000"], "…must be at least 0 and at most 65535, but is 70000…"),
        (2, ["here", "--rows", "4"], "--max-outputs must be at most --rows"),
    ],
)
def test_a_command_that_is_wrong(refusal, code, words, said):
    check(refusal(code, "serve", *words), said)


def test_without_the_extra_it_says_what_to_install(refusal, monkeypatch):
    for name in [each for each in sys.modules if each.startswith("seqgen.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("seqgen.serving", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    line = refusal(7, "serve", "here")
    assert line == "seqgen serve needs uvicorn: pip install 'seqgen-toolkit[serve]'"
