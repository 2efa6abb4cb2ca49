"""Every formula of both sources against torch autograd and finite differences, and where the literal ones break."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.objectives import L1, L2, LogisticLoss, MeanSquaredError, RippledBowl, TwoLayerNetwork, cross_entropy, sigmoid

torch = pytest.importorskip("torch")
F = torch.nn.functional

PENALTIES = {"none": None, "L1": L1(0.3), "L2": L2(0.7)}


def data(seed, m=13, n=4):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, n))
    labels = (np.arange(m) % 2).astype(float)
    return X, labels, rng.normal(size=m), rng


def build(kind, X, labels, numbers, penalty=None, intercept=False):
    return {
        "squared": lambda: MeanSquaredError(X, numbers, penalty=penalty, intercept=intercept),
        "logistic": lambda: LogisticLoss(X, labels, penalty=penalty, intercept=intercept),
        "network, log": lambda: TwoLayerNetwork(X, labels, 3, loss="log", penalty=penalty),
        "network, squared": lambda: TwoLayerNetwork(X, numbers, 3, loss="squared", penalty=penalty),
    }[kind]()


def written_in_torch(kind, theta, X, labels, numbers, penalty, intercept):
    """The same objective by the book, for autograd."""
    X, labels, numbers = map(torch.tensor, (X, labels, numbers))
    h, d = 3, X.shape[1]
    if kind.startswith("network"):
        W1, b1 = theta[: h * d].reshape(h, d), theta[h * d : h * d + h]
        W2, b2 = theta[h * d + h : h * d + 2 * h], theta[-1]
        output, weights = torch.sigmoid(X @ W1.T + b1) @ W2 + b2, torch.cat([W1.ravel(), W2])
    else:
        weights = theta[1:] if intercept else theta
        output = X @ weights + (theta[0] if intercept else 0.0)
    squared = kind in ("squared", "network, squared")
    loss = F.mse_loss(output, numbers) if squared else F.binary_cross_entropy_with_logits(output, labels)
    if isinstance(penalty, L1):
        loss = loss + penalty.alpha * weights.abs().sum()
    if isinstance(penalty, L2):
        loss = loss + penalty.alpha * (weights**2).sum()
    return loss


KINDS = ["squared", "logistic", "network, log", "network, squared"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES.keys())
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_value_and_gradient_equal_autograd_and_finite_differences(kind, penalty, intercept, seed):
    X, labels, numbers, rng = data(seed)
    J = build(kind, X, labels, numbers, penalty, intercept)
    theta = rng.normal(size=J.n_parameters)

    by_torch = torch.tensor(theta, requires_grad=True)
    loss = written_in_torch(kind, by_torch, X, labels, numbers, penalty, intercept)
    loss.backward()
    value, gradient = J.value_and_gradient(theta)
    np.testing.assert_allclose(value, loss.item(), rtol=1e-13)
    np.testing.assert_allclose(gradient, by_torch.grad.numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(J.value(theta), value, rtol=1e-14)
    np.testing.assert_allclose(J.gradient(theta), gradient, rtol=1e-14)

    steps = 1e-6 * np.eye(J.n_parameters)
    differences = (J.value(theta + steps) - J.value(theta - steps)) / 2e-6
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES.keys())
@pytest.mark.parametrize("shape", [(5,), (2, 3), (0,)])
def test_leading_axes_are_a_batch(kind, penalty, shape):
    X, labels, numbers, rng = data(0)
    J = build(kind, X, labels, numbers, penalty)
    thetas = rng.normal(size=(*shape, J.n_parameters))
    values, gradients = J.value_and_gradient(thetas)
    assert values.shape == shape and gradients.shape == thetas.shape
    for i in np.ndindex(shape):
        np.testing.assert_allclose(values[i], J.value(thetas[i]), rtol=1e-13)
        np.testing.assert_allclose(gradients[i], J.gradient(thetas[i]), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("penalty_class", [L1, L2])
@pytest.mark.parametrize("intercept", [False, True])
def test_alpha_can_be_an_array(penalty_class, intercept):
    X, labels, numbers, rng = data(1)
    alphas = np.array([0.0, 0.1, 2.0])
    together = build("squared", X, labels, numbers, penalty_class(alphas), intercept)
    thetas = rng.normal(size=(3, together.n_parameters))
    for i, alpha in enumerate(alphas):
        alone = build("squared", X, labels, numbers, penalty_class(alpha), intercept)
        np.testing.assert_allclose(together.value(thetas)[i], alone.value(thetas[i]), rtol=1e-13)
        np.testing.assert_allclose(together.gradient(thetas)[i], alone.gradient(thetas[i]), rtol=1e-12)
        np.testing.assert_allclose(np.broadcast_to(together.lipschitz, 3)[i], alone.lipschitz, rtol=1e-13)


@pytest.mark.parametrize("kind", ["squared", "logistic"])
@pytest.mark.parametrize("penalty", [None, L2(0.7)])
def test_hessian_equals_autograd_and_lipschitz_bounds_it(kind, penalty):
    X, labels, numbers, rng = data(2)
    J = build(kind, X, labels, numbers, penalty, intercept=True)
    theta = rng.normal(size=5)
    by_torch = torch.autograd.functional.hessian(
        lambda t: written_in_torch(kind, t, X, labels, numbers, penalty, True), torch.tensor(theta)
    )
    np.testing.assert_allclose(J.hessian(theta), by_torch.numpy(), rtol=1e-11, atol=1e-13)
    largest = np.linalg.eigvalsh(by_torch.numpy())[-1]
    assert largest <= J.lipschitz * (1 + 1e-12)
    if J.is_quadratic:
        assert largest == pytest.approx(J.lipschitz, rel=1e-12)
    assert J.hessian(np.stack([theta, theta])).shape[-2:] == (5, 5)


def test_factor_is_that_of_the_formula_not_of_the_listing():
    J = MeanSquaredError([[1.0, 2.0], [3.0, 4.0]], [1.0, 2.0])
    np.testing.assert_allclose(J.gradient(np.zeros(2)), [-7, -10])  # by hand, 2/m; the listing's 1/m gives half


def test_l2_is_the_squared_norm():
    np.testing.assert_allclose(L2(1.0).gradient(np.array([3.0, 4.0])), [6, 8])  # the bare norm would give .6, .8
    assert L2(1.0).value(np.array([3.0, 4.0])) == 25


def test_penalty_leaves_intercept_and_biases_alone():
    X, labels, numbers, _ = data(3)
    for penalty in (L1(5.0), L2(5.0)):
        J = MeanSquaredError(X, numbers, penalty=penalty, intercept=True)
        bare = MeanSquaredError(X, numbers, intercept=True)
        only_intercept = np.array([3.0, 0, 0, 0, 0])
        assert J.value(only_intercept) == bare.value(only_intercept)
        assert J.gradient(only_intercept)[0] == bare.gradient(only_intercept)[0]
        assert J.proximal(only_intercept, 1.0)[0] == 3.0 if J.is_proximal else True
        net, bare = TwoLayerNetwork(X, labels, 3, penalty=penalty), TwoLayerNetwork(X, labels, 3)
        only_biases = 1.0 - net.penalised
        assert net.value(only_biases) == bare.value(only_biases)
        np.testing.assert_array_equal((net.gradient(only_biases) - bare.gradient(only_biases))[only_biases == 1], 0)


@given(z=st.floats(-1e4, 1e4), y=st.sampled_from([0.0, 1.0]))
def test_sigmoid_and_cross_entropy_equal_torch_for_any_logit(z, y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        p, loss = sigmoid(z), cross_entropy(y, z)
    tz = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    reference = F.binary_cross_entropy_with_logits(tz, torch.tensor(y, dtype=torch.float64))
    reference.backward()
    np.testing.assert_allclose(p, torch.sigmoid(tz).item(), rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(loss, reference.item(), rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(p - y, tz.grad.item(), atol=1e-15)


@pytest.mark.parametrize("logit", [40.0, -40.0, 120.0, -120.0, 1000.0, -1000.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_extreme_logits_have_exact_loss_and_gradient(logit, label):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        J = LogisticLoss([[1.0], [0.0], [0.0]], [label, 0, 1])
        value, gradient = J.value_and_gradient([logit])
    wrong = logit if label == 0 else -logit
    expected = wrong if wrong > 0 else np.exp(wrong)  # log(1 + e^w) to within rounding, for |w| >= 40
    np.testing.assert_allclose(3 * value - 2 * np.log(2), expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(3 * gradient[0], (logit > 0) - label, atol=1e-15)
    assert cross_entropy(label, logit) == pytest.approx(expected, rel=1e-14, abs=0)


def test_the_literal_formulas_do_break():
    """What the functions above are for: source B's formulas, typed as they stand."""
    with np.errstate(all="ignore"):
        p = 1 / (1 + np.exp(-np.array([40.0, -1000.0])))
        literal = -0.0 * np.log(p) - 1.0 * np.log(1 - p)
    assert np.isinf(literal[0]) and np.isnan(literal[1])
    net = TwoLayerNetwork(*data(0)[:2], 5)
    outputs = net.predict(net.initial(np.random.default_rng(0)), net.X)
    assert (outputs > 1).any()  # fed bare into the cross-entropy, as the appendix does: log of a negative number


