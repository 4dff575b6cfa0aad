"""The processes that are measured, one a library, and the turns that they take."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.append(str(ROOT / "tests" / "oracles"))  # whose environments are the peers' here too
from make import environment  # noqa: E402

LIBRARIES = {  # its script, its environment (None is ours), settings
    "densiflow": ("densiflow", None, {"DENSIFLOW_NATIVE": "1"}),
    "jax alone": ("densiflow", None, {"DENSIFLOW_NATIVE": "0"}),
    "flowjax": ("flowjax", "torch_and_jax", {}),
    "zuko": ("zuko", "torch_and_jax", {}),
    "nflows": ("nflows", "torch_and_jax", {}),
    "TFP": ("tfp", "tensorflow", {}),
}
# torch's threads give way soon, or whatever else the machine does would cost torch more than the others
QUIET = {"GOMP_SPINCOUNT": "1000", "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
PAUSE = 0.02  # seconds between turns, in which the threads of the last process go to sleep


class Worker:
    """A library's process; `ask` waits for its answer."""

    def __init__(self, library, settings=None):
        script, name, own = LIBRARIES[library]
        python = sys.executable if name is None else environment(name)
        (ROOT / ".cache").mkdir(exist_ok=True)
        self.log = open(ROOT / ".cache" / f"bench_{library}.log", "w")  # noqa: SIM115 (closed with the process)
        self.process = subprocess.Popen(
            [python, HERE / "peers" / f"peer_{script}.py"],
            env=os.environ | QUIET | own | (settings or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"a process ended; what it said is in {self.log.name}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.log.close()


@dataclass(frozen=True)
class Entrant:
    """A library, perhaps used in a way of its own, and what it can do: quantities, kinds and cases.

    "densiflow" runs its compiled kernels where it has one, "jax alone" does without them.
    """

    library: str
    way: str = ""
    quantities: tuple[str, ...] = ("train", "log_prob", "sample", "peak")
    kinds: tuple[str, ...] = ("affine", "conditional", "spline", "coupling")
    skips: tuple[str, ...] = ()

    @property
    def label(self):
        name = "densiflow, JAX alone" if self.library == "jax alone" else self.library
        return f"{name}, {self.way}" if self.way else name

    def enters(self, case, quantity):
        return quantity in self.quantities and case.kind in self.kinds and case.name not in self.skips


def measure(workers, entrants, case, quantity, rows, rounds, slow=()):
    """Every entrant's seconds a unit, round by round: ``{label: {"seconds": [...], "variant": ...}}``.

    Entrants named in `slow` run once, without a warm-up.
    """
    ready = {}
    for entrant in entrants:
        answer = workers[entrant.library].ask(
            prepare=entrant.label,
            case=case.as_dict(),
            quantity=quantity,
            rows=rows,
            way=entrant.way,
            slow=entrant.label in slow,
        )
        for variant, words in answer["broken"].items():
            print(f"    {entrant.label}, {variant or 'as it is'}: {words}", flush=True)
        if "variant" in answer:
            ready[entrant] = {"variant": answer["variant"], "prepared": answer["prepared"], "seconds": []}
    for turn in range(rounds):
        for entrant, result in ready.items():
            if entrant.label in slow and turn:
                continue
            time.sleep(PAUSE)
            result["seconds"].append(workers[entrant.library].ask(time=entrant.label)["seconds"])
    for entrant in ready:
        workers[entrant.library].ask(forget=entrant.label)
    return {entrant.label: result for entrant, result in ready.items()}


def ratio(result, ours):
    """Median over the rounds of a peer's time against ours in the same round."""
    return median(a / b for a, b in zip(result["seconds"], ours["seconds"], strict=False))
