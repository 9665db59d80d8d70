"""Exact expectations of the closed-form families: the dashed lines of the figures.

`papers` has the formulas of FACTS.md, `recursions` what holds for any regime.
"""

from collapse.theory.papers import (
    gaussian_accumulate_subsample_variance,
    gaussian_accumulate_variance,
    gaussian_accumulate_variance_limit,
    gaussian_replace_variance,
    gaussian_unbiased_replace_squared_error,
    kde_accumulate_excess,
    kde_replace_excess,
    linear_regression_accumulate_factor,
    linear_regression_accumulate_subsample_factor,
    linear_regression_replace_factor,
)
from collapse.theory.recursions import (
    EXACT_COLLAPSE_LIMIT,
    LogDeterminant,
    ReplaceMoments,
    VarianceFractions,
    discrete_gini_simpson,
    discrete_iterations_to_collapse,
    gaussian_replace_log_determinant,
    gaussian_replace_moments,
    kde_mean_squared_norm_excess,
    linear_regression_factor,
    linear_regression_test_error,
    memoryless_sizes,
    variance_fractions,
)

__all__ = [
    "EXACT_COLLAPSE_LIMIT",
    "LogDeterminant",
    "ReplaceMoments",
    "VarianceFractions",
    "discrete_gini_simpson",
    "discrete_iterations_to_collapse",
    "gaussian_accumulate_subsample_variance",
    "gaussian_accumulate_variance",
    "gaussian_accumulate_variance_limit",
    "gaussian_replace_log_determinant",
    "gaussian_replace_moments",
    "gaussian_replace_variance",
    "gaussian_unbiased_replace_squared_error",
    "kde_accumulate_excess",
    "kde_mean_squared_norm_excess",
    "kde_replace_excess",
    "linear_regression_accumulate_factor",
    "linear_regression_accumulate_subsample_factor",
    "linear_regression_factor",
    "linear_regression_replace_factor",
    "linear_regression_test_error",
    "memoryless_sizes",
    "variance_fractions",
]
