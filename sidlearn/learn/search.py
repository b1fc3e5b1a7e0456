"""Which three atoms and which filter setting sound most like a frame: pursuit on compressed band power."""

from __future__ import annotations

import math

import numpy as np

from sidlearn._kernel import kernel

SLOTS = 3
LEVELS = 24
LEVEL_STEP_DB = 2.0
COARSE = (0, 4, 8, 12, 17)
"""Levels that every atom is tried at; the best one's neighbours follow."""
FILTERED_PENALTY = 1.0
OFF = -1

FLOOR = 1e-9  # power of a band that counts as silent, 90 dB under a full-scale partial


@kernel
def compress(power, out):
    """Power to its eighth root, the scale on which bands are compared."""
    for b in range(power.size):
        out[b] = math.sqrt(math.sqrt(math.sqrt(power[b])))


@kernel
def squared_distance(one, other, weight):
    """Weighted squared distance of two compressed spectra; four sums at a time."""
    s0 = s1 = s2 = s3 = np.float32(0)
    for b in range(0, weight.size, 4):
        d0 = one[b] - other[b]
        d1 = one[b + 1] - other[b + 1]
        d2 = one[b + 2] - other[b + 2]
        d3 = one[b + 3] - other[b + 3]
        s0 += weight[b] * d0 * d0
        s1 += weight[b + 1] * d1 * d1
        s2 += weight[b + 2] * d2 * d2
        s3 += weight[b + 3] * d3 * d3
    return (s0 + s1) + (s2 + s3)


@kernel
def distance(base, atom, gain, level, target, weight, room):
    """Weighted squared distance between a target and `base` plus an atom, all but `base` compressed already."""
    for b in range(base.size):
        room[b] = math.sqrt(math.sqrt(math.sqrt(base[b] + level * atom[b] * gain[b])))
    return squared_distance(room, target, weight)


@kernel
def search_frame(
    atoms, cost, allowed, gains, tried, routed, target, floor, weight, level_of, coarse, sweeps, best, losses
):
    """For each filter setting in `tried` the best three atoms.

    Parameters
    ----------
    atoms : float32 (atoms, bands)
    cost : float32 (atoms,), added to the loss where an atom is used
    allowed : bool (SLOTS, atoms)
    gains : float32 (filters, bands); row 0 is all ones
    tried : int64 (settings,), rows of `gains`
    routed : bool (settings, SLOTS), which voices go through the filter
    target, floor, weight : float32 (bands,); the target is compressed
    level_of : float32 (LEVELS,), power
    coarse : int64, levels tried first
    sweeps : int, how often all three are chosen again
    best : int64 (settings, SLOTS, 2), filled with atom or OFF, and level
    losses : float32 (settings,), filled
    """
    base = np.empty(target.size, np.float32)
    room = np.empty(target.size, np.float32)
    for i in range(tried.size):
        chosen = best[i]
        chosen[:, 0] = OFF
        loss = np.float32(np.inf)
        for _ in range(sweeps):
            before = loss
            for slot in range(SLOTS):
                mix_others(atoms, chosen, slot, gains, tried[i], routed[i], level_of, floor, base)
                extra = np.float32(0)
                for other in range(SLOTS):
                    if other != slot and chosen[other, 0] != OFF:
                        extra += cost[chosen[other, 0]]
                gain = gains[tried[i]] if routed[i, slot] else gains[0]
                lowest = choose(
                    atoms, cost, allowed[slot], gain, base, target, weight, level_of, coarse, chosen[slot], room
                )
                loss = lowest + extra
            if before - loss < 1e-3 * loss:
                break
        losses[i] = loss


@kernel
def mix_others(atoms, chosen, slot, gains, setting, routed, level_of, floor, base):
    """Power of all slots but one."""
    base[:] = floor
    for other in range(SLOTS):
        if other == slot or chosen[other, 0] == OFF:
            continue
        atom = atoms[chosen[other, 0]]
        through = gains[setting] if routed[other] else gains[0]
        level = level_of[chosen[other, 1]]
        for b in range(base.size):
            base[b] += level * atom[b] * through[b]


