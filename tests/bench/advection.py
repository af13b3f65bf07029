# SPDX-License-Identifier: Apache-2.0
"""Advection nowcast, 256x256, 18 lead times, motion field included: ours beside pysteps, in turn.

    python tests/bench/advection.py build [--rounds N] [--busy]     (needs pysteps, netCDF4)

Both in this process on the same three frames, those of examples/rain.nc before 01:00; ours through
<libgen/weather.h> in build/libgen-weather.so. --busy: with one core spinning elsewhere.
"""
import argparse
import ctypes as C
import os
import subprocess
import sys
import time
import warnings

import netCDF4
import numpy as np

warnings.filterwarnings("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
STEPS, THREADS = 18, 2
doubles, floats = C.POINTER(C.c_double), C.POINTER(C.c_float)


class Grid(C.Structure):
    _fields_ = [("height", C.c_int64), ("width", C.c_int64), ("y", doubles), ("x", doubles),
                ("proj4", C.c_char_p), ("mapping", C.c_char_p), ("degrees", C.c_bool),
                ("attributes", C.c_char_p)]


class Sequence(C.Structure):
    _fields_ = [("frames", C.c_int64), ("step", C.c_int64), ("time", C.POINTER(C.c_int64)),
                ("rain", floats), ("grid", Grid), ("source", C.c_char_p)]


class Options(C.Structure):  # gen_nowcast_options; what follows is zero
    _fields_ = [("method", C.c_int), ("lead_steps", C.c_int64), ("members", C.c_int64),
                ("seed", C.c_uint64), ("threads", C.c_int), ("rest", C.c_char * 256)]


SINK = C.CFUNCTYPE(C.c_int, C.c_void_p, C.c_int64, floats)


def ours(lib, frames):
    n, h, w = frames.shape
    axis = np.arange(max(h, w), dtype=float)
    at = axis.ctypes.data_as(doubles)
    times = np.arange(n, dtype=np.int64) * 300
    s = Sequence(n, 300, times.ctypes.data_as(C.POINTER(C.c_int64)),
                 frames.ctypes.data_as(floats), Grid(h, w, at, at), None)
    o = Options(0, STEPS, 1, 0, THREADS)
    sink = SINK(lambda cookie, member, rain: 0)

    def run():
        assert lib.gen_nowcast(C.byref(s), C.byref(o), sink, None) == 0
    run.keep = (axis, times, frames)
    return run


def theirs(frames):
    from pysteps import motion, nowcasts
    from pysteps.utils import transformation
    flow, move = motion.get_method("LK"), nowcasts.get_method("extrapolation")
    past = np.nan_to_num(frames)

    def run():
        out, sys.stdout = sys.stdout, open(os.devnull, "w")
        db, _ = transformation.dB_transform(past, threshold=0.1, zerovalue=-15.0)
        move(past[-1], flow(db), STEPS)
        sys.stdout = out
    return run


ap = argparse.ArgumentParser()
ap.add_argument("build")
ap.add_argument("--rounds", type=int, default=9)
ap.add_argument("--busy", action="store_true")
a = ap.parse_args()
C.CDLL(os.path.join(a.build, "libgen.so"), mode=C.RTLD_GLOBAL)
library = C.CDLL(os.path.join(a.build, "libgen-weather.so"))
with netCDF4.Dataset(os.path.join(HERE, "../../examples/rain.nc")) as d:
    rain = np.ma.filled(d["rain_rate"][10:13].astype("f4"), np.nan)
runners = {"libgen": ours(library, np.ascontiguousarray(rain)), "pysteps": theirs(rain)}
spin = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if a.busy else None
times = {name: [] for name in runners}
for turn in range(a.rounds + 1):
    for name, run in runners.items():
        start = time.perf_counter()
        run()
        if turn:
            times[name].append(time.perf_counter() - start)
if spin:
    spin.kill()
print(f"advection 256x256, {STEPS} lead times, {a.rounds} rounds in turn{', one core busy' * a.busy}")
print("| runner | best s | median s | times ours |\n|---|---|---|---|")
for name, t in times.items():
    print(f"| {name} | {min(t):.3f} | {np.median(t):.3f} | {min(t) / min(times['libgen']):.1f} |")
