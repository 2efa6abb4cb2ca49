"""Chapter 05's live figures against scikit-learn and the exact decomposition, and their words against their numbers."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge

from course_lib.labs import overfitting as lab
from course_lib.labs.overfitting import ALPHAS, GRID, ROWS, WAVES, ComplexityLab, complexity
from course_lib.validation import bias_variance, cosine_features


def parts_of(n_waves, n_samples, alpha, noise):
    x = lab.inputs(n_samples, lab.TRAINING)
    return bias_variance(cosine_features(x, n_waves), lab.truth(x), cosine_features(GRID, n_waves), lab.truth(GRID), alpha, noise)


class TestComplexity:
    @pytest.mark.parametrize(("n_waves", "alpha", "n_samples", "noise"), [(1, 0.0, 10, 1.0), (12, 0.0, 20, 0.4), (200, 0.0, 40, 0.05), (29, ALPHAS[10], 30, 0.4)])
    def test_one_sample_is_scikit_learns_fit(self, n_waves, alpha, n_samples, noise):
        arrays = complexity(n_waves, alpha, n_samples, noise, sample=3)
        X, y = cosine_features(arrays["x"], n_waves), arrays["y"]
        model = (Ridge(alpha, solver="svd") if alpha else LinearRegression(tol=1e-13)).fit(X, y)
        np.testing.assert_allclose(arrays["fit"], model.predict(cosine_features(GRID, n_waves)), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(arrays["training"][arrays["chosen"]], np.mean((y - model.predict(X)) ** 2), rtol=1e-6, atol=1e-20)
        new = lab.inputs(lab.N_VALIDATION, lab.VALIDATION)
        missed = lab.truth(new) + noise * lab.draws(n_samples, 3)[1] - model.predict(cosine_features(new, n_waves))
        np.testing.assert_allclose(arrays["validation"][arrays["chosen"]], np.mean(missed**2), rtol=1e-6)

    @pytest.mark.parametrize(("n_waves", "alpha", "n_samples", "noise"), [(1, 0.0, 10, 1.0), (19, 0.0, 20, 0.4), (200, ALPHAS[12], 40, 0.0)])
    def test_curves_are_the_exact_decomposition(self, n_waves, alpha, n_samples, noise):
        arrays, exact = complexity(n_waves, alpha, n_samples, noise), parts_of(n_waves, n_samples, alpha, noise)
        for name, want in {"error": exact.error, "bias2": exact.bias2, "variance": exact.variance, "expected_training": exact.training_error}.items():
            np.testing.assert_allclose(arrays[name][arrays["chosen"]], want.item(), rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(arrays["error"], arrays["bias2"] + arrays["variance"] + arrays["noise2"])
        np.testing.assert_allclose((arrays["high"] + arrays["low"]) / 2, exact.mean_prediction[0], atol=1e-9)
        np.testing.assert_allclose(arrays["high"] - arrays["low"], 2 * 1.96 * np.sqrt(exact.variance_at[0]), atol=1e-9)

    def test_no_other_fit_has_a_lower_true_error(self):
        arrays = complexity(5, n_samples=15, noise=0.3)
        waves, penalty = arrays["best"]
        assert complexity(WAVES[waves], ALPHAS[penalty], 15, 0.3)["error"][waves] == arrays["lowest"]
        assert min(complexity(1, alpha, 15, 0.3)["error"].min() for alpha in ALPHAS) == arrays["lowest"]

    @pytest.mark.parametrize("n_samples", ROWS)
    def test_double_descent_and_its_cure(self, n_samples):
        plain, penalized = complexity(1, 0.0, n_samples)["error"], complexity(1, ALPHAS[12], n_samples)["error"]
        assert WAVES[plain.argmax()] == n_samples - 1
        assert plain.max() > 5 * plain[-1] and plain.max() > 8 * plain[WAVES < n_samples - 1].min()
        assert penalized.max() == penalized[0]

    def test_with_little_noise_the_most_complex_fit_is_the_best(self):
        error = complexity(200, 0.0, 20, 0.05)["error"]
        assert error[-1] < 0.6 * error[WAVES < 19].min()

    def test_more_rows_cure_overfitting_and_not_underfitting(self):
        error = lambda n_waves, n_samples: complexity(n_waves, 0.0, n_samples)["error"][list(WAVES).index(n_waves)]  # noqa: E731
        assert error(8, 40) < 0.2 * error(8, 10)
        assert 0.9 < error(1, 40) / error(1, 15) < 1.1


class TestComplexityLab:
    @pytest.mark.parametrize(
        ("word", "controls"),
        [
            ("Underfitting", {"n_waves": 1}), ("Underfitting", {"n_waves": 200, "alpha": ALPHAS[-1]}), ("Underfitting", {"n_waves": 1, "n_samples": 40}),
            ("About right", {"n_waves": 5}), ("About right", {"n_waves": 19, "alpha": ALPHAS[12]}), ("About right", {"n_waves": 200, "noise": 0.05}),
            ("Overfitting", {"n_waves": 12}), ("Overfitting", {"n_waves": 19, "noise": 0.0}), ("Overfitting", {"n_waves": 5, "n_samples": 10}),
        ],
    )  # fmt: skip
    def test_says_what_ails_the_fit(self, word, controls):
        live = ComplexityLab(**controls)
        at = live.arrays["chosen"]
        assert f"{word}: training error" in live.alt
        assert f"The true error is {live.arrays['error'][at]:.2g} = bias² {live.arrays['bias2'][at]:.2g} + variance" in live.alt

    def test_says_every_setting(self):
        assert ComplexityLab().alt.endswith("(complexity (waves) 5, penalty λ 0, rows 20, noise (sd) 0.40, another sample 0)")

    def test_moving_controls_moves_what_is_drawn(self):
        live = ComplexityLab()
        for name, value in {"n_waves": 39, "n_samples": 40, "noise": 1.0, "alpha": ALPHAS[10], "sample": 7}.items():
            before = live._picture.value
            live.controls[name].value = value
            assert live._picture.value != before, name
        assert len(live.rows.get_xdata()) == 40
        assert live.here["variance"].get_ydata()[0] == pytest.approx(np.log10(parts_of(39, 40, ALPHAS[10], 1.0).variance.item()))
        assert live.full[0].get_xdata()[0] == live.here["error"].get_xdata()[0]  # 39 waves and the intercept: 40 parameters

    def test_an_error_of_zero_is_drawn_below_the_edge(self):
        live = ComplexityLab(n_waves=200, noise=0.0)
        assert live.here["training"].get_ydata()[0] < lab.ERRORS_SHOWN[0] and "training error 0," in live.alt
