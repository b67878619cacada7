"""The exercises of notebook 08: test cases, answers, and common mistakes with remarks."""

import torch

from ..task import Experiment, Prediction, Task, normal, numbers


def _sentences():
    return [
        ("four sentences of two words", (numbers(*range(1, 9)).view(4, 2),)),
        ("two sentences of three words", (numbers(5, 1, 0, 2, 2, 9).view(2, 3),)),
        ("one sentence", (numbers(3, 4).view(1, 2),)),
    ]


def _vectors():
    return [
        ("vectors of length 5 and of length 0.5", (numbers(3.0, 4.0, 0.3, 0.4).view(2, 2), 0.25)),
        ("five vectors of 64 numbers", (10 * normal(5, 64), 1.0)),
        ("negative numbers", (numbers(-1.0, -1.0, -1.0, 1.0).view(1, 4), 0.5)),
    ]


def _pictures():
    return [
        ("three points of a triangle", (numbers(0.0, 0.0, 3.0, 4.0, 0.0, 4.0).view(3, 2),)),
        ("twenty pictures of 784 pixels", (normal(20, 784),)),
        ("two pictures that are one", (torch.ones(2, 9),)),
    ]


def _paths():
    there_and_back = numbers(0.0, 0.0, 3.0, 4.0, 0.0, 0.0, 3.0, 4.0).view(1, 4, 2)
    return [
        ("one path, to a corner and back", (there_and_back,)),
        ("a path that goes straight on", (numbers(0.0, 0.0, 1.0, 2.0, 2.0, 4.0).view(1, 3, 2),)),
        ("forty paths of eight places", (normal(40, 8, 2),)),
    ]


def _variety(pictures):
    n = len(pictures)
    apart = (pictures[:, None] - pictures).square().sum(2).sqrt()
    return apart.sum() / (n * (n - 1))


TASKS = {
    "swapped": Task(
        _sentences,
        lambda sentences: sentences.roll(-1, 0),
        (
            ("Every picture gets its own sentence.", lambda sentences: sentences.clone()),
            (
                "That is the sentence of the picture before; the next one's is asked for.",
                lambda sentences: sentences.roll(1, 0),
            ),
            (
                "The order of the words was changed; whole sentences have to move.",
                lambda sentences: sentences.roll(-1, 1),
            ),
            (
                "That turns the order around: with an odd number one picture keeps its sentence.",
                lambda sentences: sentences.flip(0),
            ),
        ),
        (
            "Which sentence has to stand first in the result?",
            "That of the second picture. And the first one's goes to the end.",
            "torch.cat([sentences[1:], sentences[:1]])",
        ),
        faulty=lambda sentences: sentences.clone(),
        shape="like the sentences",
    ),
    "still_right": Prediction(
        (0.012, 0.016),
        "two sentences that are drawn from 72 agree once in 72 times, 1.4 %. That little does no "
        "harm here. With ten classes it would be a tenth, and D would be told that right pairs are "
        "wrong, one time in ten. So `mismatched` in ganlib looks for the next one that differs.",
        (
            ("That is the share of all wrong pairs among D's fakes.", 0.2),
            ("That is for ten classes; there are 72 sentences.", 0.1),
            ("18 of the 90 are hidden: D sees 72.", 1 / 90),
            ("Neighbours agree by accident now and then.", 0.0),
        ),
        (
            "The first picture says something. How likely is it that the next says the same?",
            "All 72 sentences are equally likely for the next one.",
            "One of seventy-two.",
        ),
        within=0.001,
    ),
    "quiet": Task(
        _vectors,
        lambda vectors, loud: loud * vectors / vectors.square().mean(1, keepdim=True).sqrt(),
        (
            (
                "That makes the length `loud`; the root of the *mean* square is asked for.",
                lambda vectors, loud: loud * vectors / vectors.norm(dim=1, keepdim=True),
            ),
            (
                "Each vector has a size of its own: take the mean of each row.",
                lambda vectors, loud: loud * vectors / vectors.square().mean().sqrt(),
            ),
            (
                "That is multiplied only: loud vectors stay louder than others.",
                lambda vectors, loud: loud * vectors,
            ),
            (
                "The root is missing: it is the mean square that was divided by.",
                lambda vectors, loud: loud * vectors / vectors.square().mean(1, keepdim=True),
            ),
        ),
        (
            "How large is one vector? Square, mean over its numbers, root.",
            "Divide by that, with keepdim=True, so that each row meets its own size.",
            "loud * vectors / vectors.square().mean(1, keepdim=True).sqrt()",
        ),
        shape="like the vectors",
    ),
    "variety": Task(
        _pictures,
        _variety,
        (
            (
                "A picture's distance to itself, 0, was counted as a pair.",
                lambda pictures: torch.cdist(pictures, pictures).mean(),
            ),
            (
                "Each pair was counted twice in the sum, and once in the number.",
                lambda pictures: 2 * _variety(pictures),
            ),
            (
                "That is the squared distance.",
                lambda pictures: (
                    (pictures[:, None] - pictures).square().sum()
                    / (len(pictures) * (len(pictures) - 1))
                ),
            ),
            (
                "That is the spread of the pixels; the distance of pairs is asked for.",
                lambda pictures: pictures.std(0).mean(),
            ),
        ),
        (
            "torch.cdist(pictures, pictures) is a table of N x N distances.",
            "Its diagonal is 0: how many of the N * N entries are pairs of two?",
            "The sum of the table over n * (n - 1).",
        ),
        shape="one number",
    ),
    "new_pairs": Experiment(
        (0.09, 0.13),
        "eight of the ten forties are among the 72 numbers that are shown: 8 of 72, 11 %. The net "
        "has read that word thousands of times, beside other units. What it has never read is the "
        "pair. To write 46 it must have learned that tens and units are two things.",
        (
            ("That is a number of pictures; the share is asked for.", (100.0, 1e6)),
            ("That is the share of one number of the 72.", (0.0135, 0.0143)),
            ("The word does occur: only its pairs with some units are hidden.", (-0.001, 0.001)),
        ),
        (
            'Run share_of("forty") in the cell.',
            "exercises.answer takes the number: write it in place of the dots.",
            'exercises.answer("new_pairs", share_of("forty"))',
        ),
    ),
    "bend": Task(
        _paths,
        lambda paths: paths.diff(dim=1).diff(dim=1).norm(dim=2).mean(),
        (
            (
                "That is the speed, the mean length of a step; its change is asked for.",
                lambda paths: paths.diff(dim=1).norm(dim=2).mean(),
            ),
            (
                "Only the lengths of the steps were compared: a turn at constant speed bends, too.",
                lambda paths: paths.diff(dim=1).norm(dim=2).diff(dim=1).abs().mean(),
            ),
            (
                "Right and down are the two numbers of one change: take its length.",
                lambda paths: paths.diff(dim=1).diff(dim=1).abs().mean(),
            ),
            (
                "The steps were taken from one path to the next; time is the second axis.",
                lambda paths: (
                    paths.diff(dim=0).diff(dim=0).norm(dim=2).mean()
                    if len(paths) > 2
                    else paths.new_zeros(())
                ),
            ),
        ),
        (
            "paths.diff(dim=1) are the steps, (N, T - 1, 2). What is a change between two steps?",
            "The difference of the differences has two numbers, right and down. How long is it?",
            "paths.diff(dim=1).diff(dim=1).norm(dim=2).mean()",
        ),
        shape="one number",
    ),
}
