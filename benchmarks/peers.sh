#!/bin/sh
# Builds the environment of the program that benchmarks/beam_speed.py compares itself with, JoeyNMT 2.3, in the folder
# given (.peers). It has packages of its own, but the torch of the python that calls it: both sides compute with one
# library. What JoeyNMT needs for training and data (datasets, plotly, ...) is left out.
#
#     PYTHON=.venv/bin/python benchmarks/peers.sh [FOLDER]
set -eu
python=${PYTHON:-python3}
folder=${1:-.peers}
"$python" -m venv "$folder"
own=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$own/torch_of_the_caller.pth"
"$folder/bin/pip" install --quiet --no-deps joeynmt==2.3.0 subword-nmt sacremoses
"$folder/bin/pip" install --quiet tensorboard 'importlib_metadata<9' matplotlib
"$folder/bin/python" -W ignore -c 'from joeynmt.search import search'
echo "$folder/bin/python"