@kernel
def choose(atoms, cost, allowed, gain, base, target, weight, level_of, coarse, chosen, room):
    """Choose the atom of one slot; return its loss."""
    chosen[0] = OFF
    chosen[1] = 0
    lowest = distance(base, atoms[0], gain, np.float32(0), target, weight, room)
    for a in range(len(atoms)):
        if not allowed[a]:
            continue
        for c in range(coarse.size):
            loss = distance(base, atoms[a], gain, level_of[coarse[c]], target, weight, room) + cost[a]
            if loss < lowest:
                lowest = loss
                chosen[0], chosen[1] = a, coarse[c]
    if chosen[0] != OFF:
        middle = chosen[1]
        for level in range(max(middle - 3, 0), min(middle + 4, level_of.size)):
            loss = distance(base, atoms[chosen[0]], gain, level_of[level], target, weight, room) + cost[chosen[0]]
            if loss < lowest:
                lowest = loss
                chosen[1] = level
    return lowest


@kernel
def refit(atoms, cost, gains, setting, routed, target, floor, weight, level_of, chosen, room, base):
    """Choose the levels of given atoms again, from those they have; return the loss."""
    loss = np.float32(0)
    for _ in range(2):
        for slot in range(SLOTS):
            a = chosen[slot, 0]
            if a == OFF:
                continue
            mix_others(atoms, chosen, slot, gains, setting, routed, level_of, floor, base)
            gain = gains[setting] if routed[slot] else gains[0]
            lowest = np.float32(np.inf)
            middle = chosen[slot, 1]
            for level in range(max(middle - 4, 0), min(middle + 5, level_of.size)):
                loss = distance(base, atoms[a], gain, level_of[level], target, weight, room)
                if loss < lowest:
                    lowest = loss
                    chosen[slot, 1] = level
            loss = lowest
    if chosen[0, 0] == OFF and chosen[1, 0] == OFF and chosen[2, 0] == OFF:
        base[:] = floor
        loss = distance(base, atoms[0], gains[0], np.float32(0), target, weight, room)
    for slot in range(SLOTS):
        if chosen[slot, 0] != OFF:
            loss += cost[chosen[slot, 0]]
    return loss


@kernel
def best_path(power, own, dc, click, target, weight, change, keep):
    """Viterbi over the candidates of all frames; a step of the constant part between two of them is heard in both.

    Parameters
    ----------
    power : float32 (frames, K, bands), floor included
    own : float32 (frames, K), loss of each candidate, inf where there is none
    dc : float32 (frames, K), constant part
    click : float32 (bands,), power of a step of 1 at the edge of a frame
    target, weight : float32 (frames, bands), (bands,)
    change : float32 (frames, K, K), cost of going from a candidate of the frame before
    keep : int64 (frames,), filled with the candidates of the best path
    """
    frames, size, bands = power.shape
    total = np.full((frames, size), np.inf, np.float64)
    parent = np.zeros((frames, size), np.int64)
    room = np.empty(bands, np.float32)
    ones = np.ones(bands, np.float32)
    total[0] = own[0]
    for t in range(1, frames):
        for k in range(size):
            if own[t, k] == np.inf:
                continue
            for j in range(size):
                if own[t - 1, j] == np.inf:
                    continue
                step = dc[t, k] - dc[t - 1, j]
                square = step * step
                here = distance(power[t, k], click, ones, square, target[t], weight, room)
                before = distance(power[t - 1, j], click, ones, square, target[t - 1], weight, room)
                cost = total[t - 1, j] + here + before - own[t - 1, j] + change[t, k, j]
                if cost < total[t, k]:
                    total[t, k] = cost
                    parent[t, k] = j
    at = int(np.argmin(total[frames - 1]))
    for i in range(frames):
        t = frames - 1 - i
        keep[t] = at
        at = parent[t, at]
