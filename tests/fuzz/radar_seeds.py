# SPDX-License-Identifier: Apache-2.0
"""Seeds of the fuzz targets grib and geotiff, byte by byte:

    python3 tests/fuzz/radar_seeds.py

writes tests/fuzz/corpus/grib and tests/fuzz/corpus/geotiff. Python's own library only.
"""
import os
import struct
import zlib

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def save(folder, name, data):
    os.makedirs(os.path.join(HERE, folder), exist_ok=True)
    with open(os.path.join(HERE, folder, name), "wb") as f:
        f.write(data)


# ---- GRIB ---------------------------------------------------------------------------------------
W, H = 12, 7


def section(number, body):
    return struct.pack(">IB", len(body) + 5, number) + body


def identification():
    return section(1, struct.pack(">HHBBBHBBBBBBB", 161, 0, 4, 0, 3, 2019, 6, 10, 0, 5, 0, 2, 7))


def earth(code):
    return struct.pack(">BBIBIBI", code, 0, 0, 0, 0, 0, 0)


def grid(template, body, shape=6):
    head = struct.pack(">BIBBH", 0, W * H, 0, 0, template) + earth(shape)
    return section(3, head + struct.pack(">II", W, H) + body)


def lat_lon():
    return grid(0, struct.pack(">IIIIBIIIIB", 0, 0, 54995000, 230005000, 0x30,
                               54995000 - 10000 * (H - 1), 230005000 + 10000 * (W - 1),
                               10000, 10000, 0), 2)


def lambert():
    return grid(30, struct.pack(">IIBIIIIBBIIII", 21138000, 237280000, 8, 38500000, 262500000,
                                3000000, 3000000, 0, 0x40, 38500000, 38500000, 0, 0))


def stereographic():
    return grid(20, struct.pack(">IIBIIIIBB", 58000000, 340000000, 8, 60000000, 10000000,
                                1000000, 1000000, 0, 0x40))


def product(category, number):
    return section(4, struct.pack(">HHBBBBBHBBIBBIBBI", 0, 0, category, number, 8, 0, 97, 0, 0, 0,
                                  0, 102, 0, 0, 255, 0, 0))


def depth():
    head = struct.pack(">HHBBBBBHBBIBBIBBI", 0, 8, 1, 8, 8, 0, 97, 0, 0, 1, 0, 1, 0, 0, 255, 0, 0)
    return section(4, head + struct.pack(">HBBBBBBIBBBIBI", 2019, 6, 10, 1, 5, 0, 1, 0, 1, 2, 1, 1,
                                         255, 0))


def packing(template, bits, n, more=b""):
    return section(5, struct.pack(">IHfhhB", n, template, -3.0, 0, 1, bits) + b"\0" + more)


