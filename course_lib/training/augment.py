"""Changes of training batches, for `fit(..., augment=...)`: functions (X, y, generator) -> (X, y)."""

import torch
import torch.nn.functional as F

from course_lib._inputs import positive, whole


def mixup(n_classes, alpha=0.2):
    """Return the augmentation that mixes each row with another one, inputs and labels by the same share.

    Zhang et al., "mixup" (2018): share ~ Beta(alpha, alpha), one for each batch. X of real numbers, shape (m, ...); y of
    labels, shape (m,), becomes probabilities, shape (m, n_classes), which cross-entropy takes as they are. The accuracy
    on mixed batches counts a row as right when its larger part is found.

    >>> X, y = mixup(3)(torch.eye(4), torch.tensor([0, 1, 2, 0]), torch.Generator().manual_seed(0))
    >>> y.sum(1)
    tensor([1., 1., 1., 1.])
    """
    n_classes, alpha = whole("n_classes", n_classes, minimum=2), positive("alpha", alpha, example="0.2", ndim=0)

    def mix(X, y, generator):
        both = torch._standard_gamma(torch.full((2,), alpha, device=X.device), generator=generator)
        share = both[0] / both.sum()
        order = torch.randperm(len(X), generator=generator, device=X.device)
        if y.is_floating_point() or (y.device.type == "cpu" and y.max() >= n_classes):  # a GPU checks for itself
            found = "real numbers" if y.is_floating_point() else f"class {y.max()}"
            raise ValueError(f"mixup needs labels below n_classes={n_classes}; got {found}.")
        labels = F.one_hot(y, n_classes).to(X.dtype)
        return torch.lerp(X[order], X, share), torch.lerp(labels[order], labels, share)

    return mix
