"""Training kept in a file: gone on with to the bit, refused where it is of another fit, never half-written."""

import signal

import jax
import numpy as np
import pytest

from densiflow import FlowClassifier, FlowDensity, FlowOutlierDetector, FlowRegressor, load, recipes, training
from densiflow.errors import ArgumentError, CheckpointError, ModelFileError, OutputPathError, TrainingWarning
from densiflow.files import to_bytes
from densiflow.training import keeper as keepers
from densiflow.training.progress import Progress

KEY = jax.random.key(0)
COMMON = {"batch_size": 32, "patience": 5, "learning_rate": 0.05, "verbose": False}


def small(key=KEY, dim=2, hidden=(4,)):
    return recipes.made(key, dim=dim, hidden=hidden)


def several():
    return [small(key) for key in jax.random.split(KEY, 2)]


FITS = {"fit": (small, training.fit), "ensemble": (several, training.fit_ensemble)}


@pytest.fixture(scope="module")
def x():
    x = np.random.default_rng(0).normal(3.0, 2.0, (120, 2))
    return x + 0.3 * np.column_stack([np.zeros(120), x[:, 0] ** 2])


@pytest.fixture
def listening():
    """Ctrl-C raises KeyboardInterrupt, also where the tests were started with it ignored, as in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def ctrl_c(monkeypatch, listening):
    """Ctrl-C within the epoch after so many have ended."""

    def after(epochs):
        def update(self, history, done):
            if done > epochs:
                monkeypatch.undo()
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(Progress, "update", update)

    return after


def histories_of(history):
    return history if isinstance(history, list) else [history]


@pytest.mark.parametrize("name", FITS)
def test_an_interrupted_training_gone_on_with_is_one_that_was_not(x, tmp_path, ctrl_c, name):
    start, fit = FITS[name]
    options = {"max_epochs": 60, **COMMON}
    whole, expected = fit(start(), KEY, x, **options)
    assert all("no better" in history.stopped for history in histories_of(expected))  # the rate was cut on the way
    longest = max(len(history.train) for history in histories_of(expected))
    path = tmp_path / "run"
    for epochs in (3, longest - 2):
        ctrl_c(epochs)
        _, stopped = fit(start(), KEY, x, checkpoint=training.Checkpoint(path, every=1e9), **options)
        assert "interrupted" in {history.stopped for history in histories_of(stopped)}
        assert path.exists()
    again, history = fit(start(), KEY, x, checkpoint=path, **options)
    assert to_bytes(again) == to_bytes(whole)
    assert history == expected
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_was_killed_goes_on_from_the_last_writing(x, tmp_path, monkeypatch):
    path, taken = tmp_path / "run", []
    whole_epoch_ended = keepers.FileKeeper.epoch_ended

    def killed(self, run):
        whole_epoch_ended(self, run)
        taken.append(run.courses[0].schedule.step)
        if len(taken) == 4:
            raise SystemExit

    options = {"max_epochs": 9, "validation": 0, **COMMON}
    whole, _ = training.fit(small(), KEY, x, **options)
    with monkeypatch.context() as patched:
        patched.setattr(keepers.FileKeeper, "epoch_ended", killed)
        with pytest.raises(SystemExit):
            training.fit(small(), KEY, x, checkpoint=training.Checkpoint(path, every=0), **options)
    steps = []
    monkeypatch.setattr(Progress, "update", lambda self, history, done: steps.append(done))
    again, _ = training.fit(small(), KEY, x, checkpoint=path, **options)
    assert steps[0] == 5.0  # no epoch is done twice
    assert to_bytes(again) == to_bytes(whole)


@pytest.fixture(scope="module")
def kept(x, tmp_path_factory):
    """The bytes of a training interrupted after two epochs."""
    path = tmp_path_factory.mktemp("kept") / "run"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Progress, "update", interrupt_in_the_third)
        training.fit(small(), KEY, x, max_epochs=5, checkpoint=path, **COMMON)
    return path.read_bytes()


def interrupt_in_the_third(self, history, done):
    if done > 2:
        raise KeyboardInterrupt


OTHERS = {
    "x differs": lambda x: {"x": x + 1e-9},
    "flow differs": lambda x: {"flow": small(hidden=(5,))},
    "key differs": lambda x: {"key": jax.random.key(1)},
    "sample_weight differs": lambda x: {"sample_weight": np.linspace(1, 2, len(x))},
    "validation is 0.1 there and 0.2 here": lambda x: {"validation": 0.2},
    "validation differs": lambda x: {"validation": (x[:10],)},
    "learning_rate is 0.05 there and 0.01 here": lambda x: {"learning_rate": 0.01},
    "batch_size is 32 there and 16 here": lambda x: {"batch_size": 16},
    "max_epochs is 2": lambda x: {"max_epochs": 2},
}


@pytest.mark.parametrize("difference", OTHERS)
def test_another_fit_does_not_go_on_from_it(x, tmp_path, kept, difference):
    path = tmp_path / "run"
    path.write_bytes(kept)
    arguments = {"flow": small(), "key": KEY, "x": x, "max_epochs": 5, **COMMON, **OTHERS[difference](x)}
    with pytest.raises(CheckpointError, match=f"{difference}.*delete the file") as raised:
        training.fit(checkpoint=path, **arguments)
    assert "\n" not in str(raised.value)
    assert path.read_bytes() == kept


def test_epochs_and_patience_may_be_raised(x, tmp_path, kept):
    path = tmp_path / "run"
    path.write_bytes(kept)
    _, history = training.fit(small(), KEY, x, checkpoint=path, **COMMON | {"max_epochs": 7, "patience": 9})
    assert len(history.train) == 7
    assert not path.exists()


DAMAGES = {
    "empty": (lambda held: b"", "can't go on"),
    "truncated": (lambda held: held[:-40], "truncated or damaged"),
    "a bit is flipped": (lambda held: held[:-9] + bytes([held[-9] ^ 1]) + held[-8:], "checksum"),
    "a table": (lambda held: b"a,b\n1,2\n" * 100, "can't go on"),
    "a model": (lambda held: to_bytes(small()), "holds no training"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_is_damaged_or_something_else_is_refused_and_left(x, tmp_path, kept, damage):
    path, (damaged, words) = tmp_path / "run", DAMAGES[damage]
    path.write_bytes(damaged(kept))
    with pytest.raises(CheckpointError, match=words):
        training.fit(small(), KEY, x, max_epochs=5, checkpoint=path, **COMMON)
    assert path.read_bytes() == damaged(kept)
    assert list(tmp_path.iterdir()) == [path]


def test_weights_that_do_not_fit_are_refused(x, tmp_path, kept, monkeypatch):
    path = tmp_path / "run"
    path.write_bytes(kept)
    monkeypatch.setattr(keepers, "differences", lambda there, here: [])
    with pytest.raises(CheckpointError, match="other shapes"):
        training.fit(small(hidden=(5,)), KEY, x, max_epochs=5, checkpoint=path, **COMMON)


def test_a_checkpoint_is_no_model(tmp_path, kept):
    path = tmp_path / "run"
    path.write_bytes(kept)
    with pytest.raises(ModelFileError, match="a training that was interrupted"):
        load(path)


def test_what_happens_to_the_file_is_said(x, tmp_path, kept, capsys):
    path = tmp_path / "run"
    options = {"max_epochs": 5, **COMMON, "verbose": None}
    path.write_bytes(kept)
    training.fit(small(), KEY, x, checkpoint=path, **options)
    assert capsys.readouterr().err == f"densiflow: going on from {path}, after epoch 2\n"
    training.fit(small(), KEY, x, checkpoint=path, **options)
    assert "starts from the beginning" in capsys.readouterr().err
    path.write_bytes(b"whatever was there")
    _, history = training.fit(small(), KEY, x, checkpoint=training.Checkpoint(path, resume=False), **options)
    assert "overwritten" in capsys.readouterr().err
    assert len(history.train) == 5
    assert not path.exists()


def test_a_path_that_cannot_be_written_is_refused_before_training_and_borne_within(x, tmp_path, monkeypatch):
    with pytest.raises(OutputPathError, match="does not exist"):
        training.fit(small(), KEY, x, max_epochs=2, checkpoint=tmp_path / "nowhere" / "run", **COMMON)

    def full(path):
        raise OutputPathError("no space left")

    monkeypatch.setattr(keepers, "written_whole", full)
    with pytest.warns(TrainingWarning, match="goes on: no space left"):
        _, history = training.fit(small(), KEY, x, max_epochs=2, checkpoint=tmp_path / "run", **COMMON)
    assert len(history.train) == 2


def test_options_that_cannot_be(x):
    for wrong in ({"path": 3}, {"path": "run", "every": -1}, {"path": "run", "every": "often"}):
        with pytest.raises(ArgumentError):
            training.Checkpoint(**wrong)


def test_going_on_compiles_nothing_more_than_keeping_does(x, tmp_path, ctrl_c):
    options = {"max_epochs": 5, "checkpoint": tmp_path / "run", **COMMON}
    ctrl_c(2)
    training.fit(small(), KEY, x, **options)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, _, **__: compiled.append(name))
    try:
        training.fit(small(), KEY, x, **options)
    finally:
        jax.monitoring.clear_event_listeners()
    assert not [name for name in compiled if "backend_compile" in name]


@pytest.mark.parametrize("ensemble", [1, 2])
def test_a_density_without_a_seed_goes_on_with_that_of_the_interrupted_fit(x, tmp_path, ctrl_c, ensemble):
    path = tmp_path / "run"
    arguments = {"layers": 1, "hidden": (4,), "ensemble": ensemble, "bootstrap": ensemble > 1, "max_epochs": 6}
    arguments |= {"batch_size": 32, "verbose": False, "dtype": "float64" if ensemble == 1 else None}
    ctrl_c(2)
    density = FlowDensity(**arguments).fit(x, checkpoint=path)
    assert density.history_.stopped == "interrupted"
    seed = keepers._read(path)["told"]["random_state"]
    density.fit(x, checkpoint=path)
    whole = FlowDensity(**arguments, random_state=seed).fit(x)
    assert to_bytes(density.flow_) == to_bytes(whole.flow_)
    assert density.histories_ == whole.histories_


def test_a_density_of_another_table_or_with_other_arguments_is_refused(x, tmp_path, ctrl_c):
    path = tmp_path / "run"
    arguments = {"layers": 1, "hidden": (4,), "max_epochs": 6, "batch_size": 32, "verbose": False, "random_state": 3}
    ctrl_c(2)
    FlowDensity(**arguments).fit(x, checkpoint=path)
    kept = path.read_bytes()
    with pytest.raises(CheckpointError, match="table differs"):
        FlowDensity(**arguments).fit(x[:-1], checkpoint=path)
    with pytest.raises(CheckpointError, match="random_state is 3 there and 4 here"):
        FlowDensity(**arguments | {"random_state": 4}).fit(x, checkpoint=path)
    with pytest.raises(CheckpointError, match=r"hidden is '\(4,\)' there and '\(5,\)' here"):
        FlowDensity(**arguments | {"hidden": (5,)}).fit(x, checkpoint=path)
    assert path.read_bytes() == kept


SMALL = {"flow": "maf", "layers": 1, "hidden": (4,), "max_epochs": 6, "batch_size": 32, "verbose": False}


def test_a_classifier_goes_on_too(x, tmp_path, ctrl_c):
    whole = FlowClassifier(**SMALL, random_state=0).fit(x, x[:, 0] > 3)
    ctrl_c(2)
    again = FlowClassifier(**SMALL, random_state=0).fit(x, x[:, 0] > 3, checkpoint=tmp_path / "run")
    assert again.history_.stopped == "interrupted"
    assert to_bytes(again.fit(x, x[:, 0] > 3, checkpoint=tmp_path / "run")) == to_bytes(whole)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("estimator", [FlowRegressor, FlowOutlierDetector])
def test_what_is_made_of_a_density_hands_the_checkpoint_on(x, monkeypatch, estimator):
    class Reached(Exception):
        pass

    def fit(self, *tables, checkpoint, **options):
        raise Reached(checkpoint)

    monkeypatch.setattr(FlowDensity, "fit", fit)
    with pytest.raises(Reached, match="run"):
        estimator(**SMALL).fit(x, x[:, 0], checkpoint="run")


def test_a_file_holds_one_training(x, tmp_path):
    with pytest.raises(ArgumentError, match="share=False"):
        FlowClassifier(share=False).fit(x, x[:, 0] > 3, checkpoint=tmp_path / "run")


def test_time_left_counts_from_where_training_went_on(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("densiflow.training.progress.time.monotonic", lambda: clock[0])
    progress = Progress(False, end=20)
    progress.start_from(10)
    assert "time left unknown" in progress.line(training.History(), 10)
    clock[0] = 130.0
    assert "20 s left" in progress.line(training.History(), 16)  # 5 s an epoch
