"""Everything that is known of how true the chip is, measured anew, in one table.

``python -m tests.accuracy.table`` prints it; ``--readme`` puts it between its markers in README.md. ``--testprogs DIR``
(a checkout of VICE-testprogs) adds the test programs, ``--combined DIR`` (of libsidplayfp/combined-waveforms) the
sampled chips, ``--cycles`` sets the length of the comparison of OSC3 and ENV3, ``--only WORD`` takes some rows. Some
minutes of processor time. What asks for pyresidfp 0.17.0 is measured beside it in the same run.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sidlearn.bench.music import tune
from sidlearn.chip import models
from sidlearn.chip.kernel import PST_BY_PHASE, ST_BY_PHASE
from sidlearn.chip.sid import MODES, SID, render, render_batch
from sidlearn.clock import PAL
from sidlearn.registers import FC_HI, FC_LO, MODE_VOL, RES_FILT
from sidlearn.writes import RegisterWrites
from tests.accuracy import identity
from tests.chip import traffic

CHIPS = ("6581", "8580")
RATE = 44_100
README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- accuracy: python -m tests.accuracy.table --readme -->", "<!-- /accuracy -->"

BAND_PASS = 2
FILTEX = 8
SETTLE = 2_000_000
"""Cycles until the step of power-on has gone from residfp's sound."""


class Row(NamedTuple):
    """A line of the table."""

    what: str
    against: str
    result: str
    asked: str
    holds: bool
    why: str = ""
    """If it does not hold: the reason, as far as it is known."""


class Options(NamedTuple):
    """What was asked for on the command line."""

    cycles: int
    seed: int
    testprogs: Path | None
    combined: Path | None


# --- Digital half ---


def readings(options: Options) -> Iterator[Row]:
    """OSC3 and ENV3 in every cycle of random writes."""
    found = identity.run(options.cycles, options.seed)
    wrong, cycles = sum(d.osc3 + d.env3 for d in found), sum(d.cycles for d in found)
    yield Row(
        f"OSC3 and ENV3, random writes to all voice registers, seed {options.seed}",
        "pyresidfp, `-residfp` models",
        f"{wrong} wrong of {cycles:,} cycles",
        "0",
        wrong == 0,
    )


def programs(options: Options) -> Iterator[Row]:
    """VICE's self-judging programs, and the readings of real chips that some of them hold."""
    if options.testprogs is None:
        return
    from tests.accuracy.harness import listed, run_program
    from tests.accuracy.test_vice_sid import chips_of

    passed: dict[str, list[bool]] = {}
    failed = []
    for test in listed(options.testprogs, "SID/"):
        for model in chips_of(test) if test.kind == "exitcode" else ():
            result = run_program(test.path(options.testprogs), model, test.limit, test.disk(options.testprogs))
            passed.setdefault(test.folder, []).append(result.passed)
            failed += [] if result.passed else [f"{test.program} on {model}"]
    good, runs = sum(map(sum, passed.values())), sum(map(len, passed.values()))
    yield Row(
        "VICE's self-judging SID programs, without a ROM",
        "their verdicts (residfp 181, reSID 172 of 194)",
        f"{good} of {runs} runs pass",
        "188 of 194",
        good >= 188,
        ", ".join(failed),
    )
    dumps = [p for folder in ("SID/resid-test", "SID/waveforms") for p in passed.get(folder, [])]
    yield Row(
        "programs among them that hold ENV3 and pure-waveform OSC3 dumps of real chips",
        "the dumps, byte for byte",
        f"{sum(dumps)} of {len(dumps)} pass",
        "all",
        all(dumps) and bool(dumps),
    )


# The chips that residfp's average sets were fitted to, as the collection calls them.
SAMPLED = {"6581": "6581R3_0486_S", "8580": "8580_1088"}
RESIDFP_WRONG = {"6581": (324, 124, 763, 94), "8580": (353, 289, 554, 127)}  # published beside the fits


