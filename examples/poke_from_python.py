"""POKE the chip from Python, and look at what comes out: wave, envelope and spectrum of one note.

Run it as a script (``python examples/poke_from_python.py picture.png``) or cell by cell in a notebook.
It needs matplotlib: ``pip install 'sidlearn[plot]'``.
"""

# %% The chip is memory: 25 registers from 54272 on
import sys

import matplotlib
import numpy as np

import sidlearn
from sidlearn import clock

SAMPLE_RATE = 44_100
S = 54272

sid = sidlearn.SID("6581", sample_rate=SAMPLE_RATE)
sid[S + 24] = 15  # volume
sid[S + 14 : S + 21] = [37, 17, 0, 8, 0, 0x2A, 0x88]  # voice 3: FREQ, pulse width, AD, SR; near middle C
sid.clock(clock.PAL.clock_hz // 2)  # let the chip settle after power-on

# %% Gate on: 300 ms of pulse wave. ENV3 (54300) tells the envelope while it runs
FRAME = clock.PAL.frame_cycles // 16
sid[S + 18] = 65
sound, envelope = [], []
for frame in range(400):
    if frame == 240:
        sid[S + 18] = 64  # gate off: release
    sound.append(sid.clock(FRAME))
    envelope.append(sid[54300])
audio = np.concatenate(sound)

# %% What it looks like
if len(sys.argv) > 1:
    matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

picture, (wave_axes, envelope_axes, spectrum_axes) = plt.subplots(3, figsize=(9, 9), layout="constrained")
picture.suptitle("One note of SID voice 3: FREQ 4389, pulse, AD \\$2A, SR \\$88")

start = int(0.1 * SAMPLE_RATE)
milliseconds = np.arange(600) / SAMPLE_RATE * 1e3
wave_axes.plot(milliseconds, audio[start : start + 600])
wave_axes.set(xlabel="ms", ylabel="sound", title="wave")

seconds = np.arange(len(envelope)) * FRAME / clock.PAL.clock_hz
envelope_axes.step(seconds, envelope)
envelope_axes.set(xlabel="s", ylabel="ENV3", title="envelope, read back by PEEK(54300)", ylim=(0, 260))

part = audio[start : start + 8_192] * np.hanning(8_192)
level = 20 * np.log10(np.abs(np.fft.rfft(part)) + 1e-9)
hz = np.fft.rfftfreq(8_192, 1 / SAMPLE_RATE)
spectrum_axes.plot(hz, level - level.max(), linewidth=0.8)
pitch = clock.freq_to_hz(17 * 256 + 37)
spectrum_axes.axvline(pitch, color="tab:orange", linestyle=":", label=f"FREQ 4389 = {pitch:.1f} Hz")
spectrum_axes.set(xlabel="Hz", ylabel="dB", title="spectrum", xlim=(0, 12_000), ylim=(-80, 3))
spectrum_axes.legend()

if len(sys.argv) > 1:
    picture.savefig(sys.argv[1], dpi=110)
else:
    plt.show()
