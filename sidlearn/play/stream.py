"""The audio thread: one compiled function that takes due writes, clocks the chips and fills a block.

No Python runs here and no lock is taken, so neither the GIL nor a busy program can stop the sound. It calls the same
kernel as `sidlearn.SID`, which makes live sound equal to offline sound bit for bit. Everything it knows stands in one
record, see `sidlearn.play.record`.
"""

from __future__ import annotations

import sidlearn._kernel  # isort: skip  # noqa: F401  (before numba: it says where compiled code is kept)

from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.core.ccallback import CFunc
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic as numba_intrinsic

from sidlearn._kernel import kernel as compiled
from sidlearn.chip import kernel as engine
from sidlearn.chip.decimate import Decimator
from sidlearn.chip.models import MODEL_DTYPE
from sidlearn.chip.state import CHIP_DTYPE, RESPONSES, ROOM_DTYPE, VOICE_DTYPE, WINDOW
from sidlearn.play import record as layout
from sidlearn.play.record import BLOCKS_KEPT, LANES, MAX_BLOCK, MIX, RECORD_DTYPE, RING, SCOPE
from sidlearn.registers import MIRROR, VOICES
from sidlearn.writes import SIDS, WRITE_DTYPE

intrinsic: Any = numba_intrinsic  # its type knows nothing of how intrinsics are called from compiled code

RING_MASK, SCOPE_MASK, MIX_MASK, BLOCK_MASK = RING - 1, SCOPE - 1, MIX - 1, BLOCKS_KEPT - 1
ROOM = LANES * RING

# Where the parts lie in the record, for views of exactly the types that the kernel has been compiled for.
VOICES_AT, CHIPS_AT, DUE_AT, PART_AT, ROOM_AT = (
    RECORD_DTYPE.fields[name][1]  # type: ignore[index]
    for name in ("voices", "chips", "due", "part", "room")
)
VOICES_SIZE, CHIP_SIZE = VOICES * VOICE_DTYPE.itemsize, CHIP_DTYPE.itemsize
DUE_SIZE, PART_SIZE, WRITE_SIZE = ROOM * WRITE_DTYPE.itemsize, MAX_BLOCK * 4, WRITE_DTYPE.itemsize

NEVER = 1 << 62
SILENCE_SHARE = np.float32(0.995)
"""By which the level falls each sample when there is nothing to play: to a hundredth in 20 ms, without a click."""
SETTLE_EARLY, SETTLE_LATE = 0.3, 0.01
"""How fast the evened-out time of blocks follows: blocks come late by chance, never early."""
SILENT = np.float32(1e-6)
LOAD_SHARE = 0.05


def _typed(sample: np.ndarray) -> Any:
    """Return an intrinsic that sees memory as an array of exactly the type of `sample`, which carray cannot do."""
    target = numba.typeof(sample)

    def view(typing_context: Any, array: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return impl_ret_borrowed(context, builder, signature.return_type, arguments[0])

        return target(array), generate

    return intrinsic(view)


def _locked(*shape: int) -> np.ndarray:
    array = np.zeros(shape, np.float32)
    array.flags.writeable = False
    return array


as_voices = _typed(np.zeros(VOICES, VOICE_DTYPE).view(np.recarray))
as_events = _typed(np.zeros(1, WRITE_DTYPE).view(np.recarray))
as_taps = _typed(_locked(1))
as_rows = _typed(_locked(1, 1))
as_response = _typed(np.zeros(1, np.float32))
as_audio = as_response


@intrinsic
def pointer(typing_context: Any, address: Any) -> Any:
    """Turn an address into a pointer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.uint64), generate


@intrinsic
def address_of(typing_context: Any, place: Any) -> Any:
    """Turn a pointer into an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ptrtoint(arguments[0], ir.IntType(64))

    return types.uint64(place), generate


@intrinsic
def read_ticks(typing_context: Any, address: Any) -> Any:
    """Call the function at `address`, which takes nothing and gives a time as uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = ir.FunctionType(ir.IntType(64), [])
        return builder.call(builder.inttoptr(arguments[0], function.as_pointer()), [])

    return types.uint64(types.uint64), generate


@intrinsic
def call_fill(typing_context: Any, address: Any, record: Any, out: Any, frames: Any) -> Any:
    """Call `fill` by its address, so that the hosts' callbacks need not be compiled with it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        function = ir.FunctionType(ir.VoidType(), [word, word, word])
        builder.call(builder.inttoptr(arguments[0], function.as_pointer()), list(arguments[1:]))
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64, types.uint64, types.int64), generate


