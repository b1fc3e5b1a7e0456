"""What was learned, for a person: a JSON object, or an HTML page with pictures, registers, figures and both sounds."""

from __future__ import annotations

import base64
import html
import io
import json
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sidlearn import registers
from sidlearn.errors import OutputError, one_of
from sidlearn.files import whole_file

if TYPE_CHECKING:
    from sidlearn.learn.learner import Learned

SPECTROGRAM_WINDOW = 2048
SPECTROGRAM_ROWS, PICTURE_COLUMNS = 256, 1200
SPECTROGRAM_RANGE_DB = 80.0
LOWEST_HZ, HIGHEST_HZ = 40.0, 16_000.0

# Black, the C64's blue, light blue, white: (share of the range, red, green, blue).
_COLOURS = np.array([(0, 0, 0, 0), (0.35, 64, 49, 141), (0.7, 120, 105, 196), (1, 255, 255, 255)], float)


def figures(learned: Learned, target: np.ndarray, sample_rate: int) -> dict[str, Any]:
    """Return every metric between the target and what the registers sound like, None where one cannot be taken."""
    from sidlearn.learn import metrics

    values, _ = metrics.score(target, _fitted(learned, target, sample_rate), sample_rate)
    return {name: round(float(values[name]), 4) if name in values else None for name in metrics.METRICS}


