"""Cross-validation: how a number about unseen rows is got from the rows that one has (A 8.3.2)."""

from course_lib.validation.decomposition import bias_variance, cosine_features
from course_lib.validation.evaluation import cross_validation
from course_lib.validation.grouped import GroupKFold
from course_lib.validation.kfold import KFold
from course_lib.validation.lasso import lasso_path
from course_lib.validation.logistic import logistic_path
from course_lib.validation.loo import leave_one_out
from course_lib.validation.nested import nested_cross_validation
from course_lib.validation.repeated import RepeatedKFold, RepeatedStratifiedKFold
from course_lib.validation.ridge import ridge_path
from course_lib.validation.stratified import StratifiedKFold
from course_lib.validation.time_series import TimeSeriesSplit

__all__ = [
    "GroupKFold",
    "KFold",
    "RepeatedKFold",
    "RepeatedStratifiedKFold",
    "StratifiedKFold",
    "TimeSeriesSplit",
    "bias_variance",
    "cosine_features",
    "cross_validation",
    "lasso_path",
    "leave_one_out",
    "logistic_path",
    "nested_cross_validation",
    "ridge_path",
]
