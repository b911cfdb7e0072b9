"""Runs behind HTTP. It needs the extra `serve`: FastAPI, uvicorn and prometheus-client."""

from seqgen.serving.batching import Batcher
from seqgen.serving.jobs import Job
from seqgen.serving.requests import RequestError, ServerLimits
from seqgen.serving.service import application, listen, serve

__all__ = ["Batcher", "Job", "RequestError", "ServerLimits", "application", "listen", "serve"]
