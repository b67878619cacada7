"""The exercises of notebook 05: test cases, answers, and common mistakes with remarks."""

import math

from ..task import Experiment, Prediction, Task, numbers


def _bells():
    return [
        ("means 1 and 3, standard deviations 2 and 0.5", (1.0, 2.0, 3.0, 0.5)),
        ("means 0 and 0, standard deviations 3 and 2", (0.0, 3.0, 0.0, 2.0)),
        ("means -40 and 40, standard deviations 0 and 5", (-40.0, 0.0, 40.0, 5.0)),
    ]


def _from_covariances(m1, s1, m2, s2):
    return (m1 - m2) ** 2 + s1**2 + s2**2 - 2 * math.sqrt(s1 * s2)


def _between():
    near = numbers([0.1, 0.9, 2.0, 0.3], [0.8, 0.7, 1.0, 0.2], [1.5, 0.4, 3.0, 0.9])
    far = numbers([40.0, 50.0], [60.0, 45.0])
    return [
        ("three reals, four fakes and the fakes' radii", (near, numbers(0.2, 0.5, 0.3, 0.1))),
        ("two reals far from both fakes", (far, numbers(0.5, 0.5))),
        ("one real and one fake that are the same", (numbers([0.0]), numbers(0.2))),
    ]


def _beliefs():
    return [
        ("three images of two classes", (numbers([0.9, 0.1], [0.2, 0.8], [0.6, 0.4]),)),
        ("two images, surely of different classes", (numbers([1.0, 0.0], [0.0, 1.0]),)),
        ("one image", (numbers([0.5, 0.5]),)),
    ]


def _entropy(p):
    return -(p * p.clamp_min(1e-30).log()).sum(-1)


def _share():
    return [
        ("a share of 0.9 of 400", (0.9, 400)),
        ("a share of 0.5 of 25", (0.5, 25)),
        ("a share of 1 of 1", (1.0, 1)),
    ]


TASKS = {
    "frechet_1d": Task(
        _bells,
        lambda m1, s1, m2, s2: (m1 - m2) ** 2 + (s1 - s2) ** 2,
        (
            (
                "The root is that of the product of the *variances*, sqrt(s1² s2²) = s1 s2.",
                _from_covariances,
            ),
            (
                "The last term has no factor 2, so two equal bells are not at distance 0.",
                lambda m1, s1, m2, s2: (m1 - m2) ** 2 + s1**2 + s2**2 - s1 * s2,
            ),
            (
                "The spread is missing: it is to differ where the standard deviations do.",
                lambda m1, s1, m2, s2: (m1 - m2) ** 2,
            ),
            (
                "Those are the variances' difference: it is the standard deviations'.",
                lambda m1, s1, m2, s2: (m1 - m2) ** 2 + (s1**2 - s2**2) ** 2,
            ),
            (
                "That is its square root: the Frechet distance as published stays squared.",
                lambda m1, s1, m2, s2: math.sqrt((m1 - m2) ** 2 + (s1 - s2) ** 2),
            ),
        ),
        (
            "Put two equal bells in, with standard deviations of 3. Which distance should it be?",
            "In one dimension a covariance is a variance: C1 = s1², C2 = s2².",
            "sqrt(C1 C2) = s1 s2, so the whole is (m1 - m2)² + (s1 - s2)².",
        ),
        faulty=_from_covariances,
    ),
    "recall": Task(
        _between,
        lambda near, radii: (near <= radii).any(1).float().mean(),
        (
            (
                "That is the share of fakes that lie near a real one: recall asks the reals.",
                lambda near, radii: (near <= radii).any(0).float().mean(),
            ),
            (
                "That is the share of pairs: one near fake is enough for a real image.",
                lambda near, radii: (near <= radii).float().mean(),
            ),
            (
                "That asks that all fakes be near: one is enough.",
                lambda near, radii: (near <= radii).all(1).float().mean(),
            ),
        ),
        (
            "near <= radii is a table of yes and no. What is a row, what a column?",
            "A real image counts if *any* of its row is true.",
            "(near <= radii).any(1), as floats, and their mean.",
        ),
    ),
    "best_score": Prediction(
        (9.99, 10.01),
        "the score is the exponential of an information, and ten classes hold log 10 at most: "
        "exp(log 10) = 10. It is reached if the classifier is quite sure of each image and all "
        "classes are equally frequent, whatever the images look like: ten images are enough.",
        (
            ("That is the information itself, log 10; take its exponential.", (2.3, 2.31)),
            ("That is the score if all images are alike.", 1),
            ("The score is no share: its largest value is the number of classes.", (0.0, 0.99)),
        ),
        (
            "Imagine ten images, each surely of another class. What is the mean entropy?",
            "The entropy of the mean is log 10 then, and the mean entropy is 0.",
            "exp(log 10 - 0).",
        ),
        within=0.2,
    ),
    "class_score": Task(
        _beliefs,
        lambda p: (_entropy(p.mean(0)) - _entropy(p).mean()).exp(),
        (
            (
                "0 * log(0) is nan: a classifier may be quite sure. torch.special.entr(p) is "
                "-p log(p), and 0 at 0.",
                lambda p: (
                    -(p.mean(0) * p.mean(0).log()).sum() + (p * p.log()).sum(-1).mean()
                ).exp(),
            ),
            (
                "The exponential is missing: this is the information in nats.",
                lambda p: _entropy(p.mean(0)) - _entropy(p).mean(),
            ),
            (
                "The two are exchanged: the mean image is to be undecided, each single one sure.",
                lambda p: (_entropy(p).mean() - _entropy(p.mean(0))).exp(),
            ),
            (
                "That looks at variety alone: a fake that is half a 3 and half a 5 would count as "
                "two.",
                lambda p: _entropy(p.mean(0)).exp(),
            ),
        ),
        (
            "You need two entropies: of p.mean(0), and the mean of those of the rows.",
            "The entropy is -(p * p.log()).sum(-1), but p may be 0: torch.special.entr(p).",
            "exp(entropy of the mean - mean of the entropies).",
        ),
    ),
    "half_width": Task(
        _share,
        lambda share, n: 1.96 * math.sqrt(share * (1 - share) / n),
        (
            (
                "That is one standard error; 95 % take 1.96 of them.",
                lambda share, n: math.sqrt(share * (1 - share) / n),
            ),
            (
                "The number of images is missing: this is the spread of single ones.",
                lambda share, n: 1.96 * math.sqrt(share * (1 - share)),
            ),
            (
                "The square root is missing: this is a variance.",
                lambda share, n: 1.96 * share * (1 - share) / n,
            ),
            (
                "That is the whole width; half of it is asked for.",
                lambda share, n: 2 * 1.96 * math.sqrt(share * (1 - share) / n),
            ),
        ),
        (
            "What is the variance of one yes or no that is yes with probability `share`?",
            "It is share * (1 - share); the variance of a mean of n of them is that over n.",
            "1.96 * math.sqrt(share * (1 - share) / n)",
        ),
    ),
    "floor": Experiment(
        (6.0, 16.0),
        "real images are not at distance 0 from other real images, because both means and both "
        "covariances are estimated. This bias falls like 1 / n: ten times the images, a tenth of "
        "the floor. So distances at different n must not be compared.",
        (
            (
                "That is the square root of 10: it is the rule for errors, not for this bias.",
                (2.8, 3.6),
            ),
            ("That is the floor itself; how many times larger is one than the other?", (0.0, 1.5)),
        ),
        (
            "Call floor(200) and floor(2000), and divide.",
            "Both have the same data and differ only in n.",
            "floor(200) / floor(2000); it is far from 1.",
        ),
    ),
}