def test_network_computes_the_formula():
    X, labels, *_ = data(4)
    net = TwoLayerNetwork(X, labels, 3)
    theta = net.initial(np.random.default_rng(0))
    W1, b1, W2, b2 = net.unpack(theta)
    np.testing.assert_allclose(net.predict(theta, X)[5], W2 @ sigmoid(W1 @ X[5] + b1) + b2[0])
    assert net.n_parameters == 3 * 4 + 3 + 3 + 1
    assert (theta[net.penalised == 0] == 0).all() and (theta[net.penalised == 1] != 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_minibatch_gradients_average_to_the_full_gradient(kind):
    X, labels, numbers, rng = data(5, m=12)
    J = build(kind, X, labels, numbers, L2(0.1))
    theta = rng.normal(size=J.n_parameters)
    parts = [J.batch(rows) for rows in np.split(rng.permutation(12), 3)]
    np.testing.assert_allclose(np.mean([p.gradient(theta) for p in parts], axis=0), J.gradient(theta), rtol=1e-11)
    assert len(J.y) == 12


def test_minibatch_has_its_own_lipschitz_constant():
    X, _, numbers, _ = data(5)
    J = MeanSquaredError(X, numbers)
    assert J.lipschitz != J.batch([0, 1]).lipschitz


@pytest.mark.parametrize("penalty", [None, L2(0.3), L2(np.array([0.0, 0.3])), L1(0.2)])
@pytest.mark.parametrize("shape", [(40, 4), (3, 6)], ids=["tall", "wide"])
def test_quadratic_is_the_same_function(penalty, shape):
    X, _, numbers, rng = data(6, *shape)
    J = MeanSquaredError(X, numbers, penalty=penalty, intercept=True)
    Q, thetas = J.quadratic(), rng.normal(size=(2, J.n_parameters))
    for ours, want in zip(Q.value_and_gradient(thetas), J.value_and_gradient(thetas), strict=True):
        np.testing.assert_allclose(ours, want, rtol=1e-10, atol=1e-12)
    if not J.is_proximal:
        np.testing.assert_allclose(J.gradient(Q.minimizer), 0, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_quadratic_keeps_its_digits_where_the_fit_is_perfect(seed):
    X, _, _, rng = data(seed, m=50)
    true = rng.normal(size=4)
    Q = MeanSquaredError(X, X @ true).quadratic()
    nearly = true + 1e-9
    exact = np.mean((X @ np.full(4, 1e-9)) ** 2)  # theta' H theta - 2 c' theta + y'y would give about 1e-16 here
    assert 0 <= Q.minimum < 1e-26 and Q.value(nearly) == pytest.approx(exact, rel=1e-5, abs=0)


def test_l1_gradient_is_zero_exactly_at_the_minimum():
    from sklearn.linear_model import Lasso

    X, _, numbers, _ = data(8, m=60)
    oracle = Lasso(alpha=0.1, fit_intercept=False, tol=1e-15).fit(X, numbers)
    J = MeanSquaredError(X, numbers, penalty=L1(0.2))
    assert (oracle.coef_ == 0).any()
    np.testing.assert_allclose(J.gradient(oracle.coef_), 0, atol=1e-12)


@settings(max_examples=50)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=5), st.floats(0, 3), st.floats(0.01, 3))
def test_proximal_step_minimises_what_it_says(values, alpha, rate):
    theta = np.array(values)
    step = L1(alpha).proximal(theta, rate)
    cost = lambda w: ((w - theta) ** 2).sum(-1) / (2 * rate) + alpha * np.abs(w).sum(-1)
    others = step + np.concatenate([np.eye(len(theta)), -np.eye(len(theta))]) * 1e-3
    assert (cost(step) <= cost(others) + 1e-12).all()


