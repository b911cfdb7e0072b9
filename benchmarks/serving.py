"""What a server takes: one client, and many at once, each sending one request after the other.

    .venv/bin/python benchmarks/serving.py runs/char_lstm [--clients 200] [--requests 5]

Starts `seqgen serve RUN` at a free port of this machine. Each request of `/generate` has a seed, a
prompt and a length of its own, up to `--tokens`. The figures are seconds until the whole answer was
there, answers and tokens a second, and how many requests were lost; a sample of the texts is held
against those of the run alone. With many clients these share the cores with the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

PROMPTS = ("The ", "", "If the value is ", "class ")
COMPARED, TIMEOUT = 50, 120.0


class Answered(NamedTuple):
    """What was asked, the text, its number of tokens, and the seconds that it took."""

    body: dict[str, Any]
    text: str
    tokens: int
    seconds: float


def asked(number: int, tokens: int) -> dict[str, Any]:
    """The body of a request, by its number."""
    length = tokens * (1 + number % 4) // 4
    return {"prompt": PROMPTS[number % len(PROMPTS)], "seed": number, "max_length": length}


async def post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: dict[str, Any]
) -> dict[str, Any]:
    """The answer to one request, by a client that takes less time than a server."""
    content = json.dumps(body).encode()
    head = f"POST /generate HTTP/1.1\r\nHost: here\r\nContent-Length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content)
    answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    size = int(answer.partition("content-length: ")[2].split()[0])
    found: dict[str, Any] = json.loads(await reader.readexactly(size))
    if " 200 " not in answer.partition("\n")[0]:
        raise ValueError(found)
    return found


async def load(
    address: str, clients: int, requests: int, tokens: int
) -> tuple[list[Answered], float]:
    """All answers, and the seconds that they took together. A request that is lost is missing."""
    host, port = address.removeprefix("http://").split(":")
    found: list[Answered] = []

    async def work(client: int) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for turn in range(requests):
            body = asked(turn * clients + client, tokens)
            began = time.perf_counter()
            answer = await asyncio.wait_for(post(reader, writer, body), TIMEOUT)
            seconds = time.perf_counter() - began
            [output] = answer["found"][0]["outputs"]
            found.append(Answered(body, output["text"], len(output["tokens"]), seconds))
        writer.close()

    began = time.perf_counter()
    ended = await asyncio.gather(*map(work, range(clients)), return_exceptions=True)
    for each in {repr(each) for each in ended if each is not None}:
        print(each, file=sys.stderr)
    return found, time.perf_counter() - began


def row(clients: int, wanted: int, found: list[Answered], seconds: float) -> str:
    """A line of the table."""
    times = sorted(each.seconds for each in found)
    middle, late = times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]
    tokens = sum(each.tokens for each in found)
    return (
        f"| {clients} | {wanted} | {wanted - len(found)} | {middle:.3f} | {late:.3f} "
        f"| {wanted / seconds:.1f} | {tokens / seconds:,.0f} |"
    )


def alike(folder: Path, found: list[Answered]) -> tuple[int, int]:
    """How many texts of a sample are those of the run alone, and how many were looked at."""
    from seqgen.trained import TrainedRun

    run = TrainedRun.load(folder)
    sample = found[:: max(1, len(found) // COMPARED)]
    same = [each.body["prompt"] + each.text == run.generate(**each.body) for each in sample]
    return sum(same), len(sample)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--requests", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=200)
    options = parser.parse_args()
    command = [sys.executable, "-m", "seqgen", "serve", str(options.run), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[1].rpartition("/")[0]
            asyncio.run(load(address, 1, 3, options.tokens))  # warm
            print("| clients | requests | lost | p50 s | p99 s | answers a second | tokens |")
            print("|---|---|---|---|---|---|---|")
            for clients, requests in (
                (1, 4 * options.requests),
                (options.clients, options.requests),
            ):
                found, seconds = asyncio.run(load(address, clients, requests, options.tokens))
                print(row(clients, clients * requests, found, seconds), flush=True)
        finally:
            server.terminate()
    same, compared = alike(options.run, found)
    print(f"{same} of {compared} texts are those of the run alone")


if __name__ == "__main__":
    main()
