"""Runs one instance with Marabou; prints `startup`, `work` and `verdict`, a line each.

    run_marabou.py NET.onnx PROPERTY.vnnlib SECONDS THREADS

Marabou reads the property itself. With one thread it searches by itself, with more it splits and conquers. Start-up is everything
until the network is read: interpreter and imports.
"""

import os
import sys
import time
import warnings

from run_abcrown import begin


def main():
    net, prop, seconds, threads = sys.argv[1:]
    warnings.simplefilter("ignore")
    from maraboupy import Marabou

    start = begin(os.getcwd())
    network = Marabou.read_onnx(net)
    options = Marabou.createOptions(
        timeoutInSeconds=max(1, int(float(seconds))), verbosity=0, snc=int(threads) > 1, numWorkers=int(threads)
    )
    answer = network.solve(options=options, propertyFilename=prop, verbose=False)[0]
    print(f"\nwork {time.perf_counter() - start:.4f}\nverdict {answer.lower()}")


if __name__ == "__main__":
    main()
