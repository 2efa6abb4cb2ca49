"""Every data set: what its docstring says is there is there, and what `truth` says is true."""

import inspect
import socket

import numpy as np
import pytest
from sklearn import datasets as bundled
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsClassifier

from course_lib import datasets

LOADERS = [getattr(datasets, name) for name in datasets.__all__ if name.startswith("load_") and name != "load_text"]  # a Text, no table
MAKERS = [getattr(datasets, name) for name in datasets.__all__ if name.startswith("make_")]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a data set asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("load", LOADERS + MAKERS, ids=lambda f: f.__name__)
def test_each_names_its_origin_licence_and_columns(load):
    data = load()
    X, y = data
    assert len(X) == len(y) and X.shape[1] == len(data.feature_names)
    assert data.origin and data.licence and data.target_name and f"{len(X):,} rows" in repr(data)
    assert inspect.getdoc(load)


@pytest.mark.parametrize("make", MAKERS, ids=lambda f: f.__name__)
def test_a_seed_repeats_a_draw_and_another_seed_does_not(make):
    (X, y), (again, _), (other, labels) = make(random_state=3), make(random_state=3), make(random_state=4)
    assert np.array_equal(X, again)
    assert not (np.array_equal(X, other) and np.array_equal(y, labels))


@pytest.mark.parametrize("make", MAKERS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("wrong, kind", [(0, ValueError), (2.5, TypeError), ("many", TypeError)])
def test_a_wrong_number_of_rows_is_named(make, wrong, kind):
    first = next(iter(inspect.signature(make).parameters))
    with pytest.raises(kind, match=first):
        make(wrong)


@pytest.mark.parametrize("call, argument", [
    (lambda: datasets.make_polynomial(noise=-1), "noise"),
    (lambda: datasets.make_sparse_linear(n_features=3, n_relevant=4), "n_relevant"),
    (lambda: datasets.make_gaussian_classes(prevalence=1.0), "prevalence"),
    (lambda: datasets.make_gaussian_classes(separation=0), "separation"),
    (lambda: datasets.make_random_walk(step=0), "step"),
    (lambda: datasets.make_glyphs(fonts="Arial"), "fonts"),
    (lambda: datasets.make_glyphs(classes="A"), "classes"),
])  # fmt: skip
def test_other_bad_arguments_are_named(call, argument):
    with pytest.raises(ValueError, match=argument):
        call()


def test_bundled_tables_are_scikit_learns():
    for name in ("load_breast_cancer", "load_iris", "load_wine", "load_digits"):
        X, y = getattr(datasets, name)()
        assert np.array_equal(X, getattr(bundled, name)().data) and np.array_equal(y, getattr(bundled, name)().target)
    assert np.array_equal(datasets.load_diabetes().X, bundled.load_diabetes(scaled=False).data)
    assert np.array_equal(datasets.load_diabetes(scaled=True).X, bundled.load_diabetes().data)


def test_boston_gives_the_numbers_of_the_source():
    data = datasets.load_boston_housing()
    X = np.delete(data.X, data.feature_names.index("RM"), axis=1)
    X_train, X_test, y_train, y_test = train_test_split(X, data.y, test_size=0.2, random_state=42)
    scores = cross_val_score(LinearRegression(), X_train, y_train, cv=5, scoring="neg_mean_squared_error")
    error = LinearRegression().fit(X_train, y_train).predict(X_test) - y_test
    assert np.sqrt(-scores.mean()) == pytest.approx(5.316115, abs=1e-6)
    assert np.sqrt(np.mean(error**2)) == pytest.approx(4.704598, abs=1e-6)


def test_flights_have_the_defects_that_their_docstring_lists():
    X, y = datasets.load_flights()
    assert np.isnan(y).sum() == 140
    assert X["wind_gust"].isna().mean() == pytest.approx(0.77, abs=0.005)
    missing = X["seats"].isna().groupby(X["carrier"]).mean()
    assert missing["AA"] > 0.7 and missing["MQ"] > 0.95 and missing.median() < 0.1
    assert X["pressure"].isna().any() and X["wind_dir"].isna().any()
    assert {"AIRBUS", "AIRBUS INDUSTRIE", "ROBINSON HELICOPTER CO"} <= set(X["manufacturer"].dropna())
    assert (X["sched_dep_time"] % 100 < 60).all() and X["sched_dep_time"].max() > 2300
    assert (X["month"].diff().dropna() >= 0).all() and np.nanmax(y) > 6 * 60


def test_polynomial_noise_and_bayes_error():
    data = datasets.make_polynomial(200_000, noise=0.4, random_state=0)
    assert np.mean((data.y - data.truth["function"](data.X)) ** 2) == pytest.approx(data.truth["bayes_mse"], rel=0.01)


def test_sparse_linear_truth():
    data = datasets.make_sparse_linear(50_000, n_features=12, n_relevant=3, noise=0.5, random_state=0)
    fitted = LinearRegression().fit(data.X, data.y)
    assert np.allclose(fitted.coef_, data.truth["coefficients"], atol=0.02)
    assert np.array_equal(np.flatnonzero(data.truth["coefficients"]), data.truth["relevant"])
    assert np.mean((data.y - data.truth["function"](data.X)) ** 2) == pytest.approx(data.truth["bayes_mse"], rel=0.03)


@pytest.mark.parametrize("separation, prevalence", [(2.0, 0.5), (1.0, 0.2), (3.0, 0.05)])
def test_gaussian_classes_have_the_stated_bayes_error(separation, prevalence):
    data = datasets.make_gaussian_classes(400_000, separation, prevalence, random_state=1)
    posterior = data.truth["posterior"](data.X)
    assert np.mean((posterior > 0.5) != data.y) == pytest.approx(data.truth["bayes_error"], abs=0.002)
    likely = posterior > 0.7
    assert data.y[likely].mean() == pytest.approx(posterior[likely].mean(), abs=0.01)  # 0.7 means 0.7
    fitted = LogisticRegression(C=np.inf).fit(data.X, data.y)
    assert np.allclose(fitted.coef_[0], data.truth["coefficients"], atol=0.05)


def test_noise_labels_are_balanced_and_unrelated():
    X, y = datasets.make_noise_classification(20_000, n_features=5, random_state=0)
    assert y.mean() == 0.5
    assert np.abs([np.corrcoef(column, y)[0, 1] for column in X.T]).max() < 0.03


def test_grouped_rows_fool_folds_that_ignore_groups():
    data = datasets.make_grouped(random_state=0)
    model = KNeighborsClassifier(3)
    ignoring = cross_val_score(model, *data, cv=KFold(5, shuffle=True, random_state=0)).mean()
    new_groups = cross_val_score(model, *data, cv=GroupKFold(5), groups=data.groups).mean()
    assert ignoring > 0.9 and new_groups < 0.7


def test_random_walk_steps():
    data = datasets.make_random_walk(100_000, step=2.0, random_state=0)
    assert np.allclose(np.diff(data.y), data.truth["steps"])
    assert np.mean(np.diff(data.y) ** 2) == pytest.approx(data.truth["bayes_mse_next_day"], rel=0.02)
    assert abs(np.corrcoef(data.truth["steps"][1:], data.truth["steps"][:-1])[0, 1]) < 0.02


def test_held_out_fonts_are_other_fonts_and_a_real_shift():
    train, same, shifted = (datasets.make_glyphs(n, fonts=fonts, random_state=seed)
                            for n, fonts, seed in [(3000, "train", 0), (1000, "train", 1), (1000, "held_out", 2)])  # fmt: skip
    assert not set(train.truth["fonts"]) & set(shifted.truth["fonts"])
    assert train.X.min() >= 0 and train.X.max() <= 1 and train.X.shape == (3000, 784)
    model = LogisticRegression(C=0.05, max_iter=300).fit(*train)
    assert model.score(*same) > 0.8 and model.score(*same) - model.score(*shifted) > 0.08


def test_glyphs_of_chosen_characters():
    data = datasets.make_glyphs(60, classes="O0Q", random_state=0)
    assert data.truth["characters"] == ["O", "0", "Q"] and np.bincount(data.y).tolist() == [20, 20, 20]


def test_every_glyph_fits_on_its_canvas_and_no_two_are_alike():
    from course_lib.datasets.glyphs import _CLASSES, _FONTS, _draw

    drawn = {(font, character): _draw(font, character) for font in _FONTS["all"] for character in "".join(_CLASSES.values())}
    for picture in drawn.values():
        edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        assert picture.any() and not edge.any()
    assert len({picture.tobytes() for picture in drawn.values()}) == len(drawn)


def test_mnist1d_is_balanced_and_hard_for_a_linear_model():
    X, y = datasets.make_mnist1d(5000, random_state=0)
    assert np.bincount(y).tolist() == [500] * 10
    assert X.mean() == pytest.approx(0, abs=1e-12) and X.std() == pytest.approx(1)
    linear = LogisticRegression(max_iter=300).fit(X[:4000], y[:4000]).score(X[4000:], y[4000:])
    assert 0.25 < linear < 0.42  # the published figure is 0.32