def test_column_y_is_the_same_as_flat_y():
    X, _, numbers, rng = data(9)
    theta = rng.normal(size=4)
    assert MeanSquaredError(X, numbers[:, None]).value(theta) == MeanSquaredError(X, numbers).value(theta)


BAD = {
    "NaN in X": (lambda X, y: MeanSquaredError(np.where(X > 0, np.nan, X), y), ValueError, "X has .* NaN"),
    "infinite y": (lambda X, y: MeanSquaredError(X, np.full_like(y, np.inf)), ValueError, "y has .* infinite"),
    "rows differ": (lambda X, y: MeanSquaredError(X, y[1:]), ValueError, "same number of rows"),
    "X flat": (lambda X, y: MeanSquaredError(X[:, 0], y), ValueError, "X must have 2 axes"),
    "empty": (lambda X, y: MeanSquaredError(X[:0], y[:0]), ValueError, "X is empty"),
    "objects": (lambda X, y: MeanSquaredError(X.astype(object), y), TypeError, "object"),
    "labels": (lambda X, y: LogisticLoss(X, y), ValueError, "labels 0 and 1"),
    "one class": (lambda X, y: LogisticLoss(X, 0 * y), ValueError, "one class"),
    "network labels": (lambda X, y: TwoLayerNetwork(X, y, 3), ValueError, "labels 0 and 1"),
    "hidden": (lambda X, y: TwoLayerNetwork(X, y, 0, loss="squared"), ValueError, "hidden"),
    "loss": (lambda X, y: TwoLayerNetwork(X, y, 3, loss="hinge"), ValueError, "loss must be one of"),
    "alpha": (lambda X, y: L2(-1), ValueError, "alpha"),
    "penalty": (lambda X, y: MeanSquaredError(X, y, penalty=0.1), TypeError, "penalty must be None"),
    "theta": (lambda X, y: MeanSquaredError(X, y).value(np.zeros(3)), ValueError, "theta must have 4"),
}


