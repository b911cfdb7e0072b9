"""A server in a thread of this process, at a port of this machine alone, and clients for it."""

import asyncio
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="the extra serve is not installed")

from seqgen.serving import ServerLimits, application, listen  # noqa: E402
from seqgen.trained import TrainedRun  # noqa: E402

SMALL_LIMITS = ServerLimits(body=2000, prompt=300, tokens=40, outputs=6, rows=24, queue=50)


class Client(httpx.Client):
    """Asks one server; `ask` wants an answer, `refused` a line."""

    def ask(self, path, **body):
        response = self.post(path, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def figure(self, name):
        lines = self.get("/metrics").text.splitlines()
        return sum(float(each.split()[-1]) for each in lines if each.startswith(name))


@pytest.fixture(autouse=True)
def _no_loop_runs():
    """A browser that tests of pages have opened leaves its event loop marked as running."""
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(loop)


@contextmanager
def serving(runs, limits):
    config = uvicorn.Config(
        application(runs, limits), log_config=None, lifespan="on", timeout_graceful_shutdown=5
    )
    server, listening = uvicorn.Server(config), listen("127.0.0.1", 0)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    while not server.started:
        time.sleep(0.005)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        with Client(base_url=address, trust_env=False, timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="session")
def served(finished_run, pairs_run):
    """Runs: `lm` goes on with texts, `caps` answers words, and `best` does so by a search."""
    best = TrainedRun.load(pairs_run, overrides=["decoder={name: beam, n_best: 3}"])
    return {"lm": TrainedRun.load(finished_run), "caps": TrainedRun.load(pairs_run), "best": best}


@pytest.fixture(scope="session")
def client(served):
    """A client of a server with both."""
    with serving(served, SMALL_LIMITS) as found:
        yield found


@pytest.fixture
def server(served):
    """A function that starts a server of these runs with other limits; returns a client of it."""
    with ExitStack() as stack:

        def start(names=("lm", "caps"), **limits):
            runs = {name: served[name] for name in names}
            return stack.enter_context(serving(runs, replace(SMALL_LIMITS, **limits)))

        yield start
