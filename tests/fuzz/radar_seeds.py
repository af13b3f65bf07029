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
    save("grib", "constant.grib2",
         message(0, lat_lon(), product(1, 8), packing(0, 0, n), NO_BITMAP, section(7, b"")))
    two = message(209, lat_lon(), product(6, 1), packing(41, 8, n), NO_BITMAP, section(7, png(8)))
    save("grib", "two.grib2", two + b"\r\r\n" + two)


if __name__ == "__main__":
    grib()
