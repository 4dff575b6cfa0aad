"""The report: what it says of models that are right and wrong, and that its page is sound HTML with nothing fetched."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from densiflow import FlowDensity, judge, load
from densiflow.cli import main
from densiflow.errors import ArgumentError, DensiflowWarning, TableError
from densiflow.estimators import companion
from densiflow.judge.evidence import Absent
from densiflow.judge.html import joined, tag
from densiflow.judge.report import written
from densiflow.judge.simpler import MOST_ROWS
from densiflow.table import frames
from densiflow.table.files import write_file
from densiflow.training import History

NASTY = '<script>alert("x")</script> & $a_b$ \'"'
ROOT = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.0, 0.5, 0.5]])
VOID = {"img", "meta", "br", "hr"}


class Normals:
    """A model in closed form: normals with a given root of their covariance, all of it as a fitted table has it."""

    def __init__(self, root=ROOT, names=("a", "b", "c"), low=-np.inf):
        self.root, self.names, self.low = root, names, low
        schema, _ = frames.read(self.table(np.eye(3)))
        self.encoder_ = SimpleNamespace(
            schema=schema, encode=lambda x: (x, np.zeros(len(x))), columns=(), kept=[*range(schema.width)]
        )
        self.history_ = History([-4.0, -3.0], [-4.1, -3.05], best_epoch=1, stopped="patience")

    def table(self, x):
        return pa.table(dict(zip(self.names, np.asarray(x).T, strict=True)))

    def rows(self, n, seed):
        return self.table(np.random.default_rng(seed).normal(size=(n, 3)) @ self.root.T)

    def sample(self, n, random_state=None):
        return self.rows(n, random_state + 1000)

    def scores(self, X):
        x = np.stack([X[name].to_numpy() for name in self.names], axis=1)
        return x, np.linalg.solve(self.root, x.T).T

    def column_scores(self, X):
        x, z = self.scores(X)
        return np.where(x < self.low, -np.inf, stats.norm.logpdf(z) - np.log(np.diag(self.root)))

    def score_samples(self, X):
        return self.column_scores(X).sum(axis=1)

    def pit(self, X, random_state=None):
        return stats.norm.cdf(self.scores(X)[1])


class Page(HTMLParser):
    """The tags of a page, which must be closed in the order in which they were opened."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, *wanted):
        return [attributes for tag, attributes in self.tags if tag in wanted]


@pytest.fixture(scope="module")
def right():
    """A right model with a nasty name among its columns, and what its report holds."""
    model = Normals(names=("a", NASTY, "c"))
    evidence = judge.examine(model, model.rows(1500, 0))
    return evidence, written(evidence, NASTY)


def test_the_page_is_sound_html(right):
    page = Page(right[1])
    assert right[1].startswith('<!doctype html>\n<html lang="en">')
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    assert {link["href"] for link in page.all("a")} == {f"#{name}" for name in identifiers}
    assert "nothing against it" in right[1]


def test_nothing_is_fetched_and_nothing_runs(right):
    text = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", right[1])
    assert not re.search(r"https?:|//|url\(|@import|<script|<link|<iframe|javascript:", text, re.IGNORECASE)
    page = Page(right[1])
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))


def test_every_picture_says_what_it_shows_with_its_numbers(right):
    images = Page(right[1]).all("img")
    assert len(images) > 12
    for image in images:
        assert len(image["alt"]) > 40
        assert re.search(r"\d\.\d", image["alt"])
        assert int(image["width"]) > 100
        assert int(image["height"]) > 100
    assert len({image["alt"] for image in images}) == len(images)


def test_every_table_has_a_caption_and_heads(right):
    page = Page(right[1])
    assert len(page.all("table")) == len(page.all("caption")) > 4
    assert {head["scope"] for head in page.all("th")} == {"col", "row"}


def test_a_name_is_text_wherever_it_stands(right):
    page = Page(right[1])
    assert "script" not in {tag for tag, _ in page.tags}
    assert NASTY in page.texts  # as a row's head in tables
    assert any(NASTY in image["alt"] for image in page.all("img"))


