# SPDX-License-Identifier: Apache-2.0
"""Ensembles after STEPS beside pysteps' own, on the held-out events of ../shared: skill, time, and whether
`gen metrics nowcast` gives the numbers that pysteps and NumPy give for the same files.

    python tests/bench/ensemble.py build [--members 20]        (needs netCDF4, NumPy, pysteps, GEN_SHARED)

Events, crops and issue times are those of heldout.py. Our time is that of the program, from its start to the file;
pysteps' is that of motion and ensemble alone, in a process that is warm, with its two workers.
"""
import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings

import netCDF4
import numpy as np

from heldout import EVENTS, INNER, MARGIN, MIDDLE, SIDE, event, utc, write

warnings.filterwarnings("ignore")
with contextlib.redirect_stdout(io.StringIO()):
    from pysteps import motion, nowcasts
    from pysteps.utils import transformation
    from pysteps.verification import detcatscores, spatialscores


def pysteps_steps(past, leads, members, minutes):
    """Newest frames [4,h,w] to members [k,leads,h,w]; and the seconds."""
    with contextlib.redirect_stdout(io.StringIO()):
        db, _ = transformation.dB_transform(np.nan_to_num(past), threshold=0.1, zerovalue=-15.0)
        start = time.perf_counter()
        v = motion.get_method("LK")(db[-3:])
        out = nowcasts.get_method("steps")(
            db[-3:], v, leads, n_ens_members=members, n_cascade_levels=6, precip_thr=-10.0, kmperpixel=1.0,
            timestep=minutes, noise_method="nonparametric", vel_pert_method="bps",
            mask_method="incremental", seed=1, num_workers=2)
        seconds = time.perf_counter() - start
    out = transformation.dB_transform(out, threshold=-10.0, inverse=True)[0]
    return out.astype("f4"), seconds


def crps(x, y):
    """The definition, by sorted members."""
    k = len(x)
    i = np.arange(1, k + 1)[:, None]
    return (np.abs(x - y).mean(0) - ((2 * i - k - 1) * np.sort(x, 0)).sum(0) / k**2).mean()


def by_pysteps(files, rain, times, leads):
    """CRPS by definition, CSI and FSS by pysteps, of the middle of forecast files, a row a lead time."""
    rows = []
    middle = (slice(MARGIN, MARGIN + INNER),) * 2
    for lead in range(leads):
        x, y, tables = [], [], detcatscores.det_cat_fct_init(1.0)
        fss = spatialscores.fss_init(1.0, 16)
        for path in files:
            with netCDF4.Dataset(path) as d:
                members = np.ma.filled(d["rain_rate"][:, lead].astype("f8"), np.nan)[(slice(None),) + middle]
                o = rain[list(times).index(d["time"][lead])][middle].astype("f8")
            ok = ~np.isnan(o) & ~np.isnan(members).any(0)
            x.append(members[:, ok])
            y.append(o[ok])
            for m in members:
                detcatscores.det_cat_fct_accum(tables, m[ok], o[ok])
                spatialscores.fss_accum(fss, np.where(ok, m, 0), np.where(ok, o, 0))
        rows.append((crps(np.hstack(x), np.hstack(y)), detcatscores.det_cat_fct_compute(tables, "CSI")["CSI"],
                     spatialscores.fss_compute(fss)))
    return np.array(rows)


def by_gen(gen, files, obs, *options):
    out = subprocess.run([gen, "metrics", "nowcast", "--obs", obs, *files, "--json", "--windows", "16", *MIDDLE,
                          *options], check=True, capture_output=True).stdout
    return json.loads(out)


def table_of(report):
    at = report["forecast"]["thresholds"][0]
    return np.array([report["forecast"]["crps"], at["members"]["csi"], at["fss"][0]["members"]]).T


def main():
    a = argparse.ArgumentParser()
    a.add_argument("build")
    a.add_argument("--members", type=int, default=20)
    o = a.parse_args()
    gen = os.path.join(o.build, "gen")
    worst, seconds = 0, {"gen": [], "pysteps": []}
    print(f"\n### Ensembles after STEPS, {o.members} members (`tests/bench/ensemble.py`)\n")
    print("CRPS in mm/h and spread/skill (1 is right), mean over three issue times.\n")
    print("| event | +min | persistence | advection | STEPS, libgen | STEPS, pysteps | spread/skill: libgen | pysteps |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as tmp:
        for name, y, x, every, starts, shown in EVENTS:
            rain, times, ys, xs, units = event(name, y, x, every)
            step, leads = int(times[1] - times[0]), max(shown)
            obs = os.path.join(tmp, f"{name}.nc")
            write(obs, rain, times, ys, xs, units)
            mine, theirs = [], []
            for s in starts:
                mine.append(os.path.join(tmp, f"{name}_gen_{s}.nc"))
                theirs.append(os.path.join(tmp, f"{name}_pysteps_{s}.nc"))
                start = time.perf_counter()
                subprocess.run([gen, "nowcast", obs, "--at", utc(times[s]), "--method", "steps", "--members",
                                str(o.members), "--seed", "1", "--lead", str(step * leads // 60), "-q", "-o", mine[-1]], check=True,
                               stderr=subprocess.DEVNULL)
                seconds["gen"].append((time.perf_counter() - start) / leads * 18)
                out, t = pysteps_steps(rain[s - 3:s + 1], leads, o.members, step / 60)
                seconds["pysteps"].append(t / leads * 18)
                write(theirs[-1], out, times[s + 1:s + 1 + leads], ys, xs, units, times[s])
            a, b = by_gen(gen, mine, obs, "--baselines"), by_gen(gen, theirs, obs, "--baselines")
            for lead in shown:
                i = lead - 1
                print(f"| {name} | {step * lead // 60} | {a['persistence']['crps'][i]:.3f} | "
                      f"{a['advection']['crps'][i]:.3f} | {a['forecast']['crps'][i]:.3f} | "
                      f"{b['forecast']['crps'][i]:.3f} | {a['forecast']['spread_skill'][i]:.2f} | "
                      f"{b['forecast']['spread_skill'][i]:.2f} |")
            for files in (mine, theirs):
                found = table_of(by_gen(gen, files, obs))
                expected = by_pysteps(files, rain, times, leads)
                worst = max(worst, np.abs(found - expected).max())
    print(f"\nCRPS, CSI (1 mm/h) and FSS (1 mm/h, 16 cells) of `gen metrics nowcast` and of pysteps and NumPy for the "
          f"same files: at most {worst:.1e} apart.")
    ours, peer = min(seconds["gen"]), min(seconds["pysteps"])
    print(f"\nTime for {o.members} x 18 fields of {SIDE} x {SIDE}, best: libgen {ours:.2f} s (whole program), "
          f"pysteps {peer:.2f} s: {peer / ours:.1f} times ours.")


if __name__ == "__main__":
    sys.exit(main())