def _fitted(learned: Learned, target: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the sound of the registers, as long as the target."""
    sound = learned.render(sample_rate)[: len(target)]
    return np.pad(sound, (0, len(target) - len(sound)))


def check(path: str | Path) -> Path:
    """Return `path` if a report can be written there.

    Raises
    ------
    OutputError
        If its suffix or its folder is wrong.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITERS:
        raise OutputError(f"{path}: expected a report that ends in {one_of(WRITERS)}")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: no folder {str(path.parent)!r} to write it in")
    return path


def write(path: str | Path, learned: Learned, target: np.ndarray, sample_rate: int, name: str) -> None:
    """Write the report of one target; the suffix chooses JSON or HTML.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    path = check(path)
    report = {"name": name, **learned.report}
    if "metrics" not in report:
        report["metrics"] = figures(learned, target, sample_rate)
    text = WRITERS[path.suffix.lower()](report, learned, target, sample_rate)
    with whole_file(path) as file:
        file.write(text.encode())


def _json(report: dict[str, Any], learned: Learned, target: np.ndarray, sample_rate: int) -> str:
    confidence = [round(float(c), 3) for c in learned.confidence]
    return json.dumps({**report, "confidence": confidence}, indent=1) + "\n"


def _html(report: dict[str, Any], learned: Learned, target: np.ndarray, sample_rate: int) -> str:
    sound = _fitted(learned, target, sample_rate)
    name = html.escape(str(report["name"]))
    return _PAGE.format(
        name=name,
        summary=html.escape(summary(report)),
        target_picture=_picture(spectrogram(target, sample_rate)),
        sound_picture=_picture(spectrogram(sound, sample_rate)),
        target_sound=_sound(target, sample_rate),
        sound_sound=_sound(sound, sample_rate),
        lanes=_lanes(learned),
        confidence=_picture(_stretch(learned.confidence[None, :], 24, PICTURE_COLUMNS)),
        metrics=_table(report["metrics"]),
        facts=_table({k: v for k, v in report.items() if k not in ("metrics", "name")}),
    )


WRITERS = {".json": _json, ".html": _html}
"""Suffix -> function that makes the text of such a report."""


def summary(report: dict[str, Any]) -> str:
    """Return one sentence that a person can judge the result by."""
    how = {"decode": "decoded as the sound of a SID", "pursue": "resynthesised"}[report["method"]]
    parts = [f"{report['target']['seconds']:.2f} s, {how}", f"{report['frames']} frames, {report['writes']} writes"]
    if "sure_share" in report:
        parts.append(f"{100 * report['sure_share']:.0f} % of the frames sure")
    return "; ".join(parts)


def spectrogram(sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return levels 0 to 1, float ``(rows, columns)``: 80 dB below the loudest to it, low notes at the bottom."""
    window = np.hanning(SPECTROGRAM_WINDOW)
    starts = np.linspace(0, max(len(sound) - 1, 1), min(PICTURE_COLUMNS, max(len(sound) // 64, 1))).astype(int)
    padded = np.pad(sound, SPECTROGRAM_WINDOW // 2)
    spectra = np.empty((SPECTROGRAM_WINDOW // 2 + 1, len(starts)))
    for column, start in enumerate(starts):
        spectra[:, column] = np.abs(np.fft.rfft(padded[start : start + SPECTROGRAM_WINDOW] * window))
    top = min(HIGHEST_HZ, sample_rate / 2)
    bins = np.geomspace(top, LOWEST_HZ, SPECTROGRAM_ROWS) * SPECTROGRAM_WINDOW / sample_rate
    levels = 20 * np.log10(spectra[np.rint(bins).astype(int)] / max(spectra.max(), 1e-12) + 1e-12)
    return _stretch(np.clip(1 + levels / SPECTROGRAM_RANGE_DB, 0, 1), SPECTROGRAM_ROWS, PICTURE_COLUMNS)


def _stretch(levels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return a picture of the wanted size, pixels repeated or left out."""
    if not levels.size:
        return np.zeros((rows, columns))
    y = np.arange(rows) * len(levels) // rows
    x = np.arange(columns) * levels.shape[1] // columns
    return levels[y][:, x]


def _lanes(learned: Learned) -> str:
    """Return a row of a table for each register: its name and its values over time."""
    rows = []
    for number in range(registers.WRITABLE):
        name = registers.REGISTERS[number].name
        values = learned.frames.values[:, number]
        if not values.any():
            continue
        picture = _picture(_stretch(values[None, :] / 255, 14, PICTURE_COLUMNS))
        rows.append(f"<tr><th>{html.escape(name)}</th><td>{54272 + number}</td><td>{picture}</td></tr>")
    return "\n".join(rows)


def _table(facts: dict[str, Any]) -> str:
    rows = []
    for name, value in facts.items():
        if isinstance(value, dict):
            text = ", ".join(f"{k} {v}" for k, v in value.items())
        elif isinstance(value, list):
            text = "; ".join(map(str, value)) or "none"
        else:
            text = "not taken" if value is None else str(value)
        rows.append(f"<tr><th>{html.escape(name.replace('_', ' '))}</th><td>{html.escape(text)}</td></tr>")
    return "\n".join(rows)


def _picture(levels: np.ndarray) -> str:
    """Return an <img> of levels 0 to 1 in the colours of the page."""
    rgb = np.stack([np.interp(levels, _COLOURS[:, 0], _COLOURS[:, 1 + c]) for c in range(3)], axis=-1).astype(np.uint8)
    data = base64.b64encode(png(rgb)).decode()
    return f'<img src="data:image/png;base64,{data}" width="{levels.shape[1]}" height="{levels.shape[0]}" alt="">'


def png(rgb: np.ndarray) -> bytes:
    """Return a PNG of ``(rows, columns, 3)`` uint8 (PNG specification, 8-bit truecolour, no filter)."""
    rows, columns, _ = rgb.shape
    lines = np.concatenate((np.zeros((rows, 1), np.uint8), rgb.reshape(rows, -1)), axis=1)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    body = zlib.compress(lines.tobytes(), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _sound(sound: np.ndarray, sample_rate: int) -> str:
    """Return an <audio> player with the sound in it."""
    import soundfile

    file = io.BytesIO()
    peak = max(float(np.abs(sound - np.median(sound)).max()), 1e-6)
    soundfile.write(file, (sound - np.median(sound)) / peak * 0.9, sample_rate, format="FLAC", subtype="PCM_16")
    data = base64.b64encode(file.getvalue()).decode()
    return f'<audio controls src="data:audio/flac;base64,{data}"></audio>'


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{name}: learned by sidlearn</title>
<style>
body {{ background: #40318d; color: #e8e4ff; font: 15px/1.5 ui-monospace, Menlo, Consolas, monospace; margin: 2em; }}
main {{ max-width: 1400px; }}
h1, h2 {{ color: #fff; font-weight: normal; }}
img {{ display: block; max-width: 100%; image-rendering: pixelated; background: #000; }}
table {{ border-collapse: collapse; }}
th {{ text-align: left; font-weight: normal; padding-right: 1.5em; color: #a59ae0; white-space: nowrap; }}
td {{ padding-right: 1em; vertical-align: top; }}
audio {{ margin: .5em 0 1em; width: 100%; max-width: 600px; }}
</style></head><body><main>
<h1>{name}</h1>
<p>{summary}</p>
<h2>Target</h2>{target_picture}{target_sound}
<h2>Registers on the chip</h2>{sound_picture}{sound_sound}
<h2>How sure, frame by frame</h2>{confidence}
<h2>Registers</h2><table>{lanes}</table>
<h2>Figures</h2><table>{metrics}</table>
<h2>Run</h2><table>{facts}</table>
</main></body></html>
"""