def combined(options: Options) -> Iterator[Row]:
    """Bits of combined waveforms that differ from readings of the chips that residfp was fitted to."""
    if options.combined is None:
        return
    for name in CHIPS:
        folder = next((f for f in options.combined.rglob("*") if f.is_dir() and f.name == SAMPLED[name]), None)
        if folder is None:
            continue
        wrong = tuple(wrong_bits(name, number, folder) for number in (30, 50, 60, 70))
        total, theirs = sum(wrong), sum(RESIDFP_WRONG[name])
        yield Row(
            f"combined waveforms of the sampled {SAMPLED[name]}, wrong bits of 32 768, ST/PT/PS/PST",
            f"readings of the chip (residfp {'/'.join(map(str, RESIDFP_WRONG[name]))})",
            "/".join(map(str, wrong)),
            f"residfp's, better half of them ({theirs // 2} in all)",
            all(w <= r for w, r in zip(wrong, RESIDFP_WRONG[name], strict=True)),
            f"{total} in all",
        )


def wrong_bits(name: str, number: int, folder: Path) -> int:
    """Wrong bits of the model's table at all 4 096 values of the accumulator, pulse high."""
    dump = next(folder.rglob(f"*wf{number}.dat*")).read_bytes()[2:4098]
    phase = np.arange(4096)
    triangle = np.where(phase & 0x800, phase ^ 0xFFF, phase) << 1 & 0xFFF
    model = models.load(name)[0]
    both, all_three = (ST_BY_PHASE, PST_BY_PHASE) if model.by_phase else (0, 3)
    given = phase if model.by_phase else phase & phase << 1
    row, value = {30: (both, given), 50: (1, triangle), 60: (2, phase), 70: (all_three, given)}[number]
    ours = (model.combined[row, value] >> 4).astype(np.uint8)
    return int(np.unpackbits(ours ^ np.frombuffer(dump, np.uint8)).sum())


# --- Analogue half, at one sample a cycle ---


def sound_by_cycle(_: Options) -> Iterator[Row]:
    """Signal to difference with the filter on, the first two seconds left out."""
    writes = tune(5)
    for name in CHIPS:
        theirs = traffic.oracle_sound(writes, name)
        ours = render(writes, f"{name}-residfp", writes.clock_hz)
        db = signal_to_difference(theirs[SETTLE:], ours[SETTLE:])
        yield Row(
            f"sound at one sample a cycle, {name}, filter on",
            "pyresidfp, DECIMATE at the clock",
            f"{db:.1f} dB signal to difference",
            "50 dB",
            db >= 50,
        )


