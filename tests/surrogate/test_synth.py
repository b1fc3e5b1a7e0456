"""The surrogate beside the chip: the same registers, the same sound, and gradients that are those of the sound."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

import sidlearn
from sidlearn.bench import music
from sidlearn.chip import models
from sidlearn.errors import LearnError, ModelError
from sidlearn.learn.spectra import lsd
from sidlearn.registers import (
    ATTACK_DECAY,
    CONTROL,
    FC_LO,
    FREQ_HI,
    FREQ_LO,
    MODE_VOL,
    PW_HI,
    PW_LO,
    RES_FILT,
    SUSTAIN_RELEASE,
    VOICE_STRIDE,
)  # fmt: skip
from sidlearn.surrogate import DifferentiableSID, envelope, pack, round_straight_through
from sidlearn.surrogate import filter as filters
from sidlearn.surrogate.controls import unpack
from sidlearn.surrogate.grid import SLOTS, Cells, Grid, cells
from sidlearn.surrogate.mixer import Mix
from sidlearn.surrogate.output import Decimate
from sidlearn.surrogate.synth import BUFFERS
from sidlearn.surrogate.voices import PER_EDGE, Voices
from sidlearn.writes import RegisterFrames

torch.set_num_threads(1)
RATE = 44_100
FRAME = 19_656

# What is allowed between surrogate and chip: residual in dB of the sound's power without filter, LSD in dB with it.
MOST_RESIDUAL_DB = -35.0
MOST_LSD_DB = 1.0


def frames(control: int, freq: int = 4_000, width: int = 0x600, count: int = 25, **registers: int) -> np.ndarray:
    values = np.zeros((count, 25), np.uint8)
    values[:, FREQ_LO], values[:, FREQ_HI] = freq & 255, freq >> 8
    values[:, PW_LO], values[:, PW_HI] = width & 255, width >> 8
    values[:, CONTROL], values[:, ATTACK_DECAY], values[:, SUSTAIN_RELEASE] = control, 0x09, 0xF0
    values[:, MODE_VOL] = 0x0F
    for name, value in registers.items():
        values[:, getattr(sidlearn.registers, name)] = value
    return values


def both(values: np.ndarray, model: str, sample_rate: int = RATE, **options) -> tuple[np.ndarray, np.ndarray]:
    """Return the sound of chip and surrogate for one set of frames, without the first 50 ms."""
    chip = sidlearn.render(RegisterFrames(values).writes(), model=model, sample_rate=sample_rate)
    with torch.no_grad():
        ours = DifferentiableSID(model, sample_rate, **options)(torch.tensor(values, dtype=torch.float32)[None])[
            0
        ].numpy()
    assert ours.shape == chip.shape
    start = sample_rate // 20
    return chip[start:], ours[start:]


def residual_db(values: np.ndarray, model: str, sample_rate: int = RATE) -> float:
    chip, ours = both(values, model, sample_rate)
    return float(10 * np.log10(((chip - ours) ** 2).sum() / (chip**2).sum()))


@pytest.mark.parametrize("control", [0x11, 0x21, 0x31, 0x41, 0x51, 0x61, 0x71, 0x81])
@pytest.mark.parametrize("model", ["6581", "8580"])
def test_every_waveform_is_the_chips(model, control):
    assert residual_db(frames(control), model) < MOST_RESIDUAL_DB


@pytest.mark.parametrize("sample_rate", [16_000, 48_000])
def test_other_sample_rates(sample_rate):
    assert residual_db(frames(0x21), "8580", sample_rate) < MOST_RESIDUAL_DB


@pytest.mark.parametrize("control", [0x15, 0x23, 0x43, 0x13])
@pytest.mark.parametrize("model", ["6581", "8580"])
def test_ring_and_sync_follow_the_neighbour(model, control):
    values = frames(control, freq=9_000)
    values[:, 2 * VOICE_STRIDE + FREQ_HI] = 11
    values[12:, 2 * VOICE_STRIDE + FREQ_HI] = 17  # and its changes
    values[:, 2 * VOICE_STRIDE + CONTROL] = 0x10
    assert residual_db(values, model) < MOST_RESIDUAL_DB


def test_test_bit_stops_and_restarts_an_oscillator():
    values = frames(0x21)
    values[8:11, CONTROL] = 0x29
    assert residual_db(values, "8580") < MOST_RESIDUAL_DB


def test_an_output_without_waveform_holds_and_fades():
    values = frames(0x21)
    values[8:, CONTROL] = 0x01
    assert residual_db(values, "6581") < MOST_RESIDUAL_DB


def test_volume_steps_are_heard_as_the_chips():
    values = frames(0x21)
    values[::2, MODE_VOL] = 0x03
    assert residual_db(values, "6581") < MOST_RESIDUAL_DB


@pytest.mark.parametrize("model", ["6581", "8580"])
def test_music_without_filter(model):
    values = music.tune(4, filtered=False).frames().values
    chip, ours = both(values, model)
    assert 10 * np.log10(((chip - ours) ** 2).sum() / (chip**2).sum()) < MOST_RESIDUAL_DB
    assert lsd(chip, ours, RATE) < MOST_LSD_DB


@pytest.mark.parametrize("model", ["6581", "8580"])
def test_music_with_filter(model):
    chip, ours = both(music.tune(4, filtered=True).frames().values, model)
    assert lsd(chip, ours, RATE) < MOST_LSD_DB


@pytest.mark.parametrize("cutoff", [100, 600, 1_500])
@pytest.mark.parametrize("mode", [0x1F, 0x3F, 0x7F])
@pytest.mark.parametrize("model", ["6581", "8580"])
def test_filter_modes(model, mode, cutoff):
    values = frames(0x21, freq=2_500, RES_FILT=0x81, MODE_VOL=mode, FC_LO=cutoff & 7, FC_HI=cutoff >> 3)
    assert lsd(*both(values, model), RATE) < MOST_LSD_DB


def random_frames(seed: int, filtered: bool, count: int = 30) -> np.ndarray:
    """Return registers at random that change every few frames, with combined waveforms, sync and ring in any circle."""
    pick = np.random.default_rng(seed)
    values = np.zeros((count, 25), np.uint8)
    values[:, MODE_VOL] = 0x0F
    for voice in range(3):
        f = 0
        while f < count:
            part = values[f : f + pick.integers(3, 12)]
            freq, width = int(np.exp(pick.uniform(np.log(300), np.log(30_000)))), int(pick.integers(0, 4_096))
            wave = int(pick.choice([1, 2, 4, 8, 3, 5, 6, 7])) << 4
            control = 1 | wave | 2 * (pick.random() < 0.15) | 4 * (pick.random() < 0.15)
            bytes_ = freq & 255, freq >> 8, width & 255, width >> 8, control, 0x09, 0xF4
            part[:, voice * VOICE_STRIDE : (voice + 1) * VOICE_STRIDE] = bytes_
            f += len(part)
    f = 0
    while filtered and f < count:
        part = values[f : f + pick.integers(3, 12)]
        cutoff = int(pick.integers(0, 2_048))
        part[:, FC_LO], part[:, FC_LO + 1] = cutoff & 7, cutoff >> 3
        part[:, RES_FILT] = int(pick.integers(0, 16)) << 4 | int(pick.integers(1, 8))
        part[:, MODE_VOL] = 0x0F | int(pick.integers(1, 8)) << 4
        f += len(part)
    return values


@pytest.mark.parametrize("model", ["6581", "8580"])
def test_registers_at_random(model):
    residuals, distances = [], []
    for seed in range(4):
        chip, ours = both(random_frames(seed, False), model)
        residuals.append(10 * np.log10(((chip - ours) ** 2).sum() / (chip**2).sum()))
        distances.append(lsd(*both(random_frames(seed, True), model), RATE))
    assert max(residuals) < MOST_RESIDUAL_DB
    assert np.median(distances) < MOST_LSD_DB


@pytest.mark.parametrize("control", [0x31, 0x61, 0x71])
def test_the_6581s_top_bit_stays_high_until_a_combined_waveform_pulls_it_down(control):
    values = frames(0x41, freq=437, width=0x0100, count=30)  # every frame at another phase, some of them near the top
    values[1::2, CONTROL] = control
    values[:, VOICE_STRIDE + CONTROL], values[:, VOICE_STRIDE + FREQ_HI] = 0x15, 19  # ringed by it
    values[:, VOICE_STRIDE + SUSTAIN_RELEASE] = 0xF0
    assert residual_db(values, "6581") < MOST_RESIDUAL_DB


def test_exact_envelopes_are_the_chips_counter_by_counter():
    pick = np.random.default_rng(7)
    values = pick.integers(0, 256, (60, 25)).astype(np.uint8)
    values[:, CONTROL + 2 * VOICE_STRIDE] = pick.integers(0, 2, 60) | 0x10
    values[:, ATTACK_DECAY + 2 * VOICE_STRIDE] &= 0x77
    log = RegisterFrames(values).writes()
    cycles = np.arange(3, log.length - 1, 41).astype(np.float64)
    ours = envelope.exact(unpack(torch.tensor(values, dtype=torch.float32)[None], FRAME), cycles)[0, 2]
    chip = sidlearn.chip.readback(log, "6581")[1]
    assert (ours == chip[cycles.astype(int) + 1]).all()  # ENV3 is a cycle old


def test_relaxed_envelope_is_near_the_exact_one():
    values = frames(0x21, count=50)
    values[20:, CONTROL] = 0x20
    values[:, ATTACK_DECAY], values[:, SUSTAIN_RELEASE] = 0x58, 0xA9
    values[:3, CONTROL], values[:3, SUSTAIN_RELEASE] = 0x20, 0  # what is left of power-on first dies away
    controls = unpack(torch.tensor(values, dtype=torch.float32)[None], FRAME)
    cycles = np.arange(30_000, 50 * FRAME, 997).astype(np.float64)
    exact = envelope.exact(controls, cycles)[0, 0].astype(float)
    relaxed = envelope.Relaxed.apply(controls.envelope.double(), controls, cycles)[0, 0].numpy()
    assert np.abs(exact - relaxed).max() < 3


def test_buffers_are_the_models_fields():
    for model in ("6581", "8580"):
        buffers, chip = dict(DifferentiableSID(model).named_buffers()), models.load(model)[0]
        assert set(buffers) == set(BUFFERS)
        for name in BUFFERS:
            assert np.array_equal(buffers[name].numpy(), chip[name])


def test_a_batch_is_its_rows_and_comes_out_the_same_on_any_number_of_threads():
    values = np.stack([music.tune(1, seed=seed).frames().values for seed in range(3)]).astype(np.float32)
    sid = DifferentiableSID()
    whole = sid(torch.tensor(values))
    for row in range(3):
        assert torch.equal(whole[row], sid(torch.tensor(values[row : row + 1]))[0])
    torch.set_num_threads(2)
    assert torch.equal(whole, sid(torch.tensor(values)))
    torch.set_num_threads(1)


@pytest.mark.parametrize("model", ["6581", "8580"])
@pytest.mark.parametrize(("sample_rate", "frame_cycles"), [(RATE, FRAME), (16_000, 4_914), (8_000, 500)])
def test_one_pass_without_gradients_gives_what_the_units_give(model, sample_rate, frame_cycles):
    values = np.stack([random_frames(seed, True) for seed in range(3)]).astype(np.float32)
    soft = torch.tensor(np.clip(values + np.random.default_rng(5).uniform(0, 0.9, values.shape), 0, 255)).float()
    sid = DifferentiableSID(model, sample_rate, frame_cycles)
    for given in (torch.tensor(values), soft, torch.tensor(values[:1, :1])):
        units = sid(given.clone().requires_grad_()).detach()
        assert (sid(given) - units).abs().max() < 1e-7


def test_bfloat16_frames_hold_every_register_value():
    values = torch.tensor(music.tune(1).frames().values)[None]
    sid = DifferentiableSID()
    half = sid(values.bfloat16())
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, sid(values.float()).bfloat16())


# --- Gradients ---------------------------------------------------------------------------------------------------


def cut(count: int, slots: list[int]) -> Cells:
    """Return cells of one step each, but for those at the slots, which are cut."""
    shares = np.ones(count)
    for slot in slots[1:]:
        shares[slot - 1], shares[slot] = 0.3, 0.7
    return Cells(
        edges=np.append(0, np.cumsum(shares)),
        shares=shares,
        parts=np.zeros(0),
        taps=np.zeros(0),
        runs=np.array([0, count]),
        slots=np.array([*slots, count]),
        slot_steps=np.array(slots),
        steps=count,
        samples=0,
        frame_cycles=100,
    )


def soft(values: np.ndarray) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[None]


def test_gradcheck_voices():
    grid = cells(Grid(8_000, 985_248), 2, 2_000)
    values = frames(0x21, count=2, freq=3_001)
    values[:, VOICE_STRIDE + CONTROL], values[:, VOICE_STRIDE + FREQ_HI] = 0x43, 8  # pulse, synced by voice 1
    values[:, VOICE_STRIDE + PW_HI], values[:, VOICE_STRIDE + PW_LO] = 5, 7
    values[:, 2 * VOICE_STRIDE + CONTROL], values[:, 2 * VOICE_STRIDE + FREQ_HI] = 0x51, 11
    values[:, 2 * VOICE_STRIDE + PW_HI] = 3
    controls = unpack(soft(values), 2_000)
    from sidlearn.surrogate.oscillator import waves

    model = models.load("8580")[0]
    tables = waves(model.dac_wave, model.combined, model)
    chosen = torch.tensor([0.37, 0.53, 0.71]).double()  # off the steps of the tables, at which there is a kink
    frequency = (controls.frequency + chosen[:, None, None]).requires_grad_()
    width = (controls.pulse_width + chosen[:, None, None]).requires_grad_()

    # Without the voice that is synced, whose restarts move with the other's frequency; EXT IN to either side.
    routes = np.array([[0x49, 0x94, 0x0D, 0xD0] * 2])
    torch.manual_seed(2)
    levels = torch.rand(1, 3, -(-grid.count // PER_EDGE) + 1).double().requires_grad_()

    def play(*given):
        return Voices.apply(*given, controls, routes, tables, grid, model, False)

    assert gradcheck(play, (frequency, width, levels), eps=1e-5, atol=5e-5, rtol=1e-3)


def test_gradcheck_relaxed_envelope():
    values = frames(0x21, count=6)
    values[3:, CONTROL] = 0x20
    values[:, ATTACK_DECAY], values[:, SUSTAIN_RELEASE] = 0x23, 0xA4
    controls = unpack(soft(values), 5_000)
    nibbles = (controls.envelope.detach() + 0.3 * torch.rand(controls.envelope.shape).double()).requires_grad_()
    cycles = np.linspace(10, 30_000, 40)
    assert gradcheck(lambda n: envelope.Relaxed.apply(n, controls, cycles), (nibbles,), eps=1e-6, atol=1e-5)


@pytest.mark.parametrize("model", ["6581", "8580"])
def test_gradcheck_filter(model):
    torch.manual_seed(1)
    chip = models.load(model)[0]
    made = filters.tables(model, 7.4, 985_248)
    routed = (chip.voice_dc + 0.05 * torch.randn(2, 60).double()).requires_grad_()
    cutoff = torch.tensor([[700.3, 1_200.4], [300.2, 1_500.7]]).double().requires_grad_()
    resonance = torch.tensor([[3.2, 9.7], [12.4, 14.6]]).double().requires_grad_()
    inputs, selected = np.full((2, 2), 3), np.array([[1, 2], [4, 7]])
    grid = cut(60, [0, 25])

    def run(*given):
        return filters.Recur.apply(*given, inputs, selected, grid, 7.4, made, 8)

    assert gradcheck(run, (routed, cutoff, resonance), eps=1e-7, atol=1e-4, rtol=1e-3)


def test_gradcheck_mix():
    torch.manual_seed(3)
    values = frames(0x21, count=2, RES_FILT=0x01, MODE_VOL=0x1A)
    controls, chip = unpack(soft(values), 100), models.load("6581")[0]
    lines = np.array(chip.mix_lines).view(np.float32).reshape(-1, 2).astype(np.float64)
    mixed = (3 * chip.voice_dc + 0.1 * torch.randn(1, 30).double()).requires_grad_()
    filtered = (0.4 + 0.1 * torch.randn(1, 30).double()).requires_grad_()
    volume = (controls.volume.detach() + torch.linspace(-0.7, -0.3, controls.volume.shape[1])).abs().requires_grad_()
    slots = np.array([0, 2, 5, 7, 11, 14, 20, 22, 30])
    run = lambda *given: Mix.apply(*given, controls, slots, lines, chip)  # noqa: E731
    assert gradcheck(run, (mixed, filtered, volume), eps=1e-7, atol=1e-4)


@pytest.mark.parametrize("rate", [44_100, 8_000])
def test_gradcheck_output(rate):
    torch.manual_seed(4)
    grid, chip = Grid(rate, 985_248), models.load("6581")[0]
    made = cells(grid, 2, 1_500)
    sound = (0.9 * torch.randn(1, made.count).double()).requires_grad_()
    assert gradcheck(lambda s: Decimate.apply(s, grid, made, 0.1, chip), (sound,), atol=1e-6)


def test_gradients_of_a_whole_chip_are_those_of_its_sound():
    values = frames(0x41, count=6, freq=5_003, RES_FILT=0x81, MODE_VOL=0x1C, FC_HI=90, FC_LO=3)
    base = soft(values)
    sid = DifferentiableSID("8580", 16_000, envelope="relaxed")
    target = sid(soft(frames(0x41, count=6, freq=5_020, width=0x700)))

    def loss(given):
        return ((sid(given) - target) ** 2).sum()

    given = base.clone().requires_grad_()
    loss(given).backward()
    for register in (FREQ_LO, PW_LO, FC_LO, RES_FILT, MODE_VOL):
        move = torch.zeros_like(base)
        move[..., register] = 1e-4
        slope = (loss(base + move) - loss(base)) / 1e-4
        assert float(given.grad[..., register].sum()) == pytest.approx(float(slope), rel=0.02), register


def test_with_all_registers_written_a_register_that_becomes_zero_moves_nothing():
    values = [torch.tensor(frames(0x41, count=3, FC_LO=low), dtype=torch.float32)[None] for low in (0, 1)]
    chip, smooth = DifferentiableSID("8580"), DifferentiableSID("8580", timing="all")
    assert torch.equal(*(smooth(v) for v in values))  # nothing is routed, so FC is not heard
    assert not torch.equal(*(chip(v) for v in values))  # one write more delays the others, as on the chip


def test_straight_through_rounds_and_keeps_the_gradient():
    values = torch.tensor([[1.4, 200.6, 300.0]], requires_grad=True)
    rounded = round_straight_through(values)
    assert rounded.tolist() == [[1, 201, 255]]
    rounded.sum().backward()
    assert values.grad.tolist() == [[1, 1, 1]]
    sid = DifferentiableSID(rounding="straight-through")
    given = torch.tensor(frames(0x41, count=3), dtype=torch.float32)[None]
    off = (given + 0.3).requires_grad_()
    assert torch.equal(sid(off), DifferentiableSID()(given))
    sid(off).square().sum().backward()
    assert off.grad[..., PW_LO].abs().sum() > 0


def test_pack_is_what_unpack_takes_apart():
    pick = np.random.default_rng(3)
    values = torch.tensor(pick.integers(0, 256, (2, 4, 25))).double()
    for voice in range(3):
        values[..., voice * VOICE_STRIDE + PW_HI] %= 16
    values[..., FC_LO] %= 8
    controls = unpack(values, FRAME)
    byte = lambda r: torch.stack([values[..., v * VOICE_STRIDE + r] for v in range(3)], -1)  # noqa: E731
    cutoff = controls.cutoff[:, SLOTS - 1 :: SLOTS]
    packed = pack(
        controls.frequency[..., 1].transpose(1, 2), controls.pulse_width[..., 1].transpose(1, 2), byte(CONTROL),
        byte(ATTACK_DECAY), byte(SUSTAIN_RELEASE), cutoff, values[..., RES_FILT], values[..., MODE_VOL],
    )  # fmt: skip
    assert torch.equal(packed, values)


# --- Bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", [torch.zeros(50, 25), torch.zeros(1, 50, 24), torch.zeros(1, 0, 25), torch.full((1, 2, 25), torch.nan)]
)
def test_wrong_frames_are_told(given):
    with pytest.raises(LearnError, match="frames: expected"):
        DifferentiableSID()(given)


def test_wrong_names_are_told():
    with pytest.raises(LearnError, match="did you mean exact"):
        DifferentiableSID(envelope="exakt")
    with pytest.raises(LearnError, match="timing 'some': expected"):
        DifferentiableSID(timing="some")
    with pytest.raises(ModelError):
        DifferentiableSID("6582")
