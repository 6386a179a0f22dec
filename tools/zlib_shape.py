"""Measure what streaming deflate costs per packet and per byte, by compression level.

The input is a pcap stream of the packets that the Linux kernel's pktgen sends: a 16-byte record
header, then Ethernet, IPv4 and UDP headers that change only in the IP identification and checksum,
pktgen's magic, a sequence number, a timestamp, and zeros up to the frame size. Packets leave 1 us
apart and are stamped by the capture 10 to 19 us later, at random (seeded). One deflate stream stays
open (Z_NO_FLUSH) and is fed blocks of 8 KiB, as zlib's own gzwrite does for small writes.

Two tables come out, both with times in seconds of CPU time:

``measurements.csv``
    level, size: median and quartile spread of the time per packet and per byte fed, and of the
    ratio to level 1 in the same round.
``fit.csv``
    level: time per packet = per_packet + per_byte * size, over the frame sizes.

Run ``python tools/zlib_shape.py`` on a quiet machine; it takes about a minute.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import io
import json
import os
import platform
import time
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

LEVELS = tuple(range(10))
SIZES = (64, 256, 512)
FCS = 4
RECORD_HEADER = 16
BLOCK = 8192
WARM_UP = 256 * 1024
PACKET_INTERVAL_US = 1
QUARTILES_TO_STD = 1.349
MEDIAN_EFFICIENCY = 1.2533

Floats = npt.NDArray[np.float64]


def records(size: int, count: int, first: int) -> bytes:
    """Pcap records of `count` pktgen frames of `size` bytes on the wire, from number `first` on."""
    caplen = size - FCS
    number = np.arange(first, first + count, dtype=np.int64)
    microseconds = 1_600_000_000_000_000 + number * PACKET_INTERVAL_US
    seconds, fraction = np.divmod(microseconds, 1_000_000)
    out = np.zeros((count, RECORD_HEADER + caplen), dtype=np.uint8)

    def put(offset: int, values: npt.ArrayLike, kind: str) -> None:
        column = np.broadcast_to(np.asarray(values), (count,)).astype(kind)
        width = column.dtype.itemsize
        out[:, offset : offset + width] = column.view(np.uint8).reshape(count, width)

    lag = np.random.default_rng(first).integers(10, 20, size=count)
    stamp_seconds, stamp_fraction = np.divmod(microseconds + lag, 1_000_000)
    put(0, stamp_seconds, "<u4")
    put(4, stamp_fraction, "<u4")
    put(8, caplen, "<u4")
    put(12, caplen, "<u4")
    frame = RECORD_HEADER
    out[:, frame : frame + 12] = np.frombuffer(
        bytes.fromhex("001b21aabbcc001b21ddeeff"), dtype=np.uint8
    )
    put(frame + 12, 0x0800, ">u2")
    ip = frame + 14
    total_length = caplen - 14
    identification = number & 0xFFFF
    words = (0x4500, total_length, 0x0000, 0x2011, 0x0A00, 0x0001, 0x0A00, 0x0002)
    checksum = sum(words) + identification
    checksum = (checksum & 0xFFFF) + (checksum >> 16)
    checksum = ~((checksum & 0xFFFF) + (checksum >> 16)) & 0xFFFF
    put(ip, words[0], ">u2")
    put(ip + 2, total_length, ">u2")
    put(ip + 4, identification, ">u2")
    put(ip + 8, words[3], ">u2")
    put(ip + 10, checksum, ">u2")
    put(ip + 12, 0x0A000001, ">u4")
    put(ip + 16, 0x0A000002, ">u4")
    udp = ip + 20
    put(udp, 9, ">u2")
    put(udp + 2, 9, ">u2")
    put(udp + 4, total_length - 20, ">u2")
    put(udp + 8, 0xBE9BE955, ">u4")
    put(udp + 12, number & 0xFFFFFFFF, ">u4")
    put(udp + 16, seconds, ">u4")
    put(udp + 20, fraction, ">u4")
    return out.tobytes()


def compression_time(data: bytes, level: int) -> float:
    """CPU time [s] to deflate what follows the warm-up in `data`, the stream left open."""
    deflate = zlib.compressobj(level, zlib.DEFLATED, 31)
    deflate.compress(data[:WARM_UP])
    blocks = [data[start : start + BLOCK] for start in range(WARM_UP, len(data), BLOCK)]
    begin = time.thread_time()
    for block in blocks:
        deflate.compress(block)
    return time.thread_time() - begin


def measure(repeats: int, amount: int) -> Floats:
    """Time per packet [s], shape (repeats, sizes, levels); levels alternate within a round."""
    times = np.empty((repeats, len(SIZES), len(LEVELS)))
    for repeat in range(repeats):
        for i, size in enumerate(SIZES):
            length = size - FCS + RECORD_HEADER
            count = -(-(amount + WARM_UP) // length)
            data = records(size, count, first=1 + repeat * count)
            timed_packets = (len(data) - WARM_UP) / length
            for j, level in enumerate(LEVELS):
                times[repeat, i, j] = compression_time(data, level) / timed_packets
    return times


def spread(values: Floats) -> tuple[Floats, Floats]:
    """Median and interquartile range over the rounds."""
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
    return median, high - low


def fit_line(per_packet: Floats, error: Floats) -> tuple[Floats, Floats, float]:
    """Fixed part and slope over frame size, their standard errors, and the largest misfit.

    Least squares of the relative residuals, because the line is the model's simplification and
    misses by more than the noise of the clock. Scatter about the line and `error` both count.
    """
    size = np.asarray(SIZES, dtype=float)
    design = np.column_stack((np.ones_like(size), size)) / per_packet[:, None]
    solve = np.linalg.pinv(design)
    coefficients = solve @ np.ones_like(size)
    residual = 1.0 - design @ coefficients
    scatter = float(residual @ residual) / (len(size) - 2)
    variance = scatter * np.sum(solve**2, axis=1) + solve**2 @ (error / per_packet) ** 2
    return coefficients, np.sqrt(variance), float(np.max(np.abs(residual)))


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def table(header: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """Comma-separated text; floats to four significant digits."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([f"{x:.4g}" if isinstance(x, float) else x for x in row])
    return out.getvalue()


