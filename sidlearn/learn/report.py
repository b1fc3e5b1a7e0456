"""What was learned, for a person: a JSON object, or an HTML page with pictures, registers, figures and both sounds."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sidlearn.errors import OutputError, one_of
from sidlearn.files import in_folder, whole_file
from sidlearn.pictures import WIDTH, lanes, picture, player, scaled, spectrogram, stretch

if TYPE_CHECKING:
    from sidlearn.learn.learner import Learned


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
    return in_folder(path)


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
    name, seconds = html.escape(str(report["name"])), len(target) / sample_rate

    def spectra(sound: np.ndarray, of: str) -> str:
        return scaled(picture(spectrogram(sound, sample_rate), f"spectrogram of {of}"), seconds, sample_rate / 2)

    return _PAGE.format(
        name=name,
        summary=html.escape(summary(report)),
        target_picture=spectra(target, "the target"),
        sound_picture=spectra(sound, "what the chip plays"),
        target_sound=player(target, sample_rate),
        sound_sound=player(sound, sample_rate),
        lanes=lanes(learned.frames),
        confidence=scaled(
            picture(stretch(learned.confidence[None, :], 24, WIDTH), "confidence over time, the lighter the surer"),
            seconds,
        ),
        metrics=_metrics(report["metrics"]),
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


def _metrics(values: dict[str, float | None]) -> str:
    """Return table rows that say what each figure means."""
    from sidlearn.learn.metrics import METRICS

    rows = []
    for name, value in values.items():
        metric = METRICS[name]
        text = "not taken" if value is None else f"{value:.3g} {metric.unit}".strip()
        better = "more is better" if metric.higher_is_better else "less is better"
        rows.append(f"<tr><th>{name}</th><td>{text}</td><td>{html.escape(metric.text)}; {better}</td></tr>")
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
.scaled {{ max-width: 1200px; margin-bottom: 1.8em; }}
.scaled div {{ position: relative; }}
.hz, .ticks span {{ position: absolute; font-size: 11px; white-space: nowrap; }}
.hz {{ left: 4px; transform: translateY(-50%); text-shadow: 0 0 3px #000, 0 0 3px #000; }}
.ticks {{ color: #a59ae0; }}
audio {{ margin: .5em 0 1em; width: 100%; max-width: 600px; }}
</style></head><body><main>
<h1>{name}</h1>
<p>{summary}</p>
<h2>Target</h2>{target_picture}{target_sound}
<h2>Registers on the chip</h2>{sound_picture}{sound_sound}
<h2>How sure, frame by frame</h2><p>The lighter, the surer.</p>{confidence}
<h2>Registers</h2>{lanes}
<h2>Figures</h2><table>{metrics}</table>
<h2>Run</h2><table>{facts}</table>
</main></body></html>
"""
