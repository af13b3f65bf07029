# SPDX-License-Identifier: Apache-2.0
"""Map projections by pyproj, for tests/golden/projection.c: points, and the CF grid mapping.

    python tests/golden/projection.py       (pyproj 3.7.2 with PROJ 9.5.1; writes projection.json)

Each case is a PROJ string as radar files have it. `points` are latitude, longitude, x, y by
pyproj in metres (degrees for a rotated pole); `cf` is pyproj's CRS.to_cf(), without the names
of datums, which say nothing about coordinates.

`not_ours` names keys of to_cf() that our writer writes otherwise (a cylinder keeps its scale), "all" where
pyproj finds no mapping or the wrong one (it drops the scale of a cone, and writes the meridian of Paris in
grads).
"""
import json
import math
import os

from pyproj import CRS, Proj, Transformer

HERE = os.path.dirname(os.path.abspath(__file__))
EUROPE = [(52, 5), (48.25, -3.5), (60.5, 19.75), (43, 11)]
SOUTH = [(-37, 144.5), (-35.5, 147), (-41, 143)]
MERC_K = ["standard_parallel"]  # pyproj adds a parallel of 0 beside the scale
CASES = [
    ("+proj=stere +lon_0=25E +lat_0=90N +lat_ts=60 +a=6371288 +x_0=380886.310 +y_0=3395677.920 +no_defs", EUROPE, []),
    ("+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378137 +b=6356752 +x_0=0 +y_0=0", EUROPE, []),
    ("+proj=stere +lat_0=90 +lon_0=10 +k_0=0.93301270189 +R=6370040 +units=km", EUROPE, []),
    ("+proj=stere +lat_0=-90 +lon_0=140 +lat_ts=-71 +ellps=WGS84", SOUTH, []),
    ("+proj=stere +lat_0=52 +lon_0=5 +k_0=0.99 +R=6371000", EUROPE, []),
    ("+proj=lcc +lat_1=50 +lat_0=50 +lon_0=5 +ellps=intl", EUROPE, []),
    ("+proj=lcc +lat_1=49 +lat_2=44 +lat_0=46.5 +lon_0=3 +x_0=700000 +y_0=6600000 +ellps=GRS80", EUROPE, []),
    ("+proj=lcc +lat_1=25 +lat_2=25 +lat_0=25 +lon_0=-95 +R=6371200", [(40, -95), (30, -110)], []),
    ("+proj=laea +lat_0=55.0 +lon_0=10.0 +x_0=1950000.0 +y_0=-2100000.0 +units=m +ellps=WGS84", EUROPE, []),
    ("+proj=cea +lat_ts=30 +lon_0=10 +ellps=WGS84", EUROPE, []),
    ("+proj=cea +lon_0=10 +k_0=0.9 +ellps=WGS84", EUROPE, ["standard_parallel"]),
    ("+proj=merc +lat_ts=30 +lon_0=10 +ellps=WGS84", EUROPE, []),
    ("+proj=merc +k_0=0.9 +lon_0=10 +ellps=WGS84", EUROPE, MERC_K),
    ("+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=0 +x_0=0 +y_0=0 +k=1 +units=m +nadgrids=@null +wktext +no_defs",
     EUROPE, "all"),
    ("+proj=utm +zone=55 +south +datum=WGS84", SOUTH, []),
    ("+proj=tmerc +lat_0=49 +lon_0=-2 +k=0.9996012717 +x_0=400000 +y_0=-100000 +ellps=airy "
     "+towgs84=446.448,-125.157,542.06,0.15,0.247,0.842,-20.489 +units=m", [(52, -1.5), (57, -5)], []),
    ("+proj=aea +lat_1=-18 +lat_2=-36 +lat_0=-37.852 +lon_0=144.752 +ellps=GRS80 +units=m", SOUTH, []),
    ("+proj=aea +lat_1=29.5 +lat_2=45.5 +lat_0=23 +lon_0=-96 +a=6378137 +rf=298.257222101", [(40, -90)], []),
    ("+proj=aeqd +lat_0=52 +lon_0=5 +ellps=WGS84", EUROPE, []),
    ("+proj=ortho +lat_0=52 +lon_0=5 +ellps=WGS84", EUROPE, []),
    ("+proj=omerc +lat_0=4 +lonc=102.25 +alpha=323.0257905 +k_0=0.99984 +x_0=804671 +y_0=0 +ellps=WGS84",
     [(3, 101), (5.5, 103)], []),
    ("+proj=somerc +lon_0=7.43958333333333 +lat_0=46.9524055555556 +k_0=1 +x_0=600000 +y_0=200000 +ellps=bessel "
     "+towgs84=674.374,15.056,405.346,0,0,0,0 +units=m +no_defs", [(46, 7), (47.5, 9), (45.8, 10)], []),
    ("+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +R=6371229", EUROPE, []),
    ("+proj=ob_tran +o_proj=longlat +o_lon_p=-162 +o_lat_p=43 +lon_0=180 +ellps=WGS84 +to_meter=0.0174532925199433",
     EUROPE, []),
    ("+proj=geos +h=35785831 +lon_0=9.5 +sweep=y +ellps=GRS80", EUROPE, []),
    ("+proj=geos +h=35786023 +lon_0=-75 +sweep=x +ellps=GRS80", [(40, -80), (-20, -60)], []),
    ("+proj=sinu +lon_0=5 +R=6371007.181", EUROPE, []),
    ("+proj=nsper +h=3000000 +lat_0=40 +lon_0=10 +R=6371000", EUROPE, []),
    ("+proj=longlat +datum=WGS84", EUROPE, []),
    ("+proj=tmerc +lat_0=0 +lon_0=0 +k_0=0.9996 +pm=paris +ellps=clrk80ign", EUROPE, "all"),
    # CF has no name for these: crs_wkt carries them
    ("+proj=gnom +lat_0=50 +lon_0=5 +R=6371000", EUROPE, []),
    ("+proj=sterea +lat_0=52.1561605555556 +lon_0=5.38763888888889 +k=0.9999079 +x_0=155000 +y_0=463000 +ellps=bessel",
     [(52, 5), (53, 6)], []),
    ("+proj=eqc +lat_ts=50 +lon_0=10 +ellps=WGS84", EUROPE, []),
    ("+proj=lcc +lat_1=50 +lat_0=50 +lon_0=5 +k_0=0.999 +ellps=intl", EUROPE, "all"),
    ("+proj=omerc +lat_0=40 +lonc=10 +alpha=30 +k_0=0.9996 +no_uoff +ellps=WGS84", EUROPE, []),
]


