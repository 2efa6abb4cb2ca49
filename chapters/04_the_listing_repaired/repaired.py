"""The program of source A 8.4, repaired. Each repair carries its number in lesson 04.

Run it: `python repaired.py`. It needs NumPy and scikit-learn, and no download.
"""
import numpy as np
from sklearn.datasets import load_diabetes                                    # 1 data that exist
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split  # 2 every name imported
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X, y = load_diabetes(return_X_y=True, scaled=False)


def cross_validation(regressor, X, y):
    """Root of the mean squared error over five folds: an error, so lower is better."""
    return np.sqrt(-cross_val_score(regressor, X, y, cv=5, scoring="neg_mean_squared_error").mean())


def rmse(prediction, y):
    """Root mean squared error, in the units of y."""
    return np.sqrt(np.mean((prediction - y) ** 2))


def gradient_descent(X, y, learning_rate=0.1, tolerance=1e-8, max_iterations=100_000):
    """Minimise the mean squared error; return theta, shape (n,), and the number of steps."""
    m, n = X.shape
    theta = np.zeros(n)
    for step in range(max_iterations):
        gradient = 2 / m * X.T @ (X @ theta - y)                              # 7 the gradient of the formula: 2/m
        size = np.abs(gradient).max()
        if not size < 1e100:                                                  # 3 a NaN is an error, not a result
            raise FloatingPointError(f"diverged after {step} steps: scale X or lower learning_rate={learning_rate}")
        if size < tolerance:                                                  # 6 stop when flat, not when tired
            return theta, step
        theta = theta - learning_rate * gradient
    raise RuntimeError(f"not converged after {max_iterations} steps: the gradient is still {size:.1e}")


def main():
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)
    print(f"cross-validated RMSE  {cross_validation(LinearRegression(), X_train, y_train):.4f}")

    scaler = StandardScaler().fit(X_train)                                    # 4 scaled, by the training rows alone
    Z_train, Z_test = (np.c_[np.ones(len(part)), scaler.transform(part)] for part in (X_train, X_test))  # 5 intercept
    theta, steps = gradient_descent(Z_train, y_train)
    exact = np.linalg.lstsq(Z_train, y_train, rcond=None)[0]
    print(f"gradient descent      {steps} steps, largest parameter error {np.abs(theta - exact).max():.0e}")
    print(f"test RMSE of theta    {rmse(Z_test @ theta, y_test):.4f}")        # 8 theta is used; something is tuned

    ridge = GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": np.logspace(-3, 3, 25)},
                         cv=5, scoring="neg_mean_squared_error").fit(X_train, y_train)
    alpha = ridge.best_params_["ridge__alpha"]
    print(f"ridge, alpha {alpha:6.2f}   cross-validated RMSE {np.sqrt(-ridge.best_score_):.4f}, "
          f"test RMSE {rmse(ridge.predict(X_test), y_test):.4f}")


if __name__ == "__main__":
    main()
