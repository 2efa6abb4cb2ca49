"""Chapter 03's live figures against scikit-learn, and their words against their numbers."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit, cross_val_score
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_lib.labs import cross_validation as lab
from course_lib.labs.cross_validation import ALPHAS, INSIDE, OUTSIDE, FoldsLab, LeakageLab, RegularizationLab
from course_lib.statistics import corrected_resampled_ttest


class TestRegularization:
    @pytest.mark.parametrize(("n_samples", "n_noise", "n_splits", "standardize"), [(442, 0, 10, True), (60, 20, 5, True), (90, 3, 3, False)])
    @pytest.mark.parametrize("index", [0, 30, 60])
    def test_curve_is_scikit_learns(self, n_samples, n_noise, n_splits, standardize, index):
        X, y = lab.noisy_diabetes()
        X, y = X[:n_samples, : 10 + n_noise], y[:n_samples]
        model = make_pipeline(StandardScaler(), Ridge(ALPHAS[index])) if standardize else Ridge(ALPHAS[index])
        scores = -cross_val_score(model, X, y, cv=n_splits, scoring="neg_mean_squared_error")
        path = lab.path(n_samples, n_noise, n_splits, standardize)
        np.testing.assert_allclose(path["folds"][index] ** 2, scores, rtol=1e-7)
        np.testing.assert_allclose(path["training"][index], np.sqrt(np.mean((y - model.fit(X, y).predict(X)) ** 2)), rtol=1e-7)
        at_mean, one_sd_up = X.mean(axis=0), X.mean(axis=0) + np.diag(X.std(axis=0))  # a line for each column
        np.testing.assert_allclose(path["effects"][index], model.predict(one_sd_up) - model.predict([at_mean]), rtol=1e-6, atol=1e-6)

    def test_interval_is_the_corrected_one(self):
        path, index = lab.path(440, 0, 10, True), 25
        wanted = corrected_resampled_ttest(path["folds"][index] ** 2, 396, 44)
        np.testing.assert_allclose([path["low"][index] ** 2, path["high"][index] ** 2], [wanted.low, wanted.high], rtol=1e-9)

    def test_the_slider_reads_the_curve(self):
        live = RegularizationLab(n_samples=100, n_noise=15)
        live.controls["alpha"].value = 1000
        at = live.arrays["chosen"]
        assert ALPHAS[at] == pytest.approx(1000)
        assert live.here.get_ydata()[0] == live.arrays["mean"][at]
        assert f"{live.arrays['mean'][at]:.1f}" in live.alt

    def test_more_data_less_error_and_noise_columns_cost(self):
        error = lambda **data: lab.path(**data)["mean"].min()  # noqa: E731
        assert error(n_samples=442) < error(n_samples=60)
        assert lab.path(60, 20)["training"][0] < lab.path(60, 0)["training"][0] < lab.path(60, 0)["mean"][0] < lab.path(60, 20)["mean"][0]


class TestFolds:
    THEIRS = {
        "KFold, in order": lambda k, seed: KFold(k),
        "KFold, shuffled": lambda k, seed: KFold(k, shuffle=True, random_state=seed),
        "StratifiedKFold, shuffled": lambda k, seed: StratifiedKFold(k, shuffle=True, random_state=seed),
        "GroupKFold (by patient)": lambda k, seed: GroupKFold(k, shuffle=True, random_state=seed),
        "TimeSeriesSplit": lambda k, seed: TimeSeriesSplit(k),
    }

    @pytest.mark.parametrize("splitter", THEIRS)
    @pytest.mark.parametrize("n_splits", [2, 5, 8])
    def test_scores_are_those_of_scikit_learns_nearest_neighbour(self, splitter, n_splits):
        distances, _ = lab.visits()
        model = KNeighborsClassifier(1, metric="precomputed", algorithm="brute")
        for shuffle in (0, 7):
            theirs = self.THEIRS[splitter](n_splits, shuffle)
            pairs = list(theirs.split(distances, lab.LABEL, lab.PATIENT if splitter.startswith("Group") else None))
            scores = cross_val_score(model, distances, lab.LABEL, cv=pairs)
            np.testing.assert_allclose(lab.folds(splitter, n_splits, shuffle)["scores"], scores)

    def test_patients_on_both_sides_flatter_and_groups_do_not(self):
        truth = lab.visits()[1]
        assert lab.folds("KFold, shuffled")["means"].min() > truth + 0.15
        assert abs(lab.folds("GroupKFold (by patient)")["means"].mean() - truth) < 0.08

    def test_one_split_is_further_off_than_the_mean_of_all_folds(self):
        spread = lab.folds("GroupKFold (by patient)", n_splits=5)
        assert spread["single"].std() > 2 * spread["means"].std()

    @pytest.mark.parametrize("splitter", THEIRS)
    def test_bars_cover_exactly_the_rows_of_each_fold(self, splitter):
        used = lab.folds(splitter, 4)["test"]
        covered = np.zeros_like(used)
        for corners in lab._bars(used):
            (left, right), (top, bottom) = np.unique(corners[:, 0]), np.unique(corners[:, 1])
            covered[int((top + bottom) / 2 * 4), int(left) : int(right)] = True
        assert np.array_equal(covered, used)

    def test_moving_controls_moves_what_is_drawn(self):
        live = FoldsLab()
        live.controls["n_splits"].value = 3
        live.controls["splitter"].value = "TimeSeriesSplit"
        assert len(live.scores.get_xdata()) == 3 and len(live.tested.get_paths()) == 3
        assert f"{live.arrays['scores'].mean():.2f} in the mean" in live.alt


class TestLeakage:
    @pytest.mark.parametrize("selection", [INSIDE, OUTSIDE])
    @pytest.mark.parametrize(("n_features", "n_selected"), [(20, 20), (200, 1), (2000, 10)])
    def test_votes_are_those_of_scikit_learns_nearest_centroid(self, selection, n_features, n_selected):
        X, y, *_ = lab.noise(3)
        X = X[:, :n_features]
        right = []
        for train, test in StratifiedKFold(5).split(X, y):
            seen = train if selection == INSIDE else np.arange(len(y))
            gap = np.abs(X[seen][y[seen] == 1].mean(axis=0) - X[seen][y[seen] == 0].mean(axis=0))
            best = np.argsort(gap)[n_features - n_selected :]
            right.extend(NearestCentroid().fit(X[train][:, best], y[train]).predict(X[test][:, best]) == y[test])
        assert lab.leakage(n_features, n_selected, selection, seed=3)["accuracy"] == pytest.approx(np.mean(right))

    def test_outside_lies_and_inside_does_not(self):
        outside, inside = np.array([[lab.leakage(2000, 20, s, seed)["accuracy"] for seed in range(20)] for s in (OUTSIDE, INSIDE)])
        assert outside.mean() > 0.87 and outside.min() > 0.75
        assert inside.mean() == pytest.approx(0.5, abs=0.04)

    def test_the_point_lies_on_its_curve(self):
        live = LeakageLab(n_features=200, n_selected=7, seed=5)
        at = lab.FEATURE_COUNTS.tolist().index(200)
        assert live.here.get_ydata()[0] == live.arrays["outside"][at]
        live.controls["selection"].value = INSIDE
        assert live.here.get_ydata()[0] == live.arrays["inside"][at]
        assert sum(len(dots.get_xdata()) for dots in live.votes) == lab.N_SAMPLES
