"""The global random generators: their state, and whether they were seeded or only went on."""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Collection
from typing import Any

from kedro_eeipu.beginning import random_state
from kedro_eeipu.hooks.process_parts import Part, of_library

__all__ = ["GENERATORS", "continues", "draw_anew", "seeded_by_now"]

_MOST_BLOCKS = 2000


def _random_state() -> list[Any]:
    version, words, gauss = random.getstate()
    return [version, list(words), gauss]


def _restore_random(value: list[Any]) -> None:
    version, words, gauss = value
    random.setstate((version, tuple(words), gauss))


def _numpy_state(numpy: Any) -> list[Any]:
    kind, words, position, has_gauss, gauss = numpy.random.get_state()
    return [str(kind), words.tobytes().hex(), int(position), int(has_gauss), float(gauss)]


def _restore_numpy(numpy: Any, value: list[Any]) -> None:
    kind, words, *rest = value
    numpy.random.set_state((kind, numpy.frombuffer(bytes.fromhex(words), dtype="uint32"), *rest))


def _torch_state(torch: Any) -> str:
    return str(torch.get_rng_state().numpy().tobytes().hex())


def _restore_torch(torch: Any, value: str) -> None:
    torch.set_rng_state(torch.frombuffer(bytearray.fromhex(value), dtype=torch.uint8))


GENERATORS: dict[str, Part] = {
    "Python's random generator": Part(_random_state, _restore_random),
    "numpy's random generator": of_library("numpy", _numpy_state, _restore_numpy),
    "torch's random generator": of_library("torch", _torch_state, _restore_torch),
}


def seeded_by_now() -> frozenset[str]:
    """Generators that were seeded before anybody looked, while `settings.py` was imported say.

    Of Python's, that is known where Kedro's command line has begun the process; numpy's no longer
    knows its entropy then. Torch begins alike in every process.
    """
    seeded = set()
    noted, name = random_state(), "Python's random generator"
    if noted is not None and not continues(name, noted, GENERATORS[name].read()):
        seeded.add(name)
    numpy = sys.modules.get("numpy")
    generator = None if numpy is None else getattr(numpy.random.mtrand, "_rand", None)
    bits = getattr(generator, "_bit_generator", None)
    if bits is not None and getattr(bits, "seed_seq", bits) is None:
        seeded.add("numpy's random generator")
    return frozenset(seeded)


def draw_anew(seeded: Collection[str]) -> dict[str, Any]:
    """Let generators begin as in a new process, where chance decides; their states then.

    A fork inherits the generators of its parent. Torch starts in the same state in every process.

    Args:
        seeded: Generators that stay as they are.
    """
    anew = {"Python's random generator": random.seed}
    if "numpy" in sys.modules:
        anew["numpy's random generator"] = sys.modules["numpy"].random.seed
    for name in anew.keys() - set(seeded):
        anew[name]()
    return {name: GENERATORS[name].read() for name in anew.keys() - set(seeded)}


def continues(name: str, before: Any, after: Any) -> bool:
    """Whether a generator went on from its state, rather than being seeded.

    All three are Mersenne twisters, which make their 624 words again after that many draws. The
    words that follow are looked through for those that are there now; whoever draws more than
    a million numbers is taken for one that seeds.
    """
    sought = _words(name, after)
    if _words(name, before) == sought:
        return True
    twister = _twister(_words(name, before))
    for _ in range(_MOST_BLOCKS):
        twister.bytes(4 * 624)
        if twister.get_state()[1].tobytes() == sought:
            return True
    return False


def _words(name: str, state: Any) -> bytes:
    """The 624 words of a generator."""
    if name.startswith("numpy"):
        return bytes.fromhex(state[1])
    if name.startswith("torch"):
        # The seed, two counts and the next position, then a word in eight bytes each.
        words = struct.unpack_from("<624Q", bytes.fromhex(state), 24)
        return struct.pack("<624I", *words)
    return struct.pack("<624I", *state[1][:624])


def _twister(words: bytes) -> Any:
    """A twister of numpy's with these words, all of which are used up."""
    import numpy

    twister = numpy.random.RandomState(0)
    twister.set_state(("MT19937", numpy.frombuffer(words, dtype="uint32"), 624, 0, 0.0))
    return twister