# PROJ 9.1, of Debian 12, does not know the number that PROJ 9.5 gives this method
NEW_IN_WKT = ["+proj=aeqd +lat_0=52 +lon_0=5 +ellps=WGS84"]


def number(v):
    return list(v) if isinstance(v, tuple) else v


def place(text, lat, lon):
    if "+datum=WGS84" in text and "longlat" in text:
        return lon, lat
    if "towgs84" in text:  # latitudes are WGS 84's then
        return Transformer.from_crs("+proj=longlat +datum=WGS84", text, always_xy=True).transform(lon, lat)
    if "ob_tran" in text:  # radians
        return tuple(math.degrees(v) for v in Proj(text.replace("+to_meter=0.0174532925199433", ""))(lon, lat))
    return Proj(text.replace("+units=km", ""))(lon, lat)


def case(text, places, not_ours):
    crs = CRS(text)
    cf = {k: number(v) for k, v in crs.to_cf().items()
          if k != "crs_wkt" and (k == "grid_mapping_name" or not k.endswith("_name"))}
    degrees = "ob_tran" in text or "longlat" in text
    points = [[lat, lon, *place(text, lat, lon)] for lat, lon in places]
    return {"proj": text, "degrees": degrees, "cf": cf, "wkt": crs.to_wkt("WKT2_2019") if text not in NEW_IN_WKT else None,
            "not_ours": not_ours, "points": points}


if __name__ == "__main__":
    import warnings
    warnings.filterwarnings("ignore")
    with open(os.path.join(HERE, "projection.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(case(*c)) for c in CASES) + "\n]\n")