def test_a_right_model_is_believed(right):
    found = judge.verdict(right[0])
    assert found.words == "Believe it", found
    assert "Believe it" in right[1]
    assert {finding.check for finding in found.findings} >= {
        "Rows", "Held-out likelihood", "Columns by themselves", "Calibration", "Coverage of intervals",
        "Base space", "Two-sample test", "Correlations", "Copies",
    }  # fmt: skip


WRONG = {
    "too narrow": (0.7 * ROOT, "Coverage of intervals"),
    "too wide": (1.6 * ROOT, "Calibration"),
    "independent": (np.diag([1.0, 1.0, np.sqrt(0.5)]), "Correlations"),
    "one column too wide": (np.diag([2.0, 1.0, 1.0]) @ ROOT, "Columns by themselves"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_model_is_not(wrong):
    root, check = WRONG[wrong]
    evidence = judge.examine(Normals(root), Normals().rows(800, 0))
    found = judge.verdict(evidence)
    assert found.words == "Do not believe it"
    says = {finding.check: finding.says for finding in found.findings}
    assert says[check] == "bad"
    assert says["Held-out likelihood"] == "bad"  # a Gaussian is the truth here
    assert len(found.reasons) >= 2


def test_copies_are_held_against_a_model():
    model = Normals()
    train = model.rows(500, 5)
    model.sample = lambda n, random_state=None: train.take(np.arange(n) % 500)
    evidence = judge.examine(model, model.rows(500, 0), train)
    says = {finding.check: finding for finding in judge.verdict(evidence).findings}
    assert says["Copies"].says == "bad"
    assert "100.0% are exact copies" in says["Copies"].reason


def test_rows_of_density_zero_are_counted_and_held_against_a_model():
    model = Normals(low=-1.6)
    evidence = judge.examine(model, Normals().rows(600, 0))
    below = int(np.any(np.stack([c.values for c in evidence.data]) < -1.6, axis=0).sum())
    assert evidence.likelihood.impossible == below > 6
    assert evidence.likelihood.rows == 600 - below
    assert np.isfinite(evidence.likelihood.mean)
    assert judge.verdict(evidence).words == "Do not believe it"
    Page(written(evidence, "zero"))


@pytest.mark.parametrize(
    ("while_fitting", "said"), [(-9.0, "Not the training rows"), (5.0, "Like the training rows"), (None, None)]
)
def test_rows_that_score_unlike_those_held_out_while_fitting_are_told(while_fitting, said):
    model = Normals()
    table = model.rows(400, 7)
    held = model.score_samples(table).mean() if while_fitting is None else while_fitting
    model.history_ = History([-9.0], [held, held], best_epoch=0, stopped="patience")
    findings = [
        finding for finding in judge.verdict(judge.examine(model, table)).findings if "training" in finding.check
    ]
    assert [finding.check for finding in findings] == ([said] if said else [])
    assert all(finding.says == "care" and f"({held:.2f})" in finding.reason for finding in findings)


def test_likelihood_is_the_mean_with_its_error_beside_what_has_not_seen_the_rows():
    model = Normals()
    table = model.rows(800, 0)
    nats = model.score_samples(table)
    found = judge.likelihood(model, table)
    assert found.mean == pytest.approx(nats.mean())
    assert found.error == pytest.approx(nats.std() / np.sqrt(800))
    baselines = {beside.name: beside for beside in found.baselines}
    assert set(baselines) == {"independent columns", "Gaussian", "mixture of Gaussians"}
    gaussian, independent = baselines["Gaussian"], baselines["independent columns"]
    assert 0 < gaussian.ahead < 0.05  # nine numbers learned from 400 rows
    gain = 0.5 * np.log(np.prod(np.diag(ROOT @ ROOT.T)) / np.linalg.det(ROOT @ ROOT.T))
    assert independent.ahead == pytest.approx(gain, abs=5 * independent.ahead_error)
    trained = judge.likelihood(model, table, model.rows(MOST_ROWS, 1))
    assert trained.baselines[1].ahead < gaussian.ahead
    assert "5000 training rows" in trained.fitted_on


def test_a_conditional_models_gaussian_is_the_conditional_one():
    """p(b, c | a) of normals: the truth is a Gaussian, which learns it from the rows."""
    model = Normals()

    class Conditional(Normals):
        def __init__(self):
            self.encoder_, self.context_encoder_ = self.of(["b", "c"]), self.of(["a"])

        def of(self, names):
            schema, _ = frames.read(model.rows(2, 0).select(names))
            return SimpleNamespace(
                schema=schema, encode=lambda x: (x, np.zeros(len(x))), columns=(), kept=[*range(schema.width)]
            )

        def score_samples(self, X, context):
            return model.column_scores(X.append_column("a", context["a"]))[:, 1:].sum(axis=1)

    table = model.rows(1000, 0)
    found = judge.likelihood(Conditional(), table.select(["b", "c"]), context=table.select(["a"]))
    independent, gaussian, _ = found.baselines
    assert abs(gaussian.ahead) < 0.03
    assert independent.ahead > 0.3
    train = model.rows(4000, 3)
    trained = judge.likelihood(
        Conditional(),
        table.select(["b", "c"]),
        train.select(["b", "c"]),
        context=table.select(["a"]),
        train_context=train.select(["a"]),
    )
    assert abs(trained.baselines[1].ahead) < abs(gaussian.ahead)


def test_surprising_rows_name_the_column_to_blame():
    model = Normals()
    x = np.array(model.rows(300, 0).to_pandas())
    x[17] = [0.0, 9.0, 0.0]
    x[40, 2] = -7.0
    first, second = judge.surprising_rows(model, model.table(x), most=2)
    assert (first.place, first.blamed[0][0]) == (17, "b")
    assert second.place == 40
    assert second.blamed[0][0] == "c"
    assert "b = 9" in str(first)
    typical = np.median(model.column_scores(model.table(x))[:, 1])
    assert first.blamed[0][1] == pytest.approx(typical - model.column_scores(model.table(x))[17, 1])


def test_a_model_that_can_not_say_gets_a_page_without_it():
    model = SimpleNamespace(**{name: getattr(Normals(), name) for name in ("score_samples", "sample", "encoder_")})
    evidence = judge.examine(model, Normals().rows(200, 0))
    assert isinstance(evidence.calibration, Absent)
    assert isinstance(evidence.base, Absent)
    assert not any(row.blamed for row in evidence.surprising)
    page = Page(written(evidence, "few abilities"))
    assert "Not looked at: this SimpleNamespace has no pit, so it can't say that of its columns." in page.texts


def test_mixed_columns_are_pictured_and_compared():
    rng = np.random.default_rng(0)

    def table(n, random_state=0):
        rng = np.random.default_rng(random_state)
        words = np.array(["inland", "near bay", "<island>"])[rng.choice(3, n, p=[0.6, 0.3, 0.1])]
        holes = np.where(rng.uniform(size=n) < 0.1, None, rng.normal(size=n))
        moments = np.datetime64("2021-05-01", "s") + rng.integers(10**7, size=n)
        return pa.table(
            {
                "w": words,
                "x": pa.array(holes, pa.float64()),
                "t": moments,
                "y": rng.normal(size=n) > 0,
                "k": rng.poisson(2, n),
            }
        )

    model = SimpleNamespace(
        score_samples=lambda X: rng.normal(size=X.num_rows),
        sample=table,
        pit=lambda X, random_state: rng.uniform(size=(X.num_rows, 5)),
    )
    pairs = judge.marginals(table(400, 1), table(300, 2))
    assert [marginal.data.meaning for marginal in pairs] == ["label", "number", "date", "label", "number"]
    assert "<island>" in str(pairs[0])
    assert "2021-" in str(pairs[2])
    for kind in ("marginals", "calibration", "correlations", "corner"):
        assert judge.compared(model, table(200, 3), kind).axes


@pytest.fixture(scope="module")
def mixed():
    """A small model of words, dates, zeros, gaps, switches and identifiers, and rows to judge it by."""
    rng = np.random.default_rng(0)
    n = 600
    amount = np.where(rng.uniform(size=n) < 0.3, 0.0, np.round(rng.gamma(2.0, 10.0, n), 2))
    table = pd.DataFrame(
        {
            "<b>word</b>": np.array(["near", "far", "<off>"])[rng.choice(3, n, p=[0.6, 0.3, 0.1])],
            "when": pd.Timestamp("2021-05-01") + pd.to_timedelta(rng.integers(200, size=n), unit="D"),
            "amount": amount,
            "gaps": np.where(rng.uniform(size=n) < 0.1, np.nan, rng.normal(size=n)),
            "switch": rng.uniform(size=n) < 0.4,
            "code": [f"row-{i:05d}" for i in range(n)],
        }
    )
    with pytest.warns(DensiflowWarning, match="'code'"):
        model = FlowDensity(hidden=(8,), max_epochs=2, random_state=0).fit(table[:300])
    return model, table[300:]


def test_a_report_of_a_mixed_table(mixed):
    model, table = mixed
    evidence = judge.examine(model, table, table[:200])
    assert evidence.names == ["<b>word</b>", "when", "amount", "gaps", "switch"]  # not the identifier
    assert [cells.meaning for cells in evidence.data] == ["label", "date", "number", "number", "label"]
    assert evidence.calibration.names == tuple(evidence.names)
    assert np.isfinite([beside.mean for beside in evidence.likelihood.baselines]).all()
    assert 0.05 < evidence.data[3].missing < 0.15
    text = written(evidence, "mixed")
    page = Page(text)
    assert "b" not in {tag for tag, _ in page.tags}
    assert "2021-05-01" in text
    assert any("missing" in image["alt"] for image in page.all("img"))
    blamed = {name for row in evidence.surprising for name, _ in row.blamed}
    assert blamed <= set(evidence.names)
    for kind in ("marginals", "calibration", "correlations", "corner"):
        assert judge.compared(model, table, kind).axes


def test_an_ensemble_of_numbers_is_judged_by_rows_that_lack_cells(monkeypatch):
    monkeypatch.setattr(companion, "ROWS", 2_000)
    monkeypatch.setattr(companion, "EPOCHS", 3)
    table = Normals().rows(400, 0).to_pandas()
    options = {"hidden": (4,), "max_epochs": 2, "ensemble": 2, "random_state": 0, "verbose": False}
    model, held = FlowDensity("made", **options).fit(table[:300]), table[300:].reset_index(drop=True)
    held.loc[:9, "b"] = np.nan
    held.loc[5, "a"] = 9.0
    evidence = judge.examine(model, held)
    assert (evidence.likelihood.rows, evidence.likelihood.impossible) == (100, 0)
    assert np.isfinite([beside.ahead for beside in evidence.likelihood.baselines]).all()
    assert (evidence.calibration.rows, evidence.calibration.names) == (90, ("z0", "z1", "z2"))
    first = evidence.surprising[0]
    assert (first.place, first.parts["b"], first.blamed[0][0]) == (5, 0.0, "a")
    assert sum(first.parts.values()) == pytest.approx(first.nats, abs=1e-6)
    assert "of one of the flows" in written(evidence, "an ensemble")
    assert judge.compared(model, held, "calibration").axes


def test_column_scores_of_a_row_in_a_report_add_up(mixed):
    model, table = mixed
    np.testing.assert_allclose(model.column_scores(table).sum(axis=1), model.score_samples(table), rtol=1e-4)


def test_tags_escape_texts_and_attributes():
    made = tag("td", "a<b", ["&", tag("b", ">")], None, title='"<', class_="x", hidden=None)
    assert made == '<td title="&quot;&lt;" class="x">a&lt;b&amp;<b>&gt;</b></td>'
    assert joined([1, " < ", 2]) == "1 &lt; 2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table, a model of it, a conditional model, and rows to judge by."""
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(0)
    a = rng.normal(10.0, 2.0, 400)
    table = pa.table({"a": a, NASTY: a + rng.normal(size=400), "c": rng.gamma(2.0, 1.0, 400)})
    fit, held = table.slice(0, 200), table.slice(200)
    write_file(fit, folder / "fit.parquet")
    write_file(held, folder / "held.parquet")
    small = {"layers": 1, "hidden": (8,), "max_epochs": 2, "random_state": 0}
    FlowDensity(**small).fit(fit).save(folder / "plain")
    FlowDensity(**small).fit(fit.select(["a"]), context=fit.select(["c"])).save(folder / "conditional")
    FlowDensity(**small, ensemble=2).fit(fit).save(folder / "ensemble")
    return folder


@pytest.mark.parametrize("model", ["plain", "conditional", "ensemble"])
def test_report_writes_a_page_and_says_the_verdict(folder, tmp_path, model, capsys):
    out = tmp_path / "report.html"
    arguments = [
        "report",
        str(folder / model),
        str(folder / "held.parquet"),
        "--out",
        str(out),
        "--seed",
        "3",
        "--quiet",
    ]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert re.match(rf"{re.escape(str(out))}: (believe it|believe it with care|do not believe it)\n- ", captured.out)
    first = out.read_text("utf-8")
    page = Page(first)
    assert f"{model}, judged by held.parquet" in page.texts
    assert main(arguments) == 0
    assert out.read_text("utf-8") == first


def test_report_takes_the_training_rows(folder, tmp_path):
    out = tmp_path / "report.html"
    given = ["--train", str(folder / "fit.parquet")]
    assert main(["report", str(folder / "plain"), str(folder / "held.parquet"), "--out", str(out), *given]) == 0
    assert "were fitted to the 200 training rows given" in out.read_text("utf-8")


@pytest.mark.parametrize("kind", ["marginals", "corner", "training", "correlations"])
def test_plot_writes_one_picture(folder, tmp_path, kind, capsys):
    out = tmp_path / "picture.png"
    rows = [] if kind == "training" else [str(folder / "held.parquet")]
    assert main(["plot", str(folder / "plain"), *rows, "--out", str(out), "--kind", kind]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert str(out) in capsys.readouterr().out


MISTAKES = {
    "not html": (["report", "MODEL", "ROWS", "--out", "report.pdf"], ["ends in .html", "report.pdf"]),
    "out missing": (["report", "MODEL", "ROWS"], ["--out"]),
    "folder missing": (["report", "MODEL", "ROWS", "--out", "/nowhere/r.html"], ["/nowhere"]),
    "no table": (["report", "MODEL", "nowhere.csv", "--out", "OUT.html"], ["no file", "nowhere.csv"]),
    "columns missing": (["report", "MODEL", "OTHER", "--out", "OUT.html"], ["'c'"]),
    "one row": (["report", "MODEL", "ONE", "--out", "OUT.html"], ["at least 2 held-out rows", "got 1"]),
    "seed": (["report", "MODEL", "ROWS", "--out", "OUT.html", "--seed", "-1"], ["--seed"]),
    "not png": (["plot", "MODEL", "ROWS", "--out", "x.svg"], ["ends in .png", "x.svg"]),
    "no table to draw": (["plot", "MODEL", "--out", "OUT.png", "--kind", "corner"], ["corner", "TABLE"]),
    "no such picture": (["plot", "MODEL", "ROWS", "--out", "OUT.png", "--kind", "radar"], ["radar", "marginals"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line_and_exit_2(folder, tmp_path, mistake, capsys):
    arguments, words = MISTAKES[mistake]
    paths = {"MODEL": folder / "plain", "ROWS": folder / "held.parquet"}
    paths |= {"OUT.html": tmp_path / "out.html", "OUT.png": tmp_path / "out.png"}
    paths |= {"OTHER": tmp_path / "other.csv", "ONE": tmp_path / "one.parquet"}
    write_file(pa.table({"a": [1.0, 2.0], NASTY: [1.0, 2.0]}), paths["OTHER"])
    write_file(pa.table({"a": [1.0], NASTY: [2.0], "c": [1.0]}), paths["ONE"])
    before = {path.name for path in tmp_path.iterdir()}
    assert main([str(paths.get(argument, argument)) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("densiflow: ")
    assert captured.err.count("\n") == 1
    assert all(word in captured.err for word in words), captured.err
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_report_from_python_is_the_commands(folder):
    model = load(folder / "plain")
    held = frames.read(np.random.default_rng(1).normal(size=(60, 3)))[1]
    table = pa.table({"a": held[:, 0], NASTY: held[:, 1], "c": held[:, 2]})
    assert judge.report(model, table) == written(judge.examine(model, table), "A density, judged")
    with pytest.raises(TableError, match="at least 2"):
        judge.report(model, table.slice(0, 1))
    with pytest.raises(ArgumentError, match="kind"):
        judge.compared(model, table, "radar")
