# SPDX-License-Identifier: Apache-2.0
"""Pictures of a nowcast model on held-out events of ../shared whose data are openly licensed: what was observed, two
members, their mean, and the probability of 1 mm/h.

    python tests/bench/nowcast_cases.py build --model weather/models/nowcast.safetensors --out FOLDER

`gen nowcast` makes the forecasts from the crops of heldout.py, `gen radar plot` the maps: FOLDER/CASE.png and
FOLDER/CASE_probability.png. Needs netCDF4, NumPy and GEN_SHARED.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import netCDF4
import numpy as np

from heldout import EVENTS, SIDE, source, utc

# name of the picture, event, frame of the issue time among every n-th, minutes ahead
CASES = [("fmi_11utc", "fmi_20170509", 3, (10, 30, 60)),
         ("fmi_13utc", "fmi_20170509", 27, (10, 30, 60)),
         ("mrms", "mrms_20190610_southeast", 3, (12, 28, 48))]
CREDIT = {"fmi": "FMI, CC BY 4.0", "mrms": "NOAA/NSSL MRMS"}
SIZE = 140  # of a map, px: a page stays below 150 kB


def copy(path, to, frames, rain=None, y=0, x=0):
    """A file with these frames of the crop at y, x, and all that places them; with rain [time,y,x], that is in it."""
    at = {"time": frames, "y": slice(y, y + SIDE), "x": slice(x, x + SIDE)}
    with netCDF4.Dataset(path) as a, netCDF4.Dataset(to, "w") as b:
        a.set_auto_maskandscale(False)
        for name, v in a.variables.items():
            if rain is not None and "forecast" in name:
                continue
            values = v[tuple(at.get(d, slice(None)) for d in v.dimensions)] if v.dimensions else v[...]
            dimensions = v.dimensions
            if rain is not None and name == "rain_rate":
                values, dimensions = rain, ("time", "y", "x")
            for d, n in zip(dimensions, np.shape(values)):
                if d not in b.dimensions:
                    b.createDimension(d, n)
            own = {k: v.getncattr(k) for k in v.ncattrs()}
            w = b.createVariable(name, values.dtype, dimensions, fill_value=own.pop("_FillValue", None))
            w.setncatts(own)
            w.set_auto_maskandscale(False)
            w[...] = values


def gen(o, *command):
    subprocess.run([os.path.join(o.build, "gen"), *command, "-q", "--force"], check=True)


def draw(o, work, name, event, start, minutes):
    _, y, x, every, _, _ = next(e for e in EVENTS if e[0] == event)
    path, forecast, chosen = (os.path.join(work, name + end) for end in ("_obs.nc", "_all.nc", ".nc"))
    with netCDF4.Dataset(source(event)) as d:
        times = d["time"][::every].astype("i8")
    copy(source(event), path, slice(None, None, every), y=y, x=x)
    lead = [int(60 * m // (times[1] - times[0])) - 1 for m in minutes]
    gen(o, "nowcast", path, "--at", utc(times[start]), "--method", o.method,
        *(["-m", o.model] if o.method == "dgmr" else []), "--members", str(o.members), "--seed", str(o.seed),
        "--lead", str(max(minutes)), "-t", str(o.threads), "--encoding", "float", "-o", forecast)
    copy(forecast, chosen, lead)
    with netCDF4.Dataset(forecast) as d:
        members = np.ma.filled(d["rain_rate"][:].astype("f4"), np.nan)
    rows = {"observed": None, "member 1": members[0], "member 2": members[1], "mean": members.mean(0)}
    maps = []
    for what, rain in rows.items():
        for i, m in zip(lead, minutes):
            one = os.path.join(work, f"{name}_{what}_{m}.nc".replace(" ", "_"))
            copy(path, one, [start + 1 + i]) if rain is None else copy(forecast, one, [i], rain[i:i + 1])
            maps += [one, "--label", f"{what}, +{m} min"]
    when = utc(times[start])[:16].replace("T", " ")
    credit = CREDIT[event.split("_", maxsplit=1)[0]]
    page = ["--columns", str(len(minutes)), "--size", str(SIZE), "--title"]
    gen(o, "radar", "plot", "--each", *maps, *page, f"Rain, forecast from {when} UTC. Data: {credit}",
        "-o", os.path.join(o.out, f"{name}.png"))
    gen(o, "radar", "plot", chosen, "--over", "1", *page, f"Probability of 1 mm/h or more, of {o.members} members",
        "-o", os.path.join(o.out, f"{name}_probability.png"))


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    a.add_argument("build")
    a.add_argument("--model", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--method", default="dgmr")
    a.add_argument("--members", type=int, default=20)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--threads", type=int, default=0)
    a.add_argument("--case", help="only this one")
    o = a.parse_args()
    os.makedirs(o.out, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        for case in CASES:
            if o.case in (None, case[0]):
                draw(o, work, *case)


if __name__ == "__main__":
    sys.exit(main())
