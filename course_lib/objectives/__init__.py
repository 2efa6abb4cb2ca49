"""What is minimised: data loss plus penalty, each as value and gradient, and stable where the literal formula is not.

Every objective takes theta of shape (..., n): all leading axes are a batch, so one call answers for many thetas.
"""

from .least_squares import MeanSquaredError
from .logistic import LogisticLoss, cross_entropy, sigmoid
from .network import TwoLayerNetwork
from .penalties import L1, L2
from .rippled import RippledBowl

__all__ = ["L1", "L2", "LogisticLoss", "MeanSquaredError", "RippledBowl", "TwoLayerNetwork", "cross_entropy", "sigmoid"]
