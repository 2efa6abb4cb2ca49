"""One step of each method, with the constants and the order of operations of torch.optim.

A method is a function (theta, gradient, rate, state, objective) -> new theta; `state` is a dictionary of its own that it may
fill. All are elementwise, so a batch of runs, theta (k, n) with rates (k, 1), is the same code.
"""

import numpy as np


def plain(theta, gradient, rate, state, objective):
    """theta - eta grad J(theta) (A 8.3.1)."""
    return theta - rate * gradient


def momentum(theta, gradient, rate, state, objective):
    """Heavy ball: step along a decaying sum of gradients (Polyak 1964; torch.optim.SGD)."""
    velocity = state["velocity"] = state["momentum"] * state.get("velocity", 0.0) + gradient
    return theta - rate * velocity


def nesterov(theta, gradient, rate, state, objective):
    """Momentum that already counts the coming step (Nesterov 1983; torch.optim.SGD(nesterov=True))."""
    velocity = state["velocity"] = state["momentum"] * state.get("velocity", 0.0) + gradient
    return theta - rate * (gradient + state["momentum"] * velocity)


def adagrad(theta, gradient, rate, state, objective):
    """Each coordinate's rate falls with the sum of its squared gradients (Duchi, Hazan and Singer 2011)."""
    total = state["total"] = state.get("total", 0.0) + gradient**2
    return theta - rate * gradient / (np.sqrt(total) + 1e-10)


def rmsprop(theta, gradient, rate, state, objective):
    """AdaGrad that forgets: a moving average in place of the sum (Hinton 2012)."""
    average = state["average"] = 0.99 * state.get("average", 0.0) + 0.01 * gradient**2
    return theta - rate * gradient / (np.sqrt(average) + 1e-8)


def adam(theta, gradient, rate, state, objective):
    """Momentum over RMSProp, both freed from their start at zero (Kingma and Ba 2015)."""
    t = state["t"] = state.get("t", 0) + 1
    first = state["first"] = 0.9 * state.get("first", 0.0) + 0.1 * gradient
    second = state["second"] = 0.999 * state.get("second", 0.0) + 0.001 * gradient**2
    return theta - rate * (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)


def adamw(theta, gradient, rate, state, objective):
    """Adam that shrinks the weights by itself, not through the gradient (Loshchilov and Hutter 2019)."""
    return adam(theta * (1 - rate * state["decay"]), gradient, rate, state, objective)


METHODS = {f.__name__: f for f in (plain, momentum, nesterov, adagrad, rmsprop, adam, adamw)}


def ista(theta, gradient, rate, state, objective):
    """A plain step on the loss, then the penalty's proximal step (Daubechies, Defrise and De Mol 2004)."""
    return objective.proximal(theta - rate * objective.loss(theta)[1], rate)


def proximal_momentum(theta, gradient, rate, state, objective):
    """A heavy-ball step on the loss, then the penalty's proximal step (Ochs et al., iPiano, 2014)."""
    inertia = state["momentum"] * (theta - state.get("before", theta))
    state["before"] = theta
    return objective.proximal(theta + inertia - rate * objective.loss(theta)[1], rate)


def fista(theta, gradient, rate, state, objective):
    """ISTA from a point ahead of theta, with a momentum that grows to 1 (Beck and Teboulle 2009)."""
    age, before = state.get("age", 1.0), state.get("before", theta)
    state["age"], state["before"] = (1 + np.sqrt(1 + 4 * age**2)) / 2, theta
    ahead = theta + (state.get("previous_age", 1.0) - 1) / age * (theta - before)
    state["previous_age"] = age
    return objective.proximal(ahead - rate * objective.loss(ahead)[1], rate)


PROXIMAL = {"plain": ista, "momentum": proximal_momentum, "nesterov": fista}
