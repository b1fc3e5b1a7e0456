"""Pictures and players as HTML, without any library for plots: for reports and notebooks."""

from __future__ import annotations

import base64
import io
import struct
import zlib

import numpy as np

from sidlearn import registers
from sidlearn.writes import RegisterFrames

SPECTROGRAM_WINDOW = 2048
SPECTROGRAM_ROWS, WIDTH = 256, 1200
"""Pixels of a spectrogram."""
SPECTROGRAM_RANGE_DB = 80.0
LOWEST_HZ, HIGHEST_HZ = 40.0, 16_000.0
LANE_ROWS = 10
MARKED_HZ = (100, 200, 500, 1_000, 2_000, 5_000, 10_000)
MOST_TICKS = 12
"""Seconds that are written under a picture, at most."""

# Black, the C64's blue, light blue, white: (share of the range, red, green, blue).
_COLOURS = np.array([(0, 0, 0, 0), (0.35, 64, 49, 141), (0.7, 120, 105, 196), (1, 255, 255, 255)], float)


def spectrogram(sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return levels 0 to 1, float ``(rows, columns)``: 80 dB below the loudest to it, low notes at the bottom."""
    window = np.hanning(SPECTROGRAM_WINDOW)
    starts = np.linspace(0, max(len(sound) - 1, 1), min(WIDTH, max(len(sound) // 64, 1))).astype(int)
    padded = np.pad(sound - np.median(sound), SPECTROGRAM_WINDOW // 2)
    spectra = np.empty((SPECTROGRAM_WINDOW // 2 + 1, len(starts)))
    for column, start in enumerate(starts):
        spectra[:, column] = np.abs(np.fft.rfft(padded[start : start + SPECTROGRAM_WINDOW] * window))
    top = min(HIGHEST_HZ, sample_rate / 2)
    bins = np.geomspace(top, LOWEST_HZ, SPECTROGRAM_ROWS) * SPECTROGRAM_WINDOW / sample_rate
    levels = 20 * np.log10(spectra[np.rint(bins).astype(int)] / max(spectra.max(), 1e-12) + 1e-12)
    return stretch(np.clip(1 + levels / SPECTROGRAM_RANGE_DB, 0, 1), SPECTROGRAM_ROWS, WIDTH)


def stretch(levels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return a picture of the wanted size, pixels repeated or left out."""
    if not levels.size:
        return np.zeros((rows, columns))
    y = np.arange(rows) * len(levels) // rows
    x = np.arange(columns) * levels.shape[1] // columns
    return levels[y][:, x]


def scaled(image: str, seconds: float, top_hz: float = 0.0) -> str:
    """Return a picture with seconds under it and, for a spectrogram up to `top_hz`, frequencies on it."""
    marks = []
    if top_hz:
        top = min(HIGHEST_HZ, top_hz)
        for hz in MARKED_HZ:
            if LOWEST_HZ < hz < top:
                below = 100 * np.log(top / hz) / np.log(top / LOWEST_HZ)
                text = f"{hz // 1000} kHz" if hz >= 1_000 else f"{hz} Hz"
                marks.append(f'<span class="hz" style="top:{below:.1f}%">{text}</span>')
    step = tick_step(seconds)
    ticks = "".join(
        f'<span style="left:{100 * n * step / seconds:.2f}%">{n * step:g} s</span>'
        for n in range(int(seconds / step) + 1)
    )
    return f'<div class="scaled"><div>{image}{"".join(marks)}</div><div class="ticks">{ticks}</div></div>'


def tick_step(seconds: float) -> float:
    """Return the round number of seconds from tick to tick: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(max(seconds, 1e-3) / MOST_TICKS))
    return float(next(m * power for m in (1, 2, 5, 10) if seconds / (m * power) <= MOST_TICKS))


def picture(levels: np.ndarray, text: str = "") -> str:
    """Return an <img> of levels 0 to 1 in the colours of the page; `text` is read out instead of it."""
    rgb = np.stack([np.interp(levels, _COLOURS[:, 0], _COLOURS[:, 1 + c]) for c in range(3)], axis=-1).astype(np.uint8)
    data = base64.b64encode(png(rgb)).decode()
    return f'<img src="data:image/png;base64,{data}" width="{levels.shape[1]}" height="{levels.shape[0]}" alt="{text}">'


def png(rgb: np.ndarray) -> bytes:
    """Return a PNG of ``(rows, columns, 3)`` uint8 (PNG specification, 8-bit truecolour, no filter)."""
    rows, columns, _ = rgb.shape
    lines = np.concatenate((np.zeros((rows, 1), np.uint8), rgb.reshape(rows, -1)), axis=1)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    body = zlib.compress(lines.tobytes(), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def player(sound: np.ndarray, sample_rate: int) -> str:
    """Return an <audio> player with the sound in it."""
    import soundfile

    file = io.BytesIO()
    peak = max(float(np.abs(sound - np.median(sound)).max()), 1e-6)
    soundfile.write(file, (sound - np.median(sound)) / peak * 0.9, sample_rate, format="FLAC", subtype="PCM_16")
    data = base64.b64encode(file.getvalue()).decode()
    return f'<audio controls src="data:audio/flac;base64,{data}"></audio>'


def lanes(frames: RegisterFrames) -> str:
    """Return a <table> with a row for each register in use: address, name, values over time."""
    rows = []
    for register in registers.REGISTERS[: registers.WRITABLE]:
        values = frames.values[:, register.number]
        if values.any():
            lane = picture(stretch(values[None, :] / 255, LANE_ROWS, WIDTH))
            rows.append(f"<tr><td>{register.address}</td><td>{register.name}</td><td>{lane}</td></tr>")
    return f"<table>{''.join(rows)}</table>"
