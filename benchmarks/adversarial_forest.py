"""Adversarial inputs against a random forest: images of digits, changed a little, that it takes for other digits.

    python -m pip install -e '.[examples]'
    python benchmarks/adversarial_forest.py [--dims 64,1024] [--images 30] [--trees 100] [--methods lm-ma,lm-cma,...]

After the application in the paper on LM-MA-ES (Loshchilov, Glasmachers, Beyer 2019), whose images and forest are not
available: the numbers are ours, on the handwritten digits of scikit-learn. These have n = 64 pixels; for n = 1024 they
are interpolated linearly and the forest is trained on the result. 1200 images train, correctly classified others are
attacked. A run starts at the image itself, pixels stay in [0, 16], and it minimises

    max(margin, -1/trees) + weight * distance,

margin: the share of votes for the true class minus the largest other one; distance: the Euclidean norm of the change
over that of the image. Only points that the forest takes for another digit count as found; the table has the distance
of the nearest one among all evaluated: median [quartiles] over the images where something was found, and the median
over all images, the others counted as infinite. "First found" is the number of the evaluation that found the first
one, a median again. For comparison, the distance of the nearest test image that shows another digit and is recognised.
Image i is run with seed i; one thread, some minutes, most of them for `cma` with n = 1024.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402
from scipy.ndimage import zoom  # noqa: E402

import lmcma  # noqa: E402

try:
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier
except ImportError:
    sys.exit("This script needs scikit-learn: python -m pip install scikit-learn")

BUDGETS = {64: 2000, 1024: 8000}  # evaluations of a run
TRAIN = 1200


def digits(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Images with values from 0 to 16, (1797, n), and what they show, in a random order that is always the same."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    images, times = data.images[order], round(n**0.5) // 8
    if times > 1:
        images = zoom(images, (1, times, times), order=1, mode="nearest", grid_mode=True)
    return images.reshape(len(images), n), data.target[order]


class Forest:
    """A random forest that predicts small batches quickly: its trees are asked without checks of the input."""

    def __init__(self, x: np.ndarray, labels: np.ndarray, trees: int) -> None:
        self.size = trees
        self._forest = RandomForestClassifier(trees, random_state=1, n_jobs=1).fit(x, labels)

    def votes(self, x: np.ndarray) -> np.ndarray:
        """Shares of the votes, (k, 10), for k images; as `predict_proba`."""
        single = x.astype(np.float32)
        return sum(tree.tree_.predict(single) for tree in self._forest.estimators_).reshape(len(x), -1) / self.size


class Attack:
    """The function to be minimised for one image; remembers the nearest adversarial point that it has seen."""

    def __init__(self, forest: Forest, image: np.ndarray, label: int, weight: float) -> None:
        self.forest, self.image, self.label, self.weight = forest, image, label, weight
        self.norm = np.linalg.norm(image)
        self.nearest, self.first, self.nfev = np.inf, np.nan, 0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Values of k images, (k, n) -> (k,)."""
        votes = self.forest.votes(x)
        own, lead = votes[:, self.label].copy(), 1 / self.forest.size
        votes[:, self.label] = 0
        margin = own - votes.max(axis=1)
        distance = np.linalg.norm(x - self.image, axis=1) / self.norm
        fooled = margin < -0.5 * lead
        if fooled.any():
            self.nearest = min(self.nearest, distance[fooled].min())
            if np.isnan(self.first):
                self.first = self.nfev + int(np.argmax(fooled)) + 1
        self.nfev += len(x)
        return np.maximum(margin, -lead) + self.weight * distance


def spread(values: list[float]) -> str:
    """Median [quartiles]."""
    return "{1:.3f} [{0:.3f} - {2:.3f}]".format(*np.quantile(values, (0.25, 0.5, 0.75))) if values else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dims", default="64,1024", help="pixels: squares of multiples of 8")
    parser.add_argument("--methods", default="lm-ma,lm-cma,sep-cma,cma")
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--sigma0", type=float, default=1.0, help="first standard deviation of a pixel, of 16")
    parser.add_argument("--weight", type=float, default=1.0, help="of the distance")
    parser.add_argument("--maxfev", type=int, help="evaluations of a run; 2000 for n = 64, otherwise 8000")
    options = parser.parse_args()
    for n in (int(v) for v in options.dims.split(",")):
        x, labels = digits(n)
        forest = Forest(x[:TRAIN], labels[:TRAIN], options.trees)
        x, labels = x[TRAIN:], labels[TRAIN:]
        right = forest.votes(x).argmax(axis=1) == labels
        accuracy = right.mean()
        x, labels = x[right], labels[right]
        gaps = [
            np.linalg.norm(x[labels != label] - image, axis=1).min() / np.linalg.norm(image)
            for image, label in zip(x[: options.images], labels, strict=False)
        ]
        print(f"n = {n}: {options.trees} trees, {100 * accuracy:.1f} % of the test images right; ", end="")
        print(f"distance of the nearest digit {spread(gaps)}")
        print(
            "method    found   distance where found     of all   first found   evaluations   seconds a run", flush=True
        )
        maxfev = options.maxfev or BUDGETS.get(n, 8000)
        for method in options.methods.split(","):
            attacks, started = [], time.perf_counter()
            for seed, (image, label) in enumerate(zip(x[: options.images], labels, strict=False)):
                attack = Attack(forest, image, label, options.weight)
                lmcma.minimize(
                    attack,
                    image,
                    options.sigma0,
                    method=method,
                    bounds=(0, 16),
                    maxfev=maxfev,
                    vectorized=True,
                    rng=seed,
                    record=False,
                )
                attacks.append(attack)
            seconds = (time.perf_counter() - started) / len(attacks)
            found = [a for a in attacks if np.isfinite(a.nearest)]
            first = f"{np.median([a.first for a in found]):.0f}" if found else "-"
            nfev = np.median([a.nfev for a in attacks])
            print(
                f"{method:8} {len(found):3}/{len(attacks):<3}  {spread([a.nearest for a in found]):22}"
                f" {np.median([a.nearest for a in attacks]):8.3f}   {first:>11}   {nfev:11.0f}   {seconds:13.2f}",
                flush=True,
            )
        print()


if __name__ == "__main__":
    main()