def png(bits):
    def chunk(name, body):
        return (struct.pack(">I", len(body)) + name + body
                + struct.pack(">I", zlib.crc32(name + body)))
    rows = b"".join(b"\0" + b"".join(
        (j * W + i).to_bytes(bits // 8, "big") for i in range(W)) for j in range(H))
    kind = {8: (8, 0), 16: (16, 0), 24: (8, 2), 32: (8, 6)}[bits]
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, *kind, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


NO_BITMAP = section(6, b"\xff")
BITMAP = section(6, b"\0" + b"\xaa" * ((W * H + 7) // 8))


def message(discipline, *sections):
    body = identification() + b"".join(sections)
    head = b"GRIB\0\0" + bytes([discipline, 2]) + struct.pack(">Q", len(body) + 20)
    return head + body + b"7777"


def grib():
    n = W * H
    plain = section(7, bytes(i % 200 for i in range(n)))
    for bits in (8, 16, 24, 32):
        save("grib", f"png{bits}.grib2",
             message(209, lat_lon(), product(6, 1), packing(41, bits, n), NO_BITMAP,
                     section(7, png(bits))))
    save("grib", "png_bitmap.grib2",
         message(209, lat_lon(), product(10, 0), packing(41, 8, n), BITMAP, section(7, png(8))))
    save("grib", "simple_lambert.grib2",
         message(0, lambert(), product(1, 7), packing(0, 8, n), NO_BITMAP, plain))
    save("grib", "depth_stereographic.grib2",
         message(0, stereographic(), depth(), packing(0, 8, n), NO_BITMAP, plain))
    groups = struct.pack(">BBBIIIBBIBIB", 0, 1, 0, 0, 0, H, 4, 0, W, 1, W, 0)  # one a row, 4 bits a value
    for name, template, order, more in (("complex", 2, b"", b""), ("complex_differences", 3, b"\1\1", b"\5\0")):
        save("grib", name + ".grib2",
             message(0, lambert(), product(1, 7), section(5, struct.pack(">IHfhhB", n, template, 0.0, 0, 1, 8) + groups
                                                          + order), NO_BITMAP,
                     section(7, more + bytes(range(H)) + bytes(i * 37 % 256 for i in range(n // 2)))))
    save("grib", "constant.grib2",
         message(0, lat_lon(), product(1, 8), packing(0, 0, n), NO_BITMAP, section(7, b"")))
    two = message(209, lat_lon(), product(6, 1), packing(41, 8, n), NO_BITMAP, section(7, png(8)))
    save("grib", "two.grib2", two + b"\r\r\n" + two)


# ---- GeoTIFF --------------------------------------------------------------------------------------
SHORT, LONG, ASCII, DOUBLE = 3, 4, 2, 12
FORMAT = {SHORT: "H", LONG: "I", DOUBLE: "d"}
FMI = ("<GDALMetadata>\n<Item name=\"Observation time\" format=\"YYYYMMDDhhmm\">201609281445</Item>\n"
       "<Item name=\"Quantity\" unit=\"dBZ\">Corrected reflectivity</Item>\n<Item name=\"Gain\">0.5</Item>\n"
       "<Item name=\"Offset\">-32</Item>\n<Item name=\"Nodata\">255</Item>\n<Item name=\"Undetect\">0</Item>\n"
       "</GDALMetadata>\n")
GDAL = ("<GDALMetadata>\n  <Item name=\"SCALE\" sample=\"0\" role=\"scale\">0.01</Item>\n"
        "  <Item name=\"UNITTYPE\" sample=\"0\" role=\"unittype\">mm/h</Item>\n</GDALMetadata>\n")


def escape(text):
    for c, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(c, name)
    return text


def tiff(order, tags, blocks):
    """One directory behind the blocks; tags: {number: (type, values)}."""
    tags = dict(tags)
    start = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 0)
    data, places = b"", []
    for block in blocks:
        places.append(len(start) + len(data))
        data += block + b"\0" * (len(block) % 2)
    tiled = 322 in tags
    tags[324 if tiled else 273] = (LONG, places)
    tags[325 if tiled else 279] = (LONG, [len(b) for b in blocks])
    at = len(start) + len(data)
    more_at = at + 2 + 12 * len(tags) + 4
    directory, more = struct.pack(order + "H", len(tags)), b""
    for number in sorted(tags):
        kind, values = tags[number]
        raw = values if kind == ASCII else struct.pack(order + str(len(values)) + FORMAT[kind], *values)
        directory += struct.pack(order + "HHI", number, kind, len(values))
        if len(raw) <= 4:
            directory += raw.ljust(4, b"\0")
        else:
            directory += struct.pack(order + "I", more_at + len(more))
            more += raw + b"\0" * (len(raw) % 2)
    head = start[:4] + struct.pack(order + "I", at)
    return head + data + directory + struct.pack(order + "I", 0) + more


def picture(bits, kind, compression):
    return {256: (SHORT, [W]), 257: (SHORT, [H]), 258: (SHORT, [bits]), 259: (SHORT, [compression]),
            262: (SHORT, [1]), 277: (SHORT, [1]), 339: (SHORT, [kind]), 33550: (DOUBLE, [1000.0, 1000.0, 0.0]),
            33922: (DOUBLE, [0.0, 0.0, 0.0, 400000.0, 6800000.0, 0.0])}


def keys(*entries):
    return SHORT, [1, 1, 0, len(entries)] + [v for e in entries for v in e]


def geotiff():
    utm = keys((1024, 0, 1, 1), (1025, 0, 1, 1), (3072, 0, 1, 3067), (3076, 0, 1, 9001))
    lambert = keys((1024, 0, 1, 1), (1025, 0, 1, 2), (2048, 0, 1, 32767), (2050, 0, 1, 32767), (2056, 0, 1, 32767),
                   (2057, 34736, 1, 0), (2058, 34736, 1, 0), (3072, 0, 1, 32767), (3074, 0, 1, 32767), (3075, 0, 1, 8),
                   (3076, 0, 1, 9001), (3078, 34736, 1, 1), (3079, 34736, 1, 1), (3084, 34736, 1, 2),
                   (3085, 34736, 1, 1), (3086, 34736, 1, 3), (3087, 34736, 1, 3))
    tile = bytes(i % 256 for i in range(256))
    tiled = picture(8, 1, 8)
    tiled.update({322: (SHORT, [16]), 323: (SHORT, [16]), 34735: utm,
                  42112: (ASCII, ("<GDALMetadata>\n  <Item name=\"GDAL_METADATA\">" + escape(escape(FMI))
                                  + "</Item>\n</GDALMetadata>\n").encode() + b"\0")})
    save("geotiff", "fmi.tif", tiff("<", tiled, [zlib.compress(tile)]))
    strips = picture(16, 1, 1)
    strips.update({278: (SHORT, [3]), 34735: utm, 306: (ASCII, b"2016:09:28 14:45:00\0"), 42113: (ASCII, b"65535\0"),
                   42112: (ASCII, GDAL.encode() + b"\0")})
    rows = [struct.pack(">%dH" % (W * n), *range(W * n)) for n in (3, 3, 1)]
    save("geotiff", "strips.tif", tiff(">", strips, rows))
    floats = picture(32, 3, 1)
    floats.update({278: (SHORT, [H]), 34735: lambert, 34736: (DOUBLE, [6371229.0, 38.5, -97.5, 0.0]),
                   42113: (ASCII, b"nan\0")})
    save("geotiff", "lambert.tif", tiff("<", floats, [struct.pack("<%df" % (W * H), *(i / 8 for i in range(W * H)))]))
    packed = picture(8, 1, 32773)
    packed.update({278: (SHORT, [H]), 34735: keys((1024, 0, 1, 2), (1025, 0, 1, 1), (2048, 0, 1, 4326))})
    packed[33550] = (DOUBLE, [0.01, 0.01, 0.0])
    packed[33922] = (DOUBLE, [0.0, 0.0, 0.0, -130.0, 55.0, 0.0])
    save("geotiff", "packbits.tif", tiff("<", packed, [bytes([257 - W, 7]) * H]))


if __name__ == "__main__":
    grib()
    geotiff()