@pytest.mark.parametrize("call, error, message", BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(call, error, message):
    X, _, numbers, _ = data(10)
    with pytest.raises(error, match=message):
        call(X, numbers)


@pytest.mark.parametrize("seed", range(3))
def test_rippled_bowl_against_autograd(seed):
    rng = np.random.default_rng(seed)
    X, theta = rng.normal(size=(7, 3)), rng.normal(size=(5, 3))
    bowl = RippledBowl(X, height=0.7, period=1.3)
    t = torch.tensor(theta, requires_grad=True)
    off = t - torch.tensor(X.mean(0))
    value = (off**2 / 2 + 0.7 * (1 - torch.cos(2 * np.pi * off / 1.3))).sum(-1)
    value.sum().backward()
    np.testing.assert_allclose(bowl.value(theta), value.detach(), rtol=1e-12)
    np.testing.assert_allclose(bowl.gradient(theta), t.grad, rtol=1e-9, atol=1e-12)


def test_rippled_bowl_has_dips_near_multiples_of_its_period_and_the_lowest_at_its_center():
    bowl = RippledBowl(np.zeros((1, 1)), height=0.5)
    theta = np.linspace(-4, 4, 8001)[:, None]
    J = bowl.value(theta)
    dips = theta[1:-1, 0][(J[1:-1] < J[:-2]) & (J[1:-1] < J[2:])]
    assert len(dips) > 3 and np.abs(dips - np.round(dips)).max() < 0.2
    assert J.argmin() == 4000 and bowl.value([0.0]) == 0
    slopes = np.diff(bowl.gradient(theta)[:, 0]) / np.diff(theta[:, 0])
    assert slopes.max() == pytest.approx(bowl.lipschitz, rel=1e-4)


def test_batches_of_a_rippled_bowl_are_noisy_but_not_biased():
    bowl = RippledBowl(np.random.default_rng(0).normal(size=(6, 2)))
    theta = np.array([0.3, -1.7])
    each = [bowl.batch(np.array([row])).gradient(theta) for row in range(6)]
    np.testing.assert_allclose(np.mean(each, axis=0), bowl.gradient(theta), rtol=1e-12)
    assert np.std(each, axis=0).min() > 0.1


def test_rippled_bowl_names_bad_arguments():
    with pytest.raises(ValueError, match="height"):
        RippledBowl([[0.0]], height=-1)
    with pytest.raises(ValueError, match="period"):
        RippledBowl([[0.0]], period=0)
    with pytest.raises(ValueError, match="X has 1 NaN"):
        RippledBowl([[np.nan]])
