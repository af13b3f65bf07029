# SPDX-License-Identifier: Apache-2.0
"""Memory and time of an ensemble's products on a large grid: 20 members, 18 lead times, 1536 x 1280 cells.

    python tests/bench/products.py BUILD [--small]

Three calls of gen, each a process whose peak of resident memory is taken: the forecast alone, with all products,
and the products of its file. Beside them, where pysteps is installed, the same products (without amounts) of the same
file by pysteps and numpy, lead time by lead time, since all at once would take 2.8 GB.
"""
import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
import time

ALL = ["--exceed", "1,5,10", "--mean", "--matched-mean", "--percentiles", "10,50,90"]


def run(command):
    """Seconds and MB of a process of its own."""
    start = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit("failed: " + " ".join(command))
    return time.monotonic() - start, usage.ru_maxrss / 1024


def peer(path):
    import numpy as np
    import netCDF4
    from pysteps.postprocessing import ensemblestats
    from pysteps.postprocessing.probmatching import nonparam_match_empirical_cdf
    rain = netCDF4.Dataset(path)["rain_rate"]
    for t in range(rain.shape[1]):
        x = np.ma.filled(rain[:, t], np.nan)
        ensemblestats.excprob(x, [1, 5, 10])
        mean = ensemblestats.mean(x)
        np.percentile(x, [10, 50, 90], axis=0)
        valid = ~np.isnan(mean)
        nonparam_match_empirical_cdf(mean[valid], np.sort(x[:, valid].ravel())[len(x) // 2::len(x)])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def main():
    build, small = sys.argv[1], "--small" in sys.argv
    gen, size = os.path.join(build, "gen"), ["--height", "1536", "--width", "1280"]
    if small:
        size = ["--height", "256", "--width", "256"]
    with tempfile.TemporaryDirectory() as folder:
        rain, forecast, products = (os.path.join(folder, n + ".nc") for n in ("rain", "forecast", "products"))
        run([gen, "radar", "simulate", "--frames", "4", *size, "-o", rain])
        nowcast = [gen, "nowcast", rain, "--method", "advection", "--members", "20", "--lead", "90", "--force", "-o", forecast]
        print("### Products of 20 members x 18 lead times x %s x %s\n" % (size[1], size[3]))
        print("| | s | peak MB |\n|---|---|---|")
        rows = [("`gen nowcast`, advection", nowcast),
                ("the same with all products and amounts", nowcast + ALL + ["--accumulate", "60"]),
                ("`gen radar products` of its file", [gen, "radar", "products", forecast, *ALL, "-o", products])]
        if importlib.util.find_spec("pysteps"):  # not imported: a child inherits the peak of its parent
            rows.append(("pysteps and numpy on its file", [sys.executable, __file__, "--peer", forecast]))
        for name, command in rows:
            print("| %s | %.1f | %.0f |" % (name, *run(command)), flush=True)


if len(sys.argv) > 2 and sys.argv[1] == "--peer":
    peer(sys.argv[2])
else:
    main()
