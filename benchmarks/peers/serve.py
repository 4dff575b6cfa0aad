"""What every library's process does: make a measurement ready, then take its time once whenever the driver asks.

One line of JSON comes in and one goes out. ``{"prepare": id, "case": ..., "quantity": ..., "rows": ..., "way": ...}``
compiles, warms up and answers how long a unit took; ``{"time": id}`` runs one block of units and answers with the
seconds of one; ``{"forget": id}`` drops it. Between lines the process sleeps, so only one computes at a time.

A peer is a function ``make(case, quantity, rows, way) -> {variant: run}``, where ``run(count)`` does about that many
units, waits for the last, and returns how many it did. The fastest variant is the one that is timed.
"""

import json
import os
import sys
import time
import traceback
from types import SimpleNamespace

import numpy as np

BLOCK = 0.3  # seconds of units in one timed block


def rows_of(case, *shape):
    return np.random.default_rng(0).standard_normal((*shape, case.dim), np.float32)


def contexts_of(case, *shape):
    """None where the case has none."""
    numbers = np.random.default_rng(2)
    return numbers.standard_normal((*shape, case.context_dim), np.float32) if case.context_dim else None


def jittered(weight, numbers):
    """That array moved from where it started, by a tenth of what an initial weight is."""
    weight = np.asarray(weight)
    moved = 0.1 * numbers.standard_normal(weight.shape) / np.sqrt(max(weight.shape[-1:] or (1,)))
    return (weight + moved).astype(weight.dtype)


def seconds_of(run, count=1):
    started = time.perf_counter()
    done = run(count)
    return (time.perf_counter() - started) / done


def wall_of(run):
    started = time.perf_counter()
    run(1)
    return time.perf_counter() - started


def fastest(variants, is_slow):
    """The variant to time: ``(name, run, seconds, seconds its compilation took)``, and what went wrong with others.

    A slow one is not warmed up. A first call that took longer than the second compiled.
    """
    found, broken = None, {}
    for name, run in variants.items():
        try:
            first, second = (0.0, 0.0) if is_slow else (wall_of(run), wall_of(run))
            seconds = 0.0 if is_slow else seconds_of(run)
        except Exception as error:  # one that a library can't do is reported, and another taken
            traceback.print_exc()
            broken[name] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            continue
        if found is None or seconds < found[2]:
            found = (name, run, seconds, max(0.0, first - second))
    return found, broken


def serve(make):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints goes to stderr
    ready = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "forget" in request:
            ready.pop(request["forget"], None)
            answer = {}
        elif "time" in request:
            run, count = ready[request["time"]]
            answer = {"seconds": seconds_of(run, count)}
        else:
            started = time.perf_counter()
            variants = make(SimpleNamespace(**request["case"]), request["quantity"], request["rows"], request["way"])
            found, broken = fastest(variants, request.get("slow", False))
            answer = {"broken": broken, "prepared": time.perf_counter() - started}
            if found is not None:
                variant, run, seconds, compiling = found
                ready[request["prepare"]] = run, max(1, round(BLOCK / seconds)) if seconds else 1
                answer |= {"variant": variant, "seconds": seconds, "compiling": compiling}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
