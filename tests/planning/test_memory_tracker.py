"""Live bytes by part, and when they were most."""

import torch

from llm2comp.planning.memory_tracker import MemoryTracker

KIB = 1024


def block() -> torch.Tensor:
    return torch.zeros(KIB, dtype=torch.uint8)


def test_what_is_freed_no_longer_counts_but_did():
    with MemoryTracker(vocab_size=0) as tracker:
        first = block()
        second = block()
        assert tracker.live["activations"] == 2 * KIB
        del first
        assert tracker.live["activations"] == KIB
        third = block()
        assert tracker.live["activations"] == 2 * KIB
        del second, third
    assert tracker.live["activations"] == 0
    assert tracker.peaks["start"][0]["activations"] == 2 * KIB


def test_views_and_changes_in_place_take_nothing():
    with MemoryTracker(vocab_size=0) as tracker:
        tensor = block()
        view = tensor.view(2, -1).t()[:1]
        tensor += 1
    assert tracker.live["activations"] == KIB
    del tensor
    assert tracker.live["activations"] == KIB  # the view keeps it
    del view
    assert tracker.live["activations"] == 0


def test_parts_are_told_apart():
    weights, gradient = block(), block()
    tracker = MemoryTracker(vocab_size=7)
    tracker.count(weights, "weights")
    with tracker:
        product = weights + 1
        logits = torch.zeros(3, 7)
        with tracker.all_is("optimizer"):
            state = torch.zeros(3, 7)
        tracker.count(gradient, "gradients")
    assert product is not None
    assert tracker.live == {
        "weights": KIB,
        "frozen copy": 0,
        "trained": 0,
        "gradients": KIB,
        "optimizer": 84,
        "activations": KIB,
        "logits": 84,
    }
    tracker.count(logits, "activations")
    assert (tracker.live["logits"], tracker.live["activations"]) == (0, KIB + 84)
    del state


def test_each_segment_has_its_peaks_of_all_and_of_the_batch():
    tracker = MemoryTracker(vocab_size=0)
    with tracker:
        tracker.begin("one")
        activations = block()
        with tracker.all_is("gradients"):
            gradients = [block(), block()]
        more = block()
        del more, gradients
        last = [block(), block()]
        del last
        tracker.begin("two")
        again = block()
    of_all, of_batch = tracker.peaks["one"]
    assert (of_all["activations"], of_all["gradients"]) == (2 * KIB, 2 * KIB)
    assert (of_batch["activations"], of_batch["gradients"]) == (3 * KIB, 0)
    assert tracker.peaks["two"][0]["activations"] == 2 * KIB
    del activations, again


def test_storages_take_multiples_of_the_unit():
    with MemoryTracker(vocab_size=0, unit=512) as tracker:
        tensors = [torch.zeros(1), torch.zeros(129)]
    assert tracker.live["activations"] == 512 + 1024
    del tensors
