"""Comparisons: the same inputs decoded in many ways, and what each costs and gives.

To add a measure, let it fill `values` of a system by the name that `measures.py` describes.
"""
