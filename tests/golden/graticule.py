#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# Where parallels and meridians lie on maps of some grids, by pyproj (3.7.2): the rows of the table in
# tests/unit/plot.c. On a line: a latitude or a longitude is a multiple of ten (of one on the small
# grid); off: both end in .25. Seed 1.
import random

import pyproj

# proj, left, top, cell, columns, rows, multiple
GRIDS = [
    ("+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378140 +b=6356750 +no_defs", 10e3, -3650e3, 1e3, 640, 700, 1),
    ("+proj=laea +lat_0=55 +lon_0=10 +x_0=1950000 +y_0=-2100000 +ellps=WGS84", 0, 0, 1e4, 380, 440, 10),
    ("+proj=lcc +lat_1=-18 +lat_2=-36 +lat_0=-27 +lon_0=178 +ellps=GRS80", -1.5e6, 1.25e6, 1e4, 300, 250, 10),
    ("+proj=longlat +ellps=WGS84", 170, -5, 0.1, 300, 200, 10),
]
random.seed(1)


def place(grid, lat, lon):
    proj, left, top, cell, columns, rows, _ = grid
    if "longlat" in proj:
        x, y = (lon - left) % 360 + left, lat
    else:
        x, y = pyproj.Proj(proj)(lon, lat)
    return (x - left) / (cell * columns), (top - y) / (cell * rows)


def inside(u, v):
    return 0.03 < u < 0.97 and 0.03 < v < 0.97


for number, grid in enumerate(GRIDS):
    proj, left, top, cell, columns, rows, multiple = grid
    want = {True: 8, False: 8}
    while any(want.values()):
        lat = random.uniform(-89, 89)
        lon = random.uniform(-180, 180)
        on = random.random() < 0.5
        if not on:
            lat, lon = round(lat) + 0.25, round(lon) + 0.25
        elif random.random() < 0.5:
            lat = multiple * round(lat / multiple)
        else:
            lon = multiple * round(lon / multiple)
        u, v = place(grid, lat, lon)
        if want[on] and inside(u, v):
            want[on] -= 1
            print("    { %d, %s, %.5f, %.5f }, /* %.3f %.3f */" % (number, str(on).lower(), u, v, lat, lon))

print("km along the middle row, were all of it as its middle:")
for proj, left, top, cell, columns, rows, _ in GRIDS:
    ends = []
    for u in (0.49, 0.51):
        x, y = left + u * columns * cell, top - 0.5 * rows * cell
        lon, lat = (x, y) if "longlat" in proj else pyproj.Proj(proj)(x, y, inverse=True)
        ends.append((lon, lat))
    geod = pyproj.Geod(ellps="WGS84")
    print("%.2f" % (geod.inv(*ends[0], *ends[1])[2] / 1000 / 0.02))
