"""Tiny runs as they are exported, once for all tests."""

from types import SimpleNamespace

import pytest

from seqgen.export import export
from seqgen.trained import TrainedRun


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A function from a finished run to what its ONNX folder is: the run, the folder, the runner,
    and what was said. The exporters' own warnings would be errors here."""
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    from seqgen.export.runner import Runner

    def call(folder):
        run = TrainedRun.load(folder, "cpu")
        out = tmp_path_factory.mktemp("exported") / "onnx"
        remarks = export(run, "onnx", out)
        return SimpleNamespace(run=run, folder=out, runner=Runner(out), remarks=remarks)

    return call


@pytest.fixture(scope="session")
def language_model(exported, finished_run):
    return exported(finished_run)


@pytest.fixture(scope="session")
def translator(exported, pairs_run):
    return exported(pairs_run)
