"""The program of source A 8.4: the same steps and the same faults, written anew.

Lesson 04 runs it, watches it fail and repairs it. It is broken on purpose: do not mend it here.
"""
import numpy as np
import pandas as pd
from sklearn.datasets import load_boston
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score

# The data: one row per town, without one of the columns.
housing = load_boston()
table = pd.DataFrame(housing.data, columns=housing.feature_names).drop(["RM"], axis=1)
target = housing.target.reshape(-1, 1)


def cross_validation(clf, table, target):
    """Error of a model over five folds."""
    folds = cross_val_score(clf, table, target, cv=5, scoring="neg_mean_squared_error")
    return np.sqrt(-folds.mean())


def gradient_descent(table, target, learning_rate=0.01, num_iterations=1000):
    """Parameters of a linear model, found step by step."""
    rows, columns = table.shape
    theta = np.zeros((columns, 1))
    for _ in range(num_iterations):
        slope = (1 / rows) * table.T @ (table @ theta - target)
        theta = theta - learning_rate * slope
    return theta


# A fifth of the rows is held out. Evaluate, fit, test, "optimise".
table_train, table_test, target_train, target_test = train_test_split(table, target, test_size=0.2, random_state=42)

clf = LinearRegression()
print("cross-validation score:", round(cross_validation(clf, table_train, target_train), 6))

clf.fit(table_train, target_train)
print("test RMSE:", round(np.sqrt(np.mean((clf.predict(table_test) - target_test) ** 2)), 6))

theta = gradient_descent(table_train, target_train)
print("optimised parameters:", np.ravel(theta).tolist())
