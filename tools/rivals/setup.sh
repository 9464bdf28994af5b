#!/usr/bin/env bash
# Makes what compare.py needs of the other tools, outside the repository.
#
#   tools/rivals/setup.sh DIR ABCROWN AUTO_LIRPA ONNX2PYTORCH
#
# DIR           gets the virtual environments `abcrown` and `marabou` and links to the sources
# ABCROWN       checkout of github.com/Verified-Intelligence/alpha-beta-CROWN at 8250d5f (December 2025 release)
# AUTO_LIRPA    checkout of github.com/Verified-Intelligence/auto_LiRPA at 9d100ec, which that release names
# ONNX2PYTORCH  checkout of github.com/KaidiXu/onnx2pytorch
#
# torch is about 3 GB with its libraries. Gurobi comes with the licence of the package (2,000 variables); no other solver is used.
set -eu
if [ $# -ne 4 ]; then sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; fi
mkdir -p "$1/src"
dir=$(cd "$1" && pwd)
ln -sfn "$(cd "$2" && pwd)" "$dir/src/alpha-beta-CROWN"
ln -sfn "$(cd "$3" && pwd)" "$dir/src/auto_LiRPA"
ln -sfn "$(cd "$4" && pwd)" "$dir/src/onnx2pytorch"
python3.11 -m venv "$dir/marabou"
"$dir/marabou/bin/pip" install -q maraboupy==2.0.0 "numpy<2" "onnx==1.16.*" "onnxruntime<1.20"
python3.11 -m venv "$dir/abcrown"
"$dir/abcrown/bin/pip" install -q torch==2.8.0 torchvision==0.23.0 "numpy<2.3" onnx onnxruntime onnxsim onnxoptimizer skl2onnx \
  gurobipy psutil pyyaml sortedcontainers pandas ninja termcolor appdirs packaging tqdm graphviz pytest
echo "ready: python3 tools/rivals/compare.py --rivals $dir --help"