def cpu_model() -> str:
    """Name of the processor as the kernel reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")


def meta(repeats: int, amount: int, load: float) -> str:
    """What a reader needs in order to judge the two tables, as TOML."""
    entries = {
        "title": "Cost of streaming deflate by level, for pcap records of pktgen frames",
        "source": "capmodel",
        "locator": "tools/zlib_shape.py",
        "role": "calibration",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": cpu_model(),
        "kernel": f"{platform.system()} {platform.release()}",
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "python": platform.python_version(),
        "load_average": round(load, 2),
        "rounds": repeats,
        "bytes_per_round": amount,
        "method": (
            "CPU time of the compressing thread; one gzip stream per level and size stays open "
            f"without flushes and is fed {BLOCK}-byte blocks after {WARM_UP} bytes of warm-up; "
            "every round runs all levels on the same bytes, so ratios to level 1 are paired; "
            "frame sizes count the 4-byte checksum, which a capture does not hold, and each "
            "record adds the 16-byte pcap header with a stamp 10 to 19 us after the sender's, so a "
            "packet feeds size + 12 bytes; writing the compressed bytes is not timed; the call "
            "from Python and its output buffer, once per block, are, which matters at level 0."
        ),
        "error": (
            "measurements.csv: interquartile range over the rounds. fit.csv: standard error of a "
            "least-squares line through the three frame sizes with equal relative weights, from "
            "the scatter about the line (one degree of freedom) and the standard error of each "
            "median (1.2533 IQR / 1.349 / sqrt(rounds)), added in quadrature; where misfit, the "
            "largest relative residual, is large the cost is not a line in size and the table "
            "by size is the one to use. One machine: absolute times do not carry over to another."
        ),
    }
    columns = {
        "level": "[-] zlib level",
        "size": "[B] frame size on the wire, checksum included",
        "time_per_packet": "[s] CPU time per packet, median",
        "time_per_packet_iqr": "[s] its interquartile range",
        "time_per_byte": "[s/B] CPU time per byte fed to deflate (size + 12 per packet), median",
        "time_per_byte_iqr": "[s/B] its interquartile range",
        "shape": "[-] time over the time of level 1 in the same round, median",
        "shape_iqr": "[-] its interquartile range",
        "compressed": "[-] bytes out over bytes in",
        "per_packet": "[s] fixed part of the time per packet, record header and headers included",
        "per_packet_error": "[s] its standard error",
        "per_byte": "[s/B] time per further byte of frame, which is zero padding here",
        "per_byte_error": "[s/B] its standard error",
        "misfit": "[-] largest relative distance of a point from the line",
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in entries.items()]
    lines += ["", "[columns]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in columns.items()]
    return "\n".join(lines) + "\n"


def compressed_share(size: int, level: int, amount: int) -> float:
    """Bytes out over bytes in."""
    data = records(size, amount // (size - FCS + RECORD_HEADER), first=1)
    deflate = zlib.compressobj(level, zlib.DEFLATED, 31)
    return len(deflate.compress(data) + deflate.flush()) / len(data)


def main() -> None:
    """Measure, print the fit, write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = Path(__file__).resolve().parents[1] / "data" / "lab" / "zlib_shape"
    parser.add_argument("--out", type=Path, default=default, help="folder of the tables")
    parser.add_argument("--repeats", type=int, default=21, help="rounds (default 21)")
    parser.add_argument("--amount", type=int, default=4 << 20, help="bytes per round and level")
    arguments = parser.parse_args()

    load = os.getloadavg()[0]
    times = measure(arguments.repeats, arguments.amount)
    fed = np.asarray(SIZES, dtype=float) - FCS + RECORD_HEADER
    per_packet, per_packet_iqr = spread(times)
    shape, shape_iqr = spread(times / times[:, :, [1]])
    rows: list[tuple[object, ...]] = []
    fits: list[tuple[object, ...]] = []
    for j, level in enumerate(LEVELS):
        rows += [
            (
                level,
                size,
                float(per_packet[i, j]),
                float(per_packet_iqr[i, j]),
                float(per_packet[i, j] / fed[i]),
                float(per_packet_iqr[i, j] / fed[i]),
                float(shape[i, j]),
                float(shape_iqr[i, j]),
                compressed_share(size, level, arguments.amount),
            )
            for i, size in enumerate(SIZES)
        ]
        error = per_packet_iqr[:, j] / QUARTILES_TO_STD
        error *= MEDIAN_EFFICIENCY / np.sqrt(arguments.repeats)
        (fixed, slope), (fixed_error, slope_error), misfit = fit_line(per_packet[:, j], error)
        fits.append(
            (
                level,
                float(fixed),
                float(fixed_error),
                float(slope),
                float(slope_error),
                misfit,
            )
        )
    measurements = table(
        (
            "level",
            "size",
            "time_per_packet",
            "time_per_packet_iqr",
            "time_per_byte",
            "time_per_byte_iqr",
            "shape",
            "shape_iqr",
            "compressed",
        ),
        rows,
    )
    fit = table(
        ("level", "per_packet", "per_packet_error", "per_byte", "per_byte_error", "misfit"), fits
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_atomically(arguments.out / "measurements.csv", measurements)
    write_atomically(arguments.out / "fit.csv", fit)
    write_atomically(arguments.out / "meta.toml", meta(arguments.repeats, arguments.amount, load))
    print(measurements, fit, sep="\n")


if __name__ == "__main__":
    main()