@intrinsic
def call_clock(
    typing_context: Any,
    address: Any,
    record: Any,
    sid: Any,
    events: Any,
    writes: Any,
    cycles: Any,
    audio: Any,
    size: Any,
) -> Any:
    """Call `_clock_exact` or `_clock_fast` by its address: only the one in use is ever compiled."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        function = ir.FunctionType(ir.VoidType(), [word] * 7)
        builder.call(builder.inttoptr(arguments[0], function.as_pointer()), list(arguments[1:]))
        return context.get_dummy_value()

    word = types.uint64
    return types.void(word, word, types.int64, word, types.int64, types.int64, word, types.int64), generate


def _fence(ordering: str) -> Any:
    def fence(typing_context: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            builder.fence(ordering)
            return context.get_dummy_value()

        return types.void(), generate

    return intrinsic(fence)


acquire, release = _fence("acquire"), _fence("release")


@compiled
def put(tail, ring, lane, head, events):
    """Put writes into a lane, as many as there is room for; return how many. Called by one thread at a time."""
    count = min(events.size, RING - (tail[lane] - head[lane]))
    for i in range(count):
        slot = (tail[lane] + i) & RING_MASK
        ring[lane, slot].cycle = events[i].cycle
        ring[lane, slot].register = events[i].register
        ring[lane, slot].value = events[i].value
    release()  # what the ring holds is seen before the new tail
    tail[lane] += count
    return count


@compiled
def cycle_of_sample(record, samples):
    """The cycle by which so many samples are out."""
    return -((-samples * record.clock_hz) // record.sample_rate)


@compiled
def keep_time(record, now, frames):
    """Note when the block was asked for; even out the chance by which such times are late."""
    record.frames = frames
    if record.blocks == 0:
        record.block_time = now
    else:
        late = now - record.due_time
        record.early = -late
        gap = late > record.slack
        if gap:
            record.underruns += 1
        if gap or abs(late) > 4 * frames / record.sample_rate:  # the device has gone on without us: time begins anew
            record.block_time = now
        else:
            record.block_time = record.due_time + late * (SETTLE_EARLY if late < 0 else SETTLE_LATE)
    record.due_time = record.block_time + frames / record.sample_rate
    kept = record.block_log[record.blocks & BLOCK_MASK]
    kept.sample, kept.asked, kept.speakers = record.samples, now, record.speakers
    record.blocks += 1


@compiled
def take_due(record, due, start, end):
    """Move the writes before cycle `end` out of the rings, in the order of their times, to those of each SID."""
    for sid in range(SIDS):
        record.due_count[sid] = record.due_next[sid] = 0
    tail0, tail1 = record.tail[0], record.tail[1]
    acquire()  # what the rings hold is not read before the tails
    last0 = last1 = start
    while True:
        cycle0 = cycle1 = NEVER
        if record.head[0] < tail0:
            cycle0 = max(record.ring[0, record.head[0] & RING_MASK].cycle, last0)
        if record.head[1] < tail1:
            cycle1 = max(record.ring[1, record.head[1] & RING_MASK].cycle, last1)
        lane = 0 if cycle0 <= cycle1 else 1
        cycle = min(cycle0, cycle1)
        if cycle >= end:
            return
        write = record.ring[lane, record.head[lane] & RING_MASK]
        if 0 <= write.cycle < start:
            record.late += 1
            record.latest = max(record.latest, start - write.cycle)
        write.cycle = cycle
        if lane == 0:
            last0 = cycle
        else:
            last1 = cycle
        sid = int(write.register) // MIRROR
        if sid < record.sids:
            register = int(write.register) % MIRROR
            slot = due[sid, record.due_count[sid]]
            slot.cycle, slot.register, slot.value = cycle, register, write.value
            record.due_count[sid] += 1
            record.registers[sid, register] = write.value
            record.written[sid, register] = cycle
        record.head[lane] += 1


@compiled
def playable(record, wanted):
    """How many of `wanted` samples can be played before the horizon."""
    if not record.running:
        return 0
    if record.horizon >= NEVER:
        return wanted
    room = min(wanted, max(record.horizon * record.sample_rate // record.clock_hz - record.samples, 0))
    if room < wanted:
        record.starved += 1
    return room


@compiled
def mix_parts(record, out, done, size):
    """Mean of the SIDs, as `chip.sid.render` takes it, to the block from sample `done` on."""
    for i in range(size):
        level = record.part[0, i]
        for sid in range(1, record.sids):
            level += record.part[sid, i]
        if record.sids > 1:
            level /= np.float32(record.sids)
        out[done + i] = level
        record.mix[(record.samples + i) & MIX_MASK] = level
    record.samples += size


@compiled
def take_points(record, size):
    """Put a point of each voice on its scope, where it is time."""
    record.scope_wait -= size
    if record.scope_wait > 0:
        return
    model = carray(pointer(record.model_at), (1,), MODEL_DTYPE)[0]
    low, high = float(model.dac_wave[0]), float(model.dac_wave[4095])
    for sid in range(record.sids):
        for v in range(VOICES):
            voice = record.voices[sid, v]
            wave = (float(model.dac_wave[voice.output]) - low) / (high - low)
            envelope = float(model.dac_env[voice.envelope_counter]) / float(model.dac_env[255])
            record.scope[sid * VOICES + v, record.scope_end & SCOPE_MASK] = (2 * wave - 1) * envelope
    record.scope_wait = record.scope_step
    record.scope_end += 1


@compiled
def fade(record, out, done):
    """Let the level sink to silence where there is nothing to play."""
    if done:
        record.last_level = out[done - 1]
    level = record.last_level
    for i in range(done, out.size):
        level *= SILENCE_SHARE
        out[i] = level
    record.last_level = level if abs(level) > SILENT else np.float32(0)


@compiled
def decimator_of(record):
    """The decimator that the record holds the addresses of."""
    return Decimator(
        as_taps(carray(pointer(record.stage1_at), (WINDOW,), np.float32)),
        as_taps(carray(pointer(record.half_at), (record.half_taps,), np.float32)),
        as_rows(carray(pointer(record.stage2_at), (record.stage2_rows, record.stage2_columns), np.float32)),
        record.step,
        record.clock_hz,
        record.sample_rate,
    )


def _clock_exact(record_at, sid, events_at, writes, cycles, audio_at, samples):
    """Clock a SID by `cycles` with the writes at `events_at`, into float32 at `audio_at`."""
    record = carray(pointer(record_at), (1,), RECORD_DTYPE)[0]
    voices = as_voices(carray(pointer(record_at + VOICES_AT + sid * VOICES_SIZE), (VOICES,), VOICE_DTYPE))
    chips = carray(pointer(record_at + CHIPS_AT), (SIDS,), CHIP_DTYPE)
    model = carray(pointer(record.model_at), (1,), MODEL_DTYPE)[0]
    room = carray(pointer(record_at + ROOM_AT), (1,), ROOM_DTYPE)[0]
    events = as_events(carray(pointer(events_at), (writes,), WRITE_DTYPE))
    audio = as_audio(carray(pointer(audio_at), (samples,), np.float32))
    engine.clock_chip(voices, chips[sid], model, events, cycles, decimator_of(record), room, audio)


def _clock_fast(record_at, sid, events_at, writes, cycles, audio_at, samples):
    """As `_clock_exact`, in mode "fast"."""
    record = carray(pointer(record_at), (1,), RECORD_DTYPE)[0]
    voices = as_voices(carray(pointer(record_at + VOICES_AT + sid * VOICES_SIZE), (VOICES,), VOICE_DTYPE))
    chips = carray(pointer(record_at + CHIPS_AT), (SIDS,), CHIP_DTYPE)
    model = carray(pointer(record.model_at), (1,), MODEL_DTYPE)[0]
    room = carray(pointer(record_at + ROOM_AT), (1,), ROOM_DTYPE)[0]
    events = as_events(carray(pointer(events_at), (writes,), WRITE_DTYPE))
    audio = as_audio(carray(pointer(audio_at), (samples,), np.float32))
    responses = as_response(carray(pointer(record.responses_at), (RESPONSES,), np.float32))
    engine.clock_chip_fast(voices, chips[sid], model, events, cycles, decimator_of(record), room, responses, audio)


def _fill(record_at, out_at, wanted):
    """Fill a block of `wanted` samples, float32 at `out_at`, from the record at `record_at`."""
    record = carray(pointer(record_at), (1,), RECORD_DTYPE)[0]
    out = carray(pointer(out_at), (wanted,), np.float32)
    begun = read_ticks(record.ticks_at) / record.ticks_hz
    keep_time(record, begun, wanted)
    start = record.chips[0].cycle
    record.block_cycle = start
    room = playable(record, wanted)
    done = 0
    if room:
        take_due(record, record.due, start, cycle_of_sample(record, record.samples + room))
    while done < room:
        size = room - done
        if record.scope_step:
            record.scope_wait = max(min(record.scope_wait, record.scope_step), 1)
            size = min(size, record.scope_wait)
        end = cycle_of_sample(record, record.samples + size)
        for sid in range(record.sids):
            first = record.due_next[sid]
            until = first
            while until < record.due_count[sid] and record.due[sid, until].cycle < end:
                until += 1
            record.due_next[sid] = until
            call_clock(
                record.clock_at,
                record_at,
                sid,
                record_at + DUE_AT + sid * DUE_SIZE + first * WRITE_SIZE,
                until - first,
                end - record.chips[sid].cycle,
                record_at + PART_AT + sid * PART_SIZE,
                size,
            )
        mix_parts(record, out, done, size)
        done += size
        if record.scope_step:
            take_points(record, size)
    fade(record, out, done)
    taken = (read_ticks(record.ticks_at) / record.ticks_hz - begun) * record.sample_rate / wanted
    record.load += LOAD_SHARE * (taken - record.load)
    record.load_peak = max(record.load_peak, taken)


def _sdl_callback(record_at, out_at, size):
    """SDL_AudioCallback: mono float32."""
    record = carray(pointer(record_at), (1,), RECORD_DTYPE)[0]
    call_fill(record.fill_at, record_at, out_at, size // 4)


def _portaudio_callback(input_at, out_at, frames, times_at, flags, record_at):
    """PaStreamCallback: mono float32. Source of the flag: portaudio.h."""
    record = carray(pointer(record_at), (1,), RECORD_DTYPE)[0]
    if flags & 4:  # paOutputUnderflow
        record.underruns += 1
    times = carray(pointer(times_at), (3,), np.float64)  # of the input, now, of the output
    if times[2] > times[1]:
        record.speakers = times[2] - times[1]
    call_fill(record.fill_at, record_at, out_at, frames)
    return 0


_CLOCK = types.void(types.uint64, types.int64, types.uint64, types.int64, types.int64, types.uint64, types.int64)
_FUNCTIONS = {
    "exact": (_clock_exact, _CLOCK),
    "fast": (_clock_fast, _CLOCK),
    "fill": (_fill, types.void(types.uint64, types.uint64, types.int64)),
    "sdl": (_sdl_callback, types.void(types.uint64, types.uint64, types.int32)),
    "portaudio": (
        _portaudio_callback,
        types.int32(types.uint64, types.uint64, types.uint64, types.uint64, types.uint64, types.uint64),
    ),
}


@cache
def callback(name: str) -> Any:
    """Return a compiled function by its name in `_FUNCTIONS`; the first time on a computer takes a while."""
    function, signature = _FUNCTIONS[name]
    parts = signature.args, signature.return_type
    made: Any = CFunc(function, parts, locals={}, options={"error_model": "numpy", "nopython": True})
    made.enable_caching()
    _watch(made, Path(engine.__file__), Path(layout.__file__))
    made.compile()
    return made


def _watch(made: Any, *others: Path) -> None:
    """Let the cache see a change of other source files: numba looks at that of the function alone."""
    stored = made._cache._cache_file
    stamps = [(path.stat().st_mtime, path.stat().st_size) for path in others]
    stored._source_stamp = (stored._source_stamp, *stamps)
