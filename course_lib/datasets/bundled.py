"""The small tables that come inside scikit-learn: real, clean, and the same on every machine."""

from course_lib.datasets._dataset import Dataset


def load_diabetes(scaled=False):
    """The default of the course: 442 patients, 10 measurements, disease progression one year later (25 to 346).

    scaled=False gives the units of the clinic (age in years, blood pressure in mmHg, ...), on which plain gradient
    descent with learning rate 0.01 diverges; scaled=True gives scikit-learn's columns of mean 0 and norm 1, on which
    it hardly moves. Least squares fits both equally well.

    Origin: Efron, Hastie, Johnstone, Tibshirani, "Least Angle Regression", 2004; in scikit-learn (BSD-3-Clause).

    >>> X, y = load_diabetes()
    >>> X.shape, float(X[0, 0])
    ((442, 10), 59.0)
    """
    return _from_sklearn("load_diabetes", "disease progression", "Efron et al., Least Angle Regression, 2004.", scaled=scaled)


def load_breast_cancer():
    """569 biopsies, 30 measurements of cell nuclei; 0 = malignant (212), 1 = benign (357). Features are collinear.

    Origin: Street, Wolberg, Mangasarian, University of Wisconsin, 1993 (UCI, CC BY 4.0); in scikit-learn.
    """
    return _from_sklearn("load_breast_cancer", "diagnosis (1 = benign)", "Street, Wolberg, Mangasarian, Wisconsin, 1993.")


def load_iris():
    """150 iris flowers, 4 lengths in cm, 3 species of 50. The rows are in order of species: shuffle before you split.

    Origin: E. Anderson; R. A. Fisher, 1936 (UCI, CC BY 4.0); in scikit-learn.
    """
    return _from_sklearn("load_iris", "species", "Anderson; Fisher, 1936.")


def load_wine():
    """178 Italian wines of 3 growers, 13 chemical measurements on scales from 0.1 to 1,680. Rows in order of grower.

    Origin: M. Forina et al., PARVUS, Genoa, 1988 (UCI, CC BY 4.0); in scikit-learn.
    """
    return _from_sklearn("load_wine", "grower", "Forina et al., Genoa, 1988.")


def load_digits():
    """1,797 handwritten digits as 8 x 8 grey values from 0 to 16, one image per row of 64.

    Origin: E. Alpaydin, C. Kaynak, 1998 (the test part of UCI's optical digits, CC BY 4.0); in scikit-learn.
    """
    return _from_sklearn("load_digits", "digit", "Alpaydin, Kaynak, 1998.")


_LICENCES = {"load_diabetes": "BSD-3-Clause, with scikit-learn"}


def _from_sklearn(name, target_name, origin, **options):
    from sklearn import datasets

    table = getattr(datasets, name)(**options)
    return Dataset(
        X=table.data,
        y=table.target,
        feature_names=[str(feature) for feature in table.feature_names],
        target_name=target_name,
        origin=f"{origin} Ships with scikit-learn.",
        licence=_LICENCES.get(name, "CC BY 4.0 (UCI)"),
    )
