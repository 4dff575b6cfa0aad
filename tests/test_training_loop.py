"""The loop around the compiled steps: what it compiles, how it judges, when Ctrl-C acts."""

import signal
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from densiflow import recipes, training
from densiflow.training import interrupts
from densiflow.training import rows as training_rows
from densiflow.training.held_out import HeldOut

KEY = jax.random.key(0)


def small(dim=2, context_dim=0, **options):
    return recipes.made(KEY, dim=dim, context_dim=context_dim, hidden=(8,), **options)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(3.0, 2.0, (700, 2))


@pytest.fixture
def listening():
    """Ctrl-C raises KeyboardInterrupt, also where the tests were started with it ignored, as in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_another_table_size_rate_or_number_of_epochs_compiles_nothing(x):
    options = {"batch_size": 32, "verbose": False}
    training.fit(
        small(), KEY, x, max_epochs=1, **options
    )  # 630 rows: whole batches and a short one; 70 held out, scored as 256
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, _, **__: compiled.append(name))
    try:
        for rows, held, settings in (
            (640, 65, {"max_epochs": 1}),  # no short batch
            (641, 99, {"max_epochs": 2, "learning_rate": 0.1}),  # a last batch of one row
            (300, 250, {"patience": 1, "weight_decay": 0.01}),
        ):
            options |= {"validation": (x[:held],), "sample_weight": np.linspace(1, 2, rows)}
            training.fit(small(), KEY, x[:rows], **options, **settings)
    finally:
        jax.monitoring.clear_event_listeners()
    assert not [name for name in compiled if "backend_compile" in name]


def test_held_out_rows_cut_in_pieces_score_as_the_flow_does(monkeypatch):
    monkeypatch.setattr("densiflow.training.held_out.sizes_for", lambda flow: (8, 16))
    rng = np.random.default_rng(0)
    flow = small(2, 1, start="random")
    x, context, weight = rng.normal(size=(39, 2)), rng.normal(size=(39, 1)), rng.uniform(size=39)
    held = HeldOut(training_rows.Rows(x, context, weight, np.full(39, 0.25)), flow)
    score = float(held.scores(flow.log_prob))
    expected = np.average(np.asarray(flow.log_prob(x, context), np.float64), weights=weight) + 0.25
    assert score == pytest.approx(expected, rel=1e-6)
    assert [len(piece) for piece, _ in held.pieces] == [16, 16, 16]
    assert float(held.scores(lambda x, context: jnp.full(len(x), jnp.nan))) == -np.inf


@pytest.mark.usefixtures("listening")
def test_ctrl_c_waits_while_a_result_is_taken_over():
    seen = []

    def interrupted():
        with interrupts.held():
            signal.raise_signal(signal.SIGINT)
            seen.append("the rest of the block")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert seen
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(RuntimeError), interrupts.held():
        raise RuntimeError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts.held():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_fit_in_another_thread_needs_no_signals(x):
    with ThreadPoolExecutor(1) as pool:
        fitted, _ = pool.submit(training.fit, small(), KEY, x, max_epochs=1).result()
    again, _ = training.fit(small(), KEY, x, max_epochs=1)
    np.testing.assert_array_equal(fitted.log_prob(x), again.log_prob(x))
