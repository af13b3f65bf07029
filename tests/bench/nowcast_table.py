# SPDX-License-Identifier: Apache-2.0
"""How good is a nowcast model? Its table on the held-out events of ../shared, as text and as markdown.

    python tests/bench/nowcast_table.py build --model weather/models/nowcast.safetensors [--markdown FILE]

`gen nowcast` makes every forecast from the crop alone, `gen metrics nowcast` every score; pysteps' columns are read
from ../shared/bench/nowcast_anchors.md and not made again. Needs netCDF4, NumPy and GEN_SHARED.

Cells whose rain would come from outside of the crop are missing in advection, in STEPS and in networks that move with
the rain. Three ways to score them, because a method must not gain by being silent where it is hard:
  filled  missing is no rain, as in the anchors; the columns of pysteps are comparable with these alone
  common  only cells that every method of ours has
  own     each method on the cells that it has
Where no method lacks a cell the three are the same, and are made and shown once.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import netCDF4
import numpy as np

from heldout import EVENTS, MIDDLE, SHARED, event, source, utc, write

METHODS = ("persistence", "advection", "steps", "dgmr")
ENSEMBLES = ("steps", "dgmr")
# Nominal minutes, at which events with different steps meet: MRMS has 4, 12, 20 and 32.
NOMINAL = {4: 5, 12: 10, 32: 30}
SPECTRUM_AT, SHORTEST = 30, 4  # minutes; cells


def anchors():
    """{(event, minutes): (persistence, advection, STEPS)} of pysteps."""
    found, name = {}, None
    with open(f"{SHARED}/bench/nowcast_anchors.md", encoding="utf-8") as f:
        for line in f:
            cells = [c.strip() for c in line.strip().strip("|").split("|")]
            if len(cells) != 5 or not cells[1].isdigit():
                continue
            name = cells[0].split()[0] if cells[0] else name
            found[name, int(cells[1])] = tuple(float(c) for c in cells[2:])
    return found


def outdated(path, *sources):
    """The file is not there, or older than what it is made from."""
    return not os.path.exists(path) or os.path.getmtime(path) <= max(os.path.getmtime(s) for s in sources)


def run(o, *command):
    subprocess.run([o.gen, *command, "-q", "--force"], check=True, stdout=subprocess.DEVNULL)


def forecast(o, method, obs, at, minutes, path):
    members = str(o.members if method in ENSEMBLES else 1)
    model = ["-m", o.model] if method == "dgmr" else []
    if outdated(path, o.gen, obs, *model[1:]):
        run(o, "nowcast", obs, "--at", at, "--method", method, *model, "--members", members, "--seed", str(o.seed),
            "--lead", str(minutes), "-t", str(o.threads), "--encoding", "float", "-o", path)
    return path


def filled(path, step):
    """The forecast with no rain where it is missing: the name of its file."""
    to = path.replace(".nc", "_filled.nc")
    if outdated(to, path):
        with netCDF4.Dataset(path) as d:
            rain = np.ma.filled(d["rain_rate"][:].astype("f4"), np.nan)
            rain = rain if rain.ndim == 4 else rain[None]
            times = d["time"][:].astype("i8")
            write(to, np.nan_to_num(rain), times, d["y"][:], d["x"][:], d["x"].units, times[0] - step)
    return to


def scored(o, path, files, obs, *options):
    if outdated(path, o.gen, *files):
        run(o, "metrics", "nowcast", "--obs", obs, *files, *MIDDLE, "--windows", "16", "--pools", "4",
            "--thresholds", "1", "--seed", str(o.seed), "--json", *options, "-o", path)
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def evaluate(o, name, y, x, every, starts, shown):
    """All scores of an event: {"lead_minutes", "observed": cells by lead, "filled"|"common"|"own": {method: report},
    "complete": no method leaves an observed cell missing, and so the three are the same}."""
    rain, times, ys, xs, units = event(name, y, x, every)
    step = int(times[1] - times[0])
    obs = os.path.join(o.work, f"{name}.nc")
    if outdated(obs, source(name)):
        write(obs, rain, times, ys, xs, units)
    stem = {m: os.path.join(o.work, f"{name}_{m}") for m in METHODS}
    files = {m: [forecast(o, m, obs, utc(times[s]), step * max(shown) // 60, f"{stem[m]}_{s}.nc") for s in starts]
             for m in METHODS}
    own = {m: scored(o, f"{stem[m]}_own.json", files[m], obs) for m in METHODS}
    result = {"lead_minutes": own["dgmr"]["lead_minutes"], "own": {m: own[m]["forecast"] for m in METHODS}}

    def scored_filled(m):
        return scored(o, f"{stem[m]}_filled.json", [filled(f, step) for f in files[m]], obs)["forecast"]

    result["observed"] = scored_filled("persistence")["cells"]
    if all(r["cells"] == result["observed"] for r in result["own"].values()):
        return result | {"filled": result["own"], "common": result["own"], "complete": True}
    together = scored(o, f"{stem['dgmr']}_common.json", files["dgmr"], obs, "--baselines", "--steps", str(o.members))
    return result | {"filled": {m: scored_filled(m) for m in METHODS}, "complete": False,
                     "common": {m: together["forecast" if m == "dgmr" else m] for m in METHODS}}


def spectrum_ratio(report, i):
    """Members over observation by octaves of wavelength, from the longest to SHORTEST cells, and at its extremes."""
    psd = report["psd"]
    length = np.array([np.inf if w is None else w for w in psd["wavelength_cells"]])
    members, observed = (np.array(psd[k][i], float) for k in ("members", "observed"))
    octaves = []
    longest = 128
    while longest > SHORTEST:
        at = (length <= longest) & (length > longest / 2) | (length == SHORTEST) & (longest == 2 * SHORTEST)
        octaves.append((longest, longest // 2, members[at].mean() / observed[at].mean()))
        longest //= 2
    at = np.isfinite(length) & (length >= SHORTEST)
    each = members[at] / observed[at]
    return octaves, each.min(), each.max()


def rows_of(result, shown, step):
    """(index of the lead, minutes, nominal minutes) of the leads shown."""
    return [(lead - 1, lead * step, NOMINAL.get(lead * step, lead * step)) for lead in shown]


class Table:
    """Rows of text, printed in columns or as markdown."""

    def __init__(self, title, *head):
        self.title, self.head, self.rows = title, head, []

    def add(self, *row):
        self.rows.append([c if isinstance(c, str) else "-" if c is None else f"{c:.3f}" for c in row])

    def text(self):
        wide = [max(len(r[i]) for r in [self.head, *self.rows]) for i in range(len(self.head))]
        lines = ["  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, wide)))
                 for r in [self.head, *self.rows]]
        return "\n".join([self.title, "", *lines])

    def markdown(self):
        lines = ["| " + " | ".join(r) + " |" for r in [self.head, ["---"] * len(self.head), *self.rows]]
        return "\n".join([self.title, "", *lines])


def short(name):
    return name.split("_")[0]


def crps_table(results, pysteps, way):
    head = ["event", "+min", "persistence", "advection", "STEPS", "DGMR"]
    title = {"filled": "CRPS, mm/h, over the middle cells; what a method leaves missing counts as no rain.",
             "common": "CRPS, mm/h, over the cells that all of our methods have.",
             "own": "CRPS, mm/h, of each method over the cells that it has."}[way]
    if way == "filled":
        head += ["advection, pysteps", "STEPS, pysteps"]
    t, means = Table(title, *head), {}
    for name, (result, shown, step) in results.items():
        for i, minutes, nominal in rows_of(result, shown, step):
            row = [result[way][m]["crps"][i] for m in METHODS]
            if way == "filled":
                row += pysteps[name, minutes][1:]
            t.add(short(name), str(minutes), *row)
            means.setdefault(nominal, []).append(row)
    for nominal, rows in sorted(means.items()) if way == "filled" else ():
        among = "mean" if len(rows) == len(results) else f"mean of {len(rows)}"
        t.add(among, str(nominal), *np.mean(rows, 0))
    return t


def missing_table(results):
    t = Table("Share of the observed cells that a method leaves missing, %.", "event", "+min", *METHODS[:2], "STEPS",
              "DGMR")
    for name, (result, shown, step) in results.items():
        for i, minutes, _ in rows_of(result, shown, step):
            t.add(short(name), str(minutes),
                  *(f"{100 * (1 - result['own'][m]['cells'][i] / result['observed'][i]):.2f}" for m in METHODS))
    return t


def ensemble_table(results):
    t = Table("Ensembles, each on the cells that it has: spread/skill (1 is right), bias of the mean and mean of the "
              "observation in mm/h.",
              "event", "+min", "spread/skill, DGMR", "STEPS", "bias, DGMR", "STEPS", "observed")
    for name, (result, shown, step) in results.items():
        for i, minutes, _ in rows_of(result, shown, step):
            a, b = result["own"]["dgmr"], result["own"]["steps"]
            t.add(short(name), str(minutes), f"{a['spread_skill'][i]:.2f}", f"{b['spread_skill'][i]:.2f}",
                  a["bias"][i], b["bias"][i], a["observed_mean"][i])
    return t


def spectrum_table(results):
    t = Table(f"Spectrum of members over that of the observation at {SPECTRUM_AT} min, by wavelength in cells (1 is "
              f"right), and the extremes of single rings down to {SHORTEST} cells.",
              "event", "method", "128-64", "64-32", "32-16", "16-8", "8-4", "least", "most")
    for name, (result, shown, step) in results.items():
        for i, _, nominal in rows_of(result, shown, step):
            if nominal != SPECTRUM_AT:
                continue
            for m in ENSEMBLES:
                octaves, least, most = spectrum_ratio(result["common"][m], i)
                t.add(short(name), {"steps": "STEPS", "dgmr": "DGMR"}[m], *(f"{r:.2f}" for _, _, r in octaves),
                      f"{least:.2f}", f"{most:.2f}")
    return t


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    a.add_argument("build")
    a.add_argument("--model", required=True)
    a.add_argument("--members", type=int, default=20)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--threads", type=int, default=0)
    a.add_argument("--markdown", help="also write the tables to this file, as markdown")
    a.add_argument("--work", help="keep forecasts and scores here; made again is what is older than gen or model")
    a.add_argument("--json", help="also write every score to this file")
    o = a.parse_args()
    o.gen = os.path.join(o.build, "gen")
    for path in (o.gen, o.model, SHARED):
        if not os.path.exists(path):
            sys.exit(f"nowcast_table.py: '{path}' is not there")
    results, pysteps = {}, anchors()
    with tempfile.TemporaryDirectory() as tmp:
        o.work = o.work or tmp
        os.makedirs(o.work, exist_ok=True)
        for name, y, x, every, starts, shown in EVENTS:
            result = evaluate(o, name, y, x, every, starts, shown)
            results[name] = (result, shown, round(result["lead_minutes"][0]))
    tables = [crps_table(results, pysteps, "filled"), ensemble_table(results), spectrum_table(results),
              missing_table(results)]
    lacking = {name: r for name, r in results.items() if not r[0]["complete"]}
    tables += [crps_table(lacking, pysteps, way) for way in ("common", "own") if lacking]
    note = (f"{o.members} members, seed {o.seed}; mean of 3 issue times; input: a crop of 256 x 256 cells, scored: "
            "its middle 128 x 128; rates up to 128 mm/h.\n'pysteps': version 1.21.5, numbers of "
            "../shared/bench/nowcast_anchors.md, not made again. MRMS is a frame each 4 min: its 4, 12 and 32 min "
            "enter the means as 5, 10 and 30.")
    print("\n\n".join([note, *(t.text() for t in tables)]))
    if o.markdown:
        with open(o.markdown, "w", encoding="utf-8") as f:
            f.write("\n\n".join([note, *(t.markdown() for t in tables)]) + "\n")
    if o.json:
        with open(o.json, "w", encoding="utf-8") as f:
            json.dump({name: r[0] for name, r in results.items()}, f)


if __name__ == "__main__":
    sys.exit(main())
