"""The sound of whole tunes against residfp's, in dB of log-spectral distance."""

from __future__ import annotations

import numpy as np
import pytest

import sidlearn
from sidlearn import audio
from sidlearn.learn.metrics import lsd

# (tune, model, mode) -> dB at most
BOUNDS = {
    ("chip_g1_s1_6581", "6581-residfp", "exact"): 0.3,
    ("chip_g1_s1_8580", "8580-residfp", "exact"): 0.3,
    ("chip_g3_s1_6581", "6581-residfp", "exact"): 0.3,
    ("chip_g1_s1_6581", "6581", "exact"): 1.0,
    ("chip_g1_s1_8580", "8580", "exact"): 1.0,
    ("chip_g1_s1_6581", "6581-residfp", "fast"): 0.6,
    ("chip_g1_s1_8580", "8580-residfp", "fast"): 0.6,
    ("chip_g3_s1_6581", "6581-residfp", "fast"): 1.2,
}


@pytest.mark.parametrize(("tune", "model", "mode"), BOUNDS)
def test_a_tune_sounds_as_on_residfp(data_dir, tune, model, mode):
    theirs, rate = audio.read(data_dir / "chip" / f"{tune}.flac")
    writes = sidlearn.load(data_dir / "chip" / f"{tune}.csv", seconds=len(theirs) / rate)
    ours = sidlearn.render(writes, model, rate, mode)
    assert lsd(theirs, ours, rate) < BOUNDS[tune, model, mode]


def test_readings_of_a_tune_equal_pyresidfp(data_dir):
    """OSC3 and ENV3 of a whole tune, every 41st cycle."""
    residfp = pytest.importorskip("pyresidfp._pyresidfp")
    writes = sidlearn.load(data_dir / "chip" / "chip_g2_s1_6581.csv", seconds=2)
    osc3, env3 = sidlearn.chip.readback(writes, "6581-residfp")
    hz = float(writes.clock_hz)
    sid = residfp.SID(residfp.ChipModel.MOS6581, residfp.SamplingMethod.DECIMATE, hz, hz)
    events = [*writes.events.tolist(), (writes.length + 1, 0, 0)]
    step, next_event, wrong = 41, 0, 0
    for cycle in range(0, writes.length - step, step):
        now = cycle
        while events[next_event][0] < cycle + step:
            sid.clock(events[next_event][0] - now)
            now = events[next_event][0]
            sid.write(*events[next_event][1:])
            next_event += 1
        sid.clock(cycle + step - now)
        last = cycle + step - 1
        wrong += (sid.read(27), sid.read(28)) != (osc3[last], env3[last])
    assert wrong == 0
    assert len(np.unique(env3)) > 100
