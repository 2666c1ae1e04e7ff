"""Numbers that depend on content alone: the same on every machine, in every process and order."""

import hashlib

import numpy as np


def hash_text(text: str) -> int:
    """64 bits of a text."""
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def uniform(keys: np.ndarray, *salts: int) -> np.ndarray:
    """One number in [0, 1) for every key, drawn from the key and the salts only. `keys`: [N] uint64."""
    state = keys.astype(np.uint64)
    for salt in salts:
        state = _mix(state ^ _mix(np.array([salt], np.uint64)))
    return (_mix(state) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(state: np.ndarray) -> np.ndarray:
    """One step of SplitMix64 (Steele, Lea and Flood, 2014)."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