def signal_to_difference(theirs: np.ndarray, ours: np.ndarray) -> float:
    """In dB; without what their fixed-point DC block drifts, which is slower than 100 Hz."""
    width = 10_000
    difference = ours - theirs
    slow = (np.cumsum(difference)[width:] - np.cumsum(difference)[:-width]) / width
    error = difference[width // 2 : len(slow) + width // 2] - slow
    return float(10 * np.log10(theirs.var() / np.mean(error**2)))


CUTOFFS = (256, 384, 512, 640, 768, 896, 1023, 1024, 1280, 1536, 1792, 2047)
NOISE_CYCLES, HOLD = 1 << 19, 8


def filters(_: Options) -> Iterator[Row]:
    """Cutoff and Q, from the same noise through EXT IN of both."""
    for name in CHIPS:
        points = [(fc, res) for res in (0, 15) for fc in CUTOFFS]
        points += [(1200 if name == "6581" else 1024, res) for res in range(1, 15)]
        pairs = np.array(
            [(*measure(name, *point, theirs=False), *measure(name, *point, theirs=True)) for point in points]
        )
        hz_off, q_off = np.abs(pairs[:, 0] / pairs[:, 2] - 1) * 100, np.abs(pairs[:, 1] / pairs[:, 3] - 1) * 100
        for what, off, asked in (("cutoff", hz_off, 2), ("Q", q_off, 5)):
            worst = points[int(off.argmax())]
            yield Row(
                f"filter's {what}, {name}, {len(points)} settings of FC and RES",
                "pyresidfp, the same noise through EXT IN",
                f"{np.median(off):.2f} % off (median), {off.max():.2f} % at most",
                f"{asked} %",
                bool(off.max() <= asked),
                f"at FC {worst[0]} RES {worst[1]}",
            )
        if name == "8580":  # what the explicit step bends is further up
            low = np.array([res == 0 and 256 <= fc <= 1024 for fc, res in points])
            steps = np.array([fc for fc, _ in points])[low]
            ours, theirs = (float(steps @ pairs[low, column] / (steps @ steps)) for column in (0, 2))
            yield Row(
                "8580 cutoff a step of FC, up to 1024",
                f"6.97 Hz (pyresidfp, measured alike: {theirs:.2f})",
                f"{ours:.2f} Hz, {abs(ours / 6.97 - 1) * 100:.1f} % off",
                "2 %, as for every cutoff",
                abs(ours / 6.97 - 1) < 0.02,
            )


def measure(name: str, cutoff: int, resonance: int, theirs: bool) -> tuple[float, float]:
    """Cutoff in Hz and Q of the band-pass."""
    from tests.chip.test_models import band_pass_fit

    levels = np.round(np.random.default_rng(cutoff + resonance).normal(0, 1500, NOISE_CYCLES // HOLD))
    registers = (
        (FC_LO, cutoff & 7),
        (FC_HI, cutoff >> 3),
        (RES_FILT, resonance << 4 | FILTEX),
        (MODE_VOL, BAND_PASS << 4 | 15),
    )
    sid = SID(f"{name}-residfp", PAL.clock_hz)
    if theirs:
        oracle = traffic.oracle(name)
        for register, value in registers:
            oracle.write(register, value)
        oracle.clock(SETTLE)
        heard: list[int] = []
        for level in levels:
            oracle.input(int(level))
            heard += oracle.clock(HOLD)
        out = np.array(heard, np.float64)
    else:
        for register, value in registers:
            sid[register] = value
        sid.clock(SETTLE)
        out = sid.clock(NOISE_CYCLES, ext_in=levels.repeat(HOLD) / 32_768).astype(np.float64) * 32_768
    hz, q, _ = band_pass_fit(levels.repeat(HOLD), out, sid._tables)
    return hz, q


def volumes(_: Options) -> Iterator[Row]:
    """Levels after steps of volume, and the map of all 256 values of MODE_VOL."""
    hold = 400
    for name in CHIPS:
        steps = [(SETTLE + n * hold, MODE_VOL, v) for n, v in enumerate((0, *range(1, 16)))]
        yield level_row(f"steps of volume, {name}, voices silent", name, steps, hold)
        high = [(0, 7 * v + offset, value) for v in range(3) for offset, value in ((6, 0xF0), (5, 0), (4, 0x49))]
        routed = [(0, RES_FILT, 3), (0, FC_LO, 7), (0, FC_HI, 255)]
        digi = [(SETTLE + n * hold, MODE_VOL, n) for n in range(256)]
        yield level_row(f"all values of $D418, {name}, voices held high", name, [*high, *routed, *digi], hold)


def level_row(what: str, name: str, rows: list[tuple[int, int, int]], hold: int) -> Row:
    """Compare the levels just before each write that follows."""
    count = sum(cycle >= SETTLE for cycle, _, _ in rows)
    writes = RegisterWrites.from_rows(rows, length=SETTLE + count * hold)
    at = SETTLE + hold * np.arange(1, count + 1) - 2
    ours = render(writes, f"{name}-residfp", writes.clock_hz)[at]
    theirs = traffic.oracle_sound(writes, name)[at]
    off = 100 * float(np.abs(ours - theirs).max() / np.ptp(theirs))
    return Row(what, "pyresidfp", f"{off:.2f} % of the span off at most", "1 %", off <= 1)


def digi_edges(_: Options) -> Iterator[Row]:
    """A square through $D418 whose edges stand on any cycle: fast mode against exact."""
    rng = np.random.default_rng(3)
    edges = np.cumsum(rng.integers(300, 3_000, 400))
    rows = [(int(c), MODE_VOL, 15 * (n & 1)) for n, c in enumerate(edges)]
    writes = RegisterWrites.from_rows(rows, length=int(edges[-1]) + 2_000)
    late = {mode: SID("6581", mode=mode).delay_seconds for mode in MODES}
    exact, fast = (render(writes, "6581", RATE, mode).astype(float) for mode in MODES)
    hz = np.fft.rfftfreq(len(exact), 1 / RATE)
    shift = np.exp(2j * np.pi * hz * (late["fast"] - late["exact"]))
    inside = hz < 15_000

    def windowed(sound: np.ndarray, mode: str) -> np.ndarray:
        """A spectrum through a window that lies where the sound does: one beside it differs by 50 dB."""
        turn = 2 * np.pi * (np.arange(len(sound)) - late[mode] * RATE) / len(sound)
        return np.fft.rfft(sound * (0.5 - 0.5 * np.cos(turn)))

    a, b = windowed(exact, "exact"), windowed(fast, "fast") * shift
    db = 10 * np.log10((np.abs(a[inside]) ** 2).sum() / (np.abs(a - b)[inside] ** 2).sum())
    cycles = 10 ** (-db / 20) * PAL.clock_hz / (2 * np.pi * 5_000)
    yield Row(
        "a sample played through $D418, fast mode",
        "exact mode, up to 15 kHz",
        f"{db:.0f} dB signal to difference ({cycles:.2f} cycles at 5 kHz)",
        "50 dB",
        db >= 50,
    )


# --- Sound at a sample rate ---


def sound_at_rate(_: Options) -> Iterator[Row]:
    """Log-spectral distance of music to residfp, taken at one sample a cycle."""
    import soxr

    from sidlearn.learn.metrics import lsd

    for filtered in (True, False):
        writes = tune(10, filtered=filtered)
        for name in CHIPS:
            theirs = soxr.resample(traffic.oracle_sound(writes, name).astype(np.float32), PAL.clock_hz, RATE, "VHQ")
            for mode in MODES:
                ours = render(writes, f"{name}-residfp", RATE, mode)
                db = lsd(theirs[2 * RATE :], ours[2 * RATE :], RATE)
                asked = 1.2 if mode == "fast" and filtered else 0.6
                what = f"sound at 44.1 kHz, {mode}, {name}, {'filter on' if filtered else 'no filter'}"
                yield Row(what, "pyresidfp, resampled by soxr VHQ", f"{db:.2f} dB LSD", f"{asked} dB", db <= asked)


def resampler(_: Options) -> Iterator[Row]:
    """The decimator alone."""
    from tests.chip.test_decimate import gain_db, loudest_below_db

    flat = max(abs(gain_db(hz, 48_000)) for hz in np.linspace(200, 20_000, 12))
    yield Row("decimator at 48 kHz, up to 20 kHz", "flat", f"{flat:.3f} dB", "0.02 dB", flat <= 0.02)
    alias = max(loudest_below_db(hz, 48_000, 20_000) for hz in (28_000, 41_000, 103_200, 122_500, 123_900, 300_000))
    yield Row("its aliases below 20 kHz", "none", f"{alias:.0f} dB", "-100 dB", alias <= -100)


# --- Determinism ---

_CHILD = """
import hashlib, sidlearn
from sidlearn.bench.music import tune
print(hashlib.sha256(sidlearn.render(tune(3), "6581", 44100, "{mode}").tobytes()).hexdigest())
"""


def determinism(_: Options) -> Iterator[Row]:
    """The same bytes however the work is cut, and wherever it is done."""
    writes = tune(3)
    for mode in MODES:
        whole = render(writes, "6581", RATE, mode)
        digest = hashlib.sha256(whole.tobytes()).hexdigest()
        cut = hashlib.sha256(in_pieces(writes, mode, 1_000).tobytes()).hexdigest() == digest
        yield Row(f"1 000 random cuts of clock(), a snapshot in each, {mode}", "one piece", same(cut), "same", cut)
        child = subprocess.run(
            [sys.executable, "-c", _CHILD.format(mode=mode)], capture_output=True, text=True, check=True
        )
        alike = child.stdout.strip() == digest
        yield Row(f"another process, {mode}", "SHA-256", same(alike), "same", alike)
        logs = [tune(1, seed=seed) for seed in range(4)]
        alone = [render(log, "6581", RATE, mode).tobytes() for log in logs]
        batch = all(
            [s.tobytes() for s in render_batch(logs, "6581", RATE, mode, threads=n)] == alone for n in (1, 2, 4)
        )
        yield Row(f"render_batch on 1, 2 and 4 threads, {mode}", "render", same(batch), "same", batch)
    writes = tune(8)
    for name in (*CHIPS, "6581-residfp"):
        one, (lanes, again) = render(writes, name), (render(writes, name, lanes=32, threads=n) for n in (1, 4))
        difference = (lanes - one).astype(float)
        db = 10 * np.log10(np.mean(difference**2) / np.mean(one.astype(float) ** 2) + 1e-30)
        alike = np.array_equal(lanes, again)
        yield Row(
            f"render(lanes=32), {name}, on 1 and 4 threads",
            "exact mode in one" + FALLS_BACK * (name == "6581-residfp"),
            f"{'no difference' if db < -200 else f'{db:.0f} dB difference'}, {same(alike)}",
            "-90 dB, same",
            bool(db <= -90 and alike),
        )


FALLS_BACK = " (into which it falls back where a filter does not forget its start)"


def same(holds: bool) -> str:
    """In a word."""
    return "the same bytes" if holds else "other bytes"


def in_pieces(writes: RegisterWrites, mode: str, cuts: int) -> np.ndarray:
    """Play a log in pieces, each on a chip that has just got the state of the one before."""
    rng = np.random.default_rng()
    ends = np.sort(rng.integers(0, writes.length, cuts)).tolist()
    sid, parts, next_event = SID("6581", RATE, mode=mode), [], 0
    other = SID("6581", RATE, mode=mode)
    events = writes.events.tolist()
    for end in [*ends, writes.length]:
        while next_event < len(events) and events[next_event][0] < end:
            sid.poke(*events[next_event])
            next_event += 1
        parts.append(sid.clock(end - sid.cycle))
        other.restore(pickle.loads(pickle.dumps(sid.snapshot())))
        sid, other = other, sid
    return np.concatenate(parts)


PARTS: dict[str, Callable[[Options], Iterator[Row]]] = {
    "readings": readings,
    "programs": programs,
    "combined": combined,
    "cycles": sound_by_cycle,
    "filters": filters,
    "volumes": volumes,
    "digi": digi_edges,
    "rate": sound_at_rate,
    "resampler": resampler,
    "determinism": determinism,
}


def text(rows: list[Row]) -> str:
    """Return the table as Markdown."""
    lines = ["| what | against | result | asked | |", "|---|---|---|---|---|"]
    for row in rows:
        mark = "holds" if row.holds else f"**short** {row.why}".strip()
        lines.append(f"| {row.what} | {row.against} | {row.result} | {row.asked} | {mark} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=float, default=4e6)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--testprogs", type=Path, default=None)
    parser.add_argument("--combined", type=Path, default=None)
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--readme", action="store_true")
    given = parser.parse_args()
    seed = secrets.randbelow(1 << 31) if given.seed is None else given.seed
    options = Options(int(given.cycles), seed, given.testprogs, given.combined)
    rows: list[Row] = []
    for name in given.only:
        begun = time.process_time()
        for row in PARTS[name](options):
            rows.append(row)
            print(f"{row.what}: {row.result}", file=sys.stderr, flush=True)
        print(f"{name}: {time.process_time() - begun:.0f} s of processor time", file=sys.stderr, flush=True)
    table = text(rows)
    print(table)
    if given.readme:
        before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        README.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
