"""Cells, one step of recurrence each. To add one: subclass `Cell`, `@cells.register("name")`."""

from seqgen.cells.base import Cell, CellFactory, cells
from seqgen.cells.lstm import LSTM, LSTMState
from seqgen.cells.lstm_cell import LSTMCell
from seqgen.cells.stack import Stack

__all__ = ["LSTM", "Cell", "CellFactory", "LSTMCell", "LSTMState", "Stack", "cells"]
