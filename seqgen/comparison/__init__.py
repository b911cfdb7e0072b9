"""Comparisons: the same inputs decoded in many ways, and what each costs and gives.

To add a measure: describe it in `MEASURES` of a module of its own, list that in `catalogue.py`, and
let `values.py` fill it. Table, plots and verdict know measures by their descriptions alone.
"""
